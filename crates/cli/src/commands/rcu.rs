//! RCU.

use necropsy_linux::Kernel;
use necropsy_rows::Row;
use rayon::prelude::*;

use crate::{
    Outcome,
    command::{Command, Example},
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::{
        locks::TaskRef,
        work::{RcuCpuRow, RcuRow},
    },
    session::Session,
    waits::{age, functions},
};

pub(crate) static COMMAND: Command = Command {
    names: &["rcu"],
    summary: "the grace period of RCU, who holds it up, who waits, callbacks of each CPU",
    synopsis: "",
    options: &[],
    rows: &[RcuRow::TYPE, RcuCpuRow::TYPE],
    args: &[],
    description: "\
Shows the grace period: whether one is under way and since when; the CPUs that have not passed a
quiescent state in it; readers that were preempted or sleep in a section and hold it up; the same of
the expedited grace period; and the tasks that wait for the end of one. Then, of each CPU, the
grace period that it has seen, and the callbacks that wait; > marks those that hold it up.",
    examples: &[Example { about: "Who holds RCU up.", line: "rcu", output: "" }],
    run,
};

/// Functions in which a task waits for a grace period.
const WAITING: &[&str] = &[
    "synchronize_rcu",
    "synchronize_rcu_expedited",
    "synchronize_rcu_normal",
    "__wait_rcu_gp",
    "wait_rcu_gp",
    "rcu_barrier",
    "cond_synchronize_rcu",
    "synchronize_sched",
    "synchronize_net",
];

fn run(session: &mut Session, _: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let mut rcu = kernel.rcu()?;
    let mut problems = Problems::default();
    problems.extend(std::mem::take(&mut rcu.errors));
    let (jiffies, hz) = (kernel.jiffies(), kernel.hz());
    let ago = |then: Option<u64>| -> Option<u64> {
        let (now, hz) = (*jiffies.as_ref().ok()?, *hz.as_ref().ok()?);
        let passed = (now as u32).wrapping_sub(then? as u32) as i32;
        u64::try_from(passed).ok()?.checked_mul(1_000_000_000 / hz.max(1))
    };
    let tasks = |list: &[u64]| -> Vec<TaskRef> {
        list.iter().map(|task| TaskRef::new(kernel.task_at(*task))).collect()
    };
    let row = RcuRow {
        grace_period: Hex(rcu.grace_period),
        under_way: rcu.under_way(),
        since_ns: ago(rcu.began).filter(|_| rcu.under_way()),
        active_ns: ago(rcu.active),
        thread: rcu.thread.map(|task| TaskRef::new(kernel.task_at(task))),
        cpus: rcu.cpus.clone(),
        readers: tasks(&rcu.readers),
        expedited_cpus: rcu.expedited_cpus.clone(),
        expedited_readers: tasks(&rcu.expedited_readers),
        waiting: waiting(&kernel),
    };
    out.record(&row, |line| {
        match row.under_way {
            true => writeln!(
                line,
                "grace period {:x}: under way for {}",
                row.grace_period.0,
                age(row.since_ns)
            )?,
            false => writeln!(line, "grace period {:x}: none is under way", row.grace_period.0)?,
        }
        if let Some(thread) = &row.thread {
            writeln!(line, "  driven by {thread}, last active {} ago", age(row.active_ns))?;
        }
        let mut holds = |what: &str, cpus: &[u32], readers: &[TaskRef]| {
            for cpu in cpus {
                let task = kernel.current_task(*cpu).map(TaskRef::new);
                let task = task.map_or_else(|_| "?".to_owned(), |task| task.to_string());
                writeln!(line, "  {what}held up by CPU {cpu}, which runs {task}")?;
            }
            for task in readers {
                writeln!(line, "  {what}held up by reader {task}")?;
            }
            Ok(())
        };
        holds("", &row.cpus, &row.readers)?;
        holds("expedited: ", &row.expedited_cpus, &row.expedited_readers)?;
        for task in &row.waiting {
            writeln!(line, "  {task} waits for the end of a grace period")?;
        }
        Ok(())
    })?;
    let columns = RcuCpuRow::columns();
    out.line("")?;
    out.marked_heading(&columns)?;
    for cpu in &rcu.per_cpu {
        let row = RcuCpuRow {
            cpu: cpu.cpu,
            grace_period: Hex(cpu.grace_period),
            callbacks: cpu.callbacks,
            holds_up: cpu.holds_up,
            running: kernel.current_task(cpu.cpu).ok().map(TaskRef::new),
        };
        out.marked_row(if row.holds_up { ">" } else { " " }, &columns, &row)?;
    }
    problems.report("part of RCU", out)
}

/// Sleeping tasks that have one of those functions on their stack.
fn waiting(kernel: &Kernel) -> Vec<TaskRef> {
    let tasks = kernel.tasks().tasks;
    let waits = tasks.par_iter().filter(|task| {
        let asleep = task.state().is_ok_and(|state| matches!(state.letters(), "UN" | "IN" | "ID"));
        asleep && functions(**task).0.iter().any(|name| WAITING.contains(&name.as_str()))
    });
    let mut found: Vec<u64> = waits.map(|task| task.address).collect();
    found.sort_unstable();
    found.into_iter().map(|task| TaskRef::new(kernel.task_at(task))).collect()
}
