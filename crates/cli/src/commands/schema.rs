//! The JSON schema of commands' rows.

use std::collections::BTreeMap;

use necropsy_rows::Schema;
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Commands, Example},
    parsed::Parsed,
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["schema"],
    summary: "the JSON schema of commands' rows",
    synopsis: "[command ...]",
    options: &[],
    rows: &[],
    args: &[Arg::Command],
    description: "\
Shows what the rows of a command hold, with --json and --csv: a JSON schema (draft 2020-12) with
each field's meaning, and its unit where it has one. A command that yields several types of rows has
them below anyOf. Without arguments: of all commands, by name. docs/json.md tells the same in
tables.",
    examples: &[Example { about: "What ps tells of a task.", line: "schema ps", output: "" }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    show(session.commands, &parsed.args, out)
}

fn pretty(schema: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(schema);
    Ok(text.map_err(|error| CommandError::failed(error.to_string()))? + "\n")
}

/// The schema of a command's rows.
pub fn of(command: &'static Command) -> Schema<'static> {
    Schema { title: command.name(), rows: command.rows }
}

/// Shows the schemas of the commands called `names`, or of all.
pub(crate) fn show(commands: Commands, names: &[String], out: &mut Output) -> Outcome {
    if names.is_empty() {
        let with_rows = commands.iter().filter(|command| !command.rows.is_empty());
        let all: BTreeMap<_, _> = with_rows.map(|command| (command.name(), of(command))).collect();
        return out.raw(pretty(&all)?.as_bytes());
    }
    for name in names {
        let command = commands.find(name).ok_or_else(|| {
            CommandError::usage(format!("{name}: no such command; \"help\" lists them all"))
        })?;
        if command.rows.is_empty() {
            return Err(CommandError::missing(format!("{name} yields no rows of its own")));
        }
        out.raw(pretty(&of(command))?.as_bytes())?;
    }
    Ok(())
}
