//! Facts on one page: what the kernel said, who was running, where, with what in its registers.

mod facts;
mod page;

use crate::{
    Outcome,
    parsed::Parsed,
    registry::{Command, Example},
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["report"],
    summary: "facts of the crash on one page",
    synopsis: "",
    options: &[],
    args: &[],
    description: "\
One page to read first and to send on: the machine, what the kernel said first, the task that was
running there and what it was doing, its stack, its registers with what each value is, what every
CPU was doing, taint and out-of-tree modules, tasks that have been blocked for long, and the end of
the log. Facts only: it draws no conclusion. What could not be read is said in its place.",
    examples: &[
        Example { about: "The page.", line: "report", output: "" },
        Example { about: "The same for a program.", line: "report --json", output: "" },
    ],
    run,
};

fn run(session: &mut Session, _parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let facts = facts::Facts::gather(&kernel);
    out.record(&facts, |line| page::write(&facts, line))
}
