use crate::{
    CommandError, Outcome,
    command::{Arg, Command},
    parsed::Parsed,
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["repeat"],
    summary: "repeat a command (live systems only)",
    synopsis: "[-seconds] command",
    options: &[],
    rows: &[],
    args: &[Arg::CommandLine],
    description: "\
Repeats a command on a live system. A dump does not change, so on a dump this is an error.",
    examples: &[],
    run,
};

fn run(_: &mut Session, _: &Parsed, _: &mut Output) -> Outcome {
    Err(CommandError::usage("only a live system changes; this is a dump"))
}
