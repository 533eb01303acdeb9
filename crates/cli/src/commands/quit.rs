use crate::{Outcome, command::Command, parsed::Parsed, render::Output, session::Session};

pub(crate) static COMMAND: Command = Command {
    names: &["q", "quit", "exit"],
    summary: "end the session",
    synopsis: "",
    options: &[],
    rows: &[],
    args: &[],
    description: "\
Ends the session. The exit status is 0 if all commands succeeded; otherwise the first failure
decides: 1 a command failed, 2 wrong usage, 4 the dump or debug information lacks something.",
    examples: &[],
    run,
};

fn run(session: &mut Session, _: &Parsed, _: &mut Output) -> Outcome {
    session.quit = true;
    Ok(())
}
