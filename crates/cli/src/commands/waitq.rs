//! Tasks that wait on a queue.

use crate::rows::tasks::Header;
use crate::{
    Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["waitq"],
    summary: "tasks that wait on a queue",
    synopsis: "symbol | struct.member address | address",
    options: &[],
    rows: &[Header::TYPE],
    args: &[Arg::Symbol],
    description: "\
Shows the tasks that wait on a wait_queue_head: by its symbol, its address, or by a member of a
structure and the structure's address.",
    examples: &[Example { about: "By its symbol.", line: "waitq kauditd_wait", output: "" }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let word = parsed.need(0, "a wait queue")?;
    let queue = match (word.split_once('.'), parsed.arg(1)) {
        (Some((tag, member)), Some(at)) => {
            session.address(at)?.wrapping_add(kernel.offset_of(tag, member)?)
        }
        _ => session.address(word)?,
    };
    let (waiters, errors) = kernel.waiters(queue)?;
    let mut problems = Problems::default();
    problems.extend(errors);
    if waiters.is_empty() {
        out.line(format_args!("wait queue \"{word}\" ({queue:x}) is empty"))?;
    }
    for task in waiters {
        let mut faults = Faults::default();
        // What is notified in another way than by a task that wakes has no task here.
        if !kernel.is_task(task) {
            out.line(format_args!("(a waiter that is no task: {task:x})"))?;
            continue;
        }
        let row = Header::new(kernel.task_at(task), &mut faults);
        out.record(&row, |line| writeln!(line, "{row}"))?;
    }
    problems.report("waiter", out)
}
