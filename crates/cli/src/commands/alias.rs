use necropsy_rows::Row;

use crate::rows::session::AliasRow;
use crate::{
    CommandError, Outcome,
    aliases::{Alias, Origin},
    command::{Arg, Command, Commands, Example},
    parsed::Parsed,
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["alias"],
    summary: "define words that stand for lines",
    synopsis: "[name [text ...]]",
    options: &[],
    rows: &[AliasRow::TYPE],
    args: &[Arg::CommandLine],
    description: "\
Without arguments, lists the aliases. With a name, shows that one; with a text, defines it. The
name, as the first word of a line, then stands for the text. A text with | or > in it needs double
quotes. An empty text (\"\") removes the alias. \\NAME runs the command NAME even if there is an
alias of that name. Aliases for every session go into ~/.config/necropsy/rc or ~/.crashrc.",
    examples: &[Example {
        about: "Define an alias.",
        line: "alias kp kmem -p",
        output: "ORIGIN   ALIAS    COMMAND\nruntime  kp       kmem -p",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let (name, text) = match parsed.args.as_slice() {
        [] => {
            return show(second_names(session.commands).iter().chain(session.aliases.iter()), out);
        }
        [name] => {
            let alias = session.aliases.get(name).ok_or_else(|| unknown(name))?;
            return show([alias], out);
        }
        [name, text @ ..] => (name, text.join(" ")),
    };
    if text.trim().is_empty() {
        if !session.aliases.remove(name) {
            return Err(unknown(name));
        }
        return out.line(format_args!("alias deleted: {name}"));
    }
    session.aliases.set(session.origin, name, &text);
    // An rc file defines many; nobody wants to see them listed at each start.
    match session.aliases.get(name) {
        Some(alias) if alias.origin == Origin::Runtime => show([alias], out),
        _ => Ok(()),
    }
}

/// The commands' other names, which crash counts among the aliases.
fn second_names(commands: Commands) -> Vec<Alias> {
    let of = |command: &'static Command| {
        command.names.iter().skip(1).map(|name| Alias {
            origin: Origin::BuiltIn,
            name: (*name).to_owned(),
            text: command.name().to_owned(),
        })
    };
    commands.iter().flat_map(of).collect()
}

fn unknown(name: &str) -> CommandError {
    CommandError::failed(format!("alias does not exist: {name}"))
}

fn show<'a>(aliases: impl IntoIterator<Item = &'a Alias>, out: &mut Output) -> Outcome {
    let columns = AliasRow::columns();
    out.heading(&columns)?;
    for Alias { origin, name, text } in aliases {
        let row = AliasRow { origin: *origin, alias: name.clone(), command: text.clone() };
        out.row(&columns, &row)?;
    }
    Ok(())
}
