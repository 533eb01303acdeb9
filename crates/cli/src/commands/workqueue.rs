//! Work queues.

use necropsy_diagnose::waits::Graph;
use necropsy_linux::{
    Kernel,
    locks::LockKind,
    workqueue::{Work, WorkState},
};
use necropsy_rows::{Perhaps, Row};

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    near,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::{
        locks::TaskRef,
        work::{PoolRow, WorkRow},
    },
    session::Session,
    waits::age,
};

const POOLS: Opt = Opt::flag("-p", "the pools, those without work too");

pub(crate) static COMMAND: Command = Command {
    names: &["workqueue"],
    summary: "work that is done, taken, pending, held back or delayed, and by which workers",
    synopsis: "[-p] [queue ...]",
    options: &[POOLS],
    rows: &[WorkRow::TYPE, PoolRow::TYPE],
    args: &[Arg::Text("queue")],
    description: "\
Shows every piece of work: what a worker does (running) or has taken, what waits for a worker
(pending) or until its queue may have more (inactive), and what a timer is to queue (delayed). For
running work the time since its worker began, where the kernel notes that (7.0), else since the
worker last got a CPU; and who waits until it is done. Names of queues leave only theirs.

With -p, the pools: how many workers they have, how many are idle, how much waits, and how long ago a
pool last made progress though work waits: that is what the workqueue watchdog looks at.",
    examples: &[
        Example { about: "All work.", line: "workqueue", output: "" },
        Example { about: "The pools.", line: "workqueue -p", output: "" },
        Example { about: "One queue.", line: "workqueue events", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let mut found = kernel.workqueues()?;
    let mut problems = Problems::default();
    problems.extend(std::mem::take(&mut found.errors));
    let (jiffies, hz) = (kernel.jiffies(), kernel.hz());
    let ago = |then: Option<u64>| -> Option<i64> {
        let (now, hz) = (*jiffies.as_ref().ok()?, *hz.as_ref().ok()?);
        // The low half of a counter may be all that is noted.
        let passed = (now as u32).wrapping_sub(then? as u32) as i32;
        Some(i64::from(passed).saturating_mul(1_000_000_000 / i64::try_from(hz.max(1)).ok()?))
    };
    if parsed.has(POOLS) {
        let columns = PoolRow::columns();
        out.heading(&columns)?;
        for pool in found.pools {
            let stalled = ago(pool.progress).filter(|_| pool.pending > 0);
            let row = PoolRow {
                pool: pool.id,
                worker_pool: Hex(pool.address),
                cpu: Perhaps::or_none(Some(pool.cpu).filter(|cpu| *cpu >= 0)),
                workers: pool.workers,
                idle: pool.idle,
                pending: pool.pending,
                stalled_ns: stalled.and_then(|ns| u64::try_from(ns).ok()),
            };
            out.row(&columns, &row)?;
        }
        return problems.report("part of a work queue", out);
    }
    if !parsed.args.is_empty() {
        let (queues, errors) = kernel.workqueue_names()?;
        let unknown = parsed.args.iter().find(|name| !queues.contains(name));
        // One of those that cannot be read may be it.
        if let Some(name) = unknown.filter(|_| errors.is_empty()) {
            let hint = near::hint(name, queues.iter().map(String::as_str));
            return Err(CommandError::failed(format!("there is no work queue {name}{hint}")));
        }
    }
    let graph = Graph::of(&kernel);
    let now = kernel.online_cpus().into_iter().filter_map(|cpu| kernel.rq_clock(cpu).ok()).max();
    let wanted = |work: &Work| {
        parsed.args.is_empty()
            || work.queue.as_ref().is_some_and(|queue| parsed.args.contains(queue))
    };
    let mut any = false;
    for work in found.work.into_iter().filter(wanted) {
        any = true;
        let running = work.state == WorkState::Running;
        let got_cpu = || {
            let began = kernel.task_at(work.worker?).last_run_ns().ok()?;
            now?.checked_sub(began)
        };
        let since = ago(work.jiffies).and_then(|ns| u64::try_from(ns).ok());
        let row = WorkRow {
            state: work.state.name(),
            work: Hex(work.address),
            function: function(&kernel, work.function),
            workqueue: work.queue.clone(),
            pool: work.pool,
            worker: work.worker.map(|task| TaskRef::new(kernel.task_at(task))),
            since_ns: if running { since.or_else(got_cpu) } else { None },
            due_ns: match work.state {
                WorkState::Delayed => ago(work.jiffies).map(i64::wrapping_neg),
                _ => None,
            },
            flushed_by: if running { flushers(&graph, &work) } else { Vec::new() },
        };
        out.record(&row, |line| {
            let queue = row.workqueue.as_deref().unwrap_or("?");
            write!(line, "{:<8} {:016x} {} on {queue}", row.state, row.work.0, row.function)?;
            if let Some(pool) = row.pool {
                write!(line, ", pool {pool}")?;
            }
            if let Some(worker) = &row.worker {
                write!(line, ", worker {worker}")?;
            }
            if row.since_ns.is_some() {
                write!(line, ", for {}", age(row.since_ns))?;
            }
            if let Some(due) = row.due_ns {
                let late = if due < 0 { "late by" } else { "due in" };
                write!(line, ", {late} {}", age(Some(due.unsigned_abs())))?;
            }
            writeln!(line)?;
            for task in &row.flushed_by {
                writeln!(line, "         {task} waits until it is done")?;
            }
            Ok(())
        })?;
    }
    if !any {
        out.line(problems.nothing("no such work"))?;
    }
    problems.report("part of a work queue", out)
}

/// `vmstat_update`, with the module where it is not the kernel's.
fn function(kernel: &Kernel, address: u64) -> String {
    match kernel.target().locate(address) {
        Some(found) => match found.module() {
            Some(module) => format!("{} [{module}]", found.symbol.name),
            None => found.symbol.name.to_owned(),
        },
        None => format!("{address:x}"),
    }
}

/// Who waits for what the work's worker must complete.
fn flushers(graph: &Graph<'_>, work: &Work) -> Vec<TaskRef> {
    let Some(worker) = work.worker else { return Vec::new() };
    let locks = graph.holds(worker).filter(|lock| lock.lock.kind == LockKind::Completion);
    let waiters = locks.flat_map(|lock| &lock.waiters);
    waiters.map(|waiter| TaskRef::new(graph.kernel.task_at(waiter.task))).collect()
}
