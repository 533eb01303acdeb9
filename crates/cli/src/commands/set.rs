use serde::Serialize;

use crate::{
    CommandError, Outcome,
    aliases::Origin,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::Output,
    session::Session,
    variables::{self, Variable},
};

pub(crate) static COMMAND: Command = Command {
    names: &["set"],
    summary: "session variables",
    synopsis: "-v\n[variable [value]]",
    options: &[Opt { flag: "-v", value: None, help: "list all variables" }],
    args: &[Arg::Text("variable")],
    description: "\
Shows or changes a variable of the session. Without a value, shows it. \"set hex\" and \"set dec\"
are short for \"set radix 16\" and \"set radix 10\", \"set vi\" and \"set emacs\" for \"set edit\".
Variables for every session go into ~/.config/necropsy/rc or ~/.crashrc.",
    examples: &[Example {
        about: "Numbers in hexadecimal.",
        line: "set radix 16",
        output: "output radix: 16 (hex)",
    }],
    run,
};

#[derive(Serialize)]
struct Row {
    variable: &'static str,
    value: String,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has("-v") || parsed.args.is_empty() {
        for variable in variables::VARIABLES {
            let row = Row { variable: variable.name, value: (variable.show)(&session.settings) };
            out.record(&row, |line| writeln!(line, "{:>14}: {}", row.variable, row.value))?;
        }
        return Ok(());
    }
    let (name, value) = match parsed.args.as_slice() {
        [name] => match name.as_str() {
            "hex" => ("radix", Some("16")),
            "dec" => ("radix", Some("10")),
            "vi" => ("edit", Some("vi")),
            "emacs" => ("edit", Some("emacs")),
            name => (name, None),
        },
        [name, value] => (name.as_str(), Some(value.as_str())),
        _ => return Err(parsed.wrong("one variable at a time")),
    };
    let Some(variable) = variables::find(name) else {
        if variables::NO_EFFECT.contains(&name) {
            return announce(session, out, format_args!("{name}: has no effect here"));
        }
        return Err(CommandError::usage(format!(
            "{name}: no such variable; \"set -v\" lists them all"
        )));
    };
    if let Some(value) = value {
        (variable.change)(&mut session.settings, value)
            .map_err(|wants| CommandError::usage(format!("{name}: {value:?} is not {wants}")))?;
        if session.origin != Origin::Runtime {
            return Ok(());
        }
    }
    show(session, variable, out)
}

/// Rc files set many variables; only what a person types is worth an answer.
fn announce(session: &Session, out: &mut Output, text: std::fmt::Arguments<'_>) -> Outcome {
    if session.origin == Origin::Runtime { out.line(text) } else { Ok(()) }
}

fn show(session: &Session, variable: &Variable, out: &mut Output) -> Outcome {
    let row = Row { variable: variable.name, value: (variable.show)(&session.settings) };
    out.record(&row, |line| match (row.variable, row.value.as_str()) {
        // crash's own words for this one.
        ("radix", value) => writeln!(line, "output radix: {}", value.replace("hexadecimal", "hex")),
        (name, value) => writeln!(line, "{name}: {value}"),
    })
}
