use crate::rows::{session::SettingRow, tasks::Context};
use crate::{
    CommandError, Outcome,
    aliases::Origin,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::Output,
    session::Session,
    tasks,
    variables::{self, Variable},
};

const PANIC_TASK: Opt = Opt::flag("-p", "the task that panicked");
const ON_CPU: Opt = Opt::value("-c", "cpu", "the task that runs on this CPU");
const LIST: Opt = Opt::flag("-v", "list all variables");

pub(crate) static COMMAND: Command = Command {
    names: &["set"],
    summary: "the task that commands look at, and session variables",
    synopsis: "[pid | task | -p | -c cpu]\n-v\n[variable [value]]",
    options: &[
        PANIC_TASK,
        ON_CPU,
        LIST,
    ],
    rows: &[SettingRow::TYPE, Context::TYPE],
    args: &[Arg::Task],
    description: "\
Without arguments shows the task that commands look at (bt, task, vtop and others take it when they
are given none); with a pid or a task_struct address, makes that task the one.

Shows or changes a variable of the session as well. Without a value, shows it. \"set hex\" and \"set dec\"
are short for \"set radix 16\" and \"set radix 10\", \"set vi\" and \"set emacs\" for \"set edit\".
Variables for every session go into ~/.config/necropsy/rc or ~/.crashrc.",
    examples: &[Example {
        about: "Numbers in hexadecimal.",
        line: "set radix 16",
        output: "output radix: 16 (hex)",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if let Some(outcome) = context(session, parsed, out) {
        return outcome;
    }
    if parsed.has(LIST) || parsed.args.is_empty() {
        for variable in variables::VARIABLES {
            let row =
                SettingRow { variable: variable.name, value: (variable.show)(&session.settings) };
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

/// The forms that are about a task; `None` for those about variables.
fn context(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Option<Outcome> {
    if parsed.has(LIST) || session.kernel.is_none() {
        return None;
    }
    let word = parsed.arg(0);
    if word.is_some_and(|w| {
        matches!(w, "hex" | "dec" | "vi" | "emacs")
            || variables::find(w).is_some()
            || variables::NO_EFFECT.contains(&w)
    }) {
        return None;
    }
    Some((|| {
        let kernel = session.kernel()?;
        let task = if parsed.has(PANIC_TASK) {
            kernel
                .find_panic_task()
                .map_err(|error| CommandError::missing(format!("panicked task: {error}")))?
        } else if let Some(cpu) = parsed.value(ON_CPU) {
            let cpu = cpu.parse().map_err(|_| parsed.wrong(format_args!("{cpu:?}: not a CPU")))?;
            kernel.current_task(cpu)?
        } else {
            *tasks::select_or_context(session, &kernel, &parsed.args)?
                .first()
                .ok_or_else(|| CommandError::failed("no such task"))?
        };
        session.task = Some(task.address);
        if session.origin != Origin::Runtime {
            return Ok(());
        }
        Context::new(&kernel, task).show(out)
    })())
}

/// Rc files set many variables; only what a person types is worth an answer.
fn announce(session: &Session, out: &mut Output, text: std::fmt::Arguments<'_>) -> Outcome {
    if session.origin == Origin::Runtime { out.line(text) } else { Ok(()) }
}

fn show(session: &Session, variable: &Variable, out: &mut Output) -> Outcome {
    let row = SettingRow { variable: variable.name, value: (variable.show)(&session.settings) };
    out.record(&row, |line| match (row.variable, row.value.as_str()) {
        // crash's own words for this one.
        ("radix", value) => writeln!(line, "output radix: {}", value.replace("hexadecimal", "hex")),
        (name, value) => writeln!(line, "{name}: {value}"),
    })
}
