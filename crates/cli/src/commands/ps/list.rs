//! `ps` as a table.

use necropsy_linux::{Kernel, task::Task, uapi::policy_name};
use rayon::prelude::*;

use super::{NO_HEADING, SCHEDULING as WITH_SCHEDULING, STACK_POINTER};
use crate::rows::tasks::TaskRow;
use crate::{
    Outcome,
    parsed::Parsed,
    render::{Column, Faults, Hex, Output},
};

fn or_unknown<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "?".into(), |v| v.to_string())
}

// crash's widths to the blank: its headings of CPU and TASK do not stand over their columns.
const PID: Column<TaskRow> = Column::right("PID", 8, |r, c| c.put(or_unknown(r.pid)));
const PPID: Column<TaskRow> = Column::right("PPID", 6, |r, c| c.put(or_unknown(r.ppid)));
const CPU: Column<TaskRow> = Column::right("CPU", 2, |r, c| c.put(or_unknown(r.cpu)));
const TASK: Column<TaskRow> =
    Column::left("     TASK      ", 15, |r, c| c.fmt(format_args!("{:016x}", r.task.0)));
const KSTACKP: Column<TaskRow> = Column::left("    KSTACKP    ", 15, |r, c| match r.kernel_sp {
    Some(sp) => c.fmt(format_args!("{:016x}", sp.0)),
    None => c.put("?"),
});
const STATE: Column<TaskRow> = Column::left("ST", 2, |r, c| c.put(r.state.unwrap_or("??")));
const MEM: Column<TaskRow> = Column::right("%MEM", 4, |r, c| match r.mem_percent {
    Some(percent) => c.fmt(format_args!("{percent:.1}")),
    None => c.put("?"),
});
const VSZ: Column<TaskRow> = Column::right("VSZ", 7, |r, c| c.put(or_unknown(r.vsz_kb)));
const RSS: Column<TaskRow> = Column::right("RSS", 7, |r, c| c.put(or_unknown(r.rss_kb)));
const POLICY: Column<TaskRow> = Column::left("POLICY", 8, |r, c| c.put(r.policy.unwrap_or("?")));
const PRIO: Column<TaskRow> = Column::right("PRIO", 4, |r, c| c.put(or_unknown(r.priority)));
const COMM: Column<TaskRow> = Column::left("COMM", 4, |r, c| {
    let comm = r.comm.as_deref().unwrap_or("?");
    if r.kernel_thread {
        c.fmt(format_args!("[{comm}]"));
    } else {
        c.put(comm);
    }
});

const PLAIN: &[Column<TaskRow>] = &[PID, PPID, CPU, TASK, STATE, MEM, VSZ, RSS, COMM];
const STACKS: &[Column<TaskRow>] = &[PID, PPID, CPU, KSTACKP, STATE, MEM, VSZ, RSS, COMM];
const SCHEDULING: &[Column<TaskRow>] =
    &[PID, PPID, CPU, TASK, STATE, POLICY, PRIO, MEM, VSZ, RSS, COMM];

pub(super) fn show(
    kernel: &Kernel,
    parsed: &Parsed,
    tasks: &[Task<'_>],
    out: &mut Output,
) -> Outcome {
    let columns = match (parsed.has(STACK_POINTER), parsed.has(WITH_SCHEDULING)) {
        (true, _) => STACKS,
        (_, true) => SCHEDULING,
        _ => PLAIN,
    };
    // Of all memory, as crash: `totalram_pages` leaves out what the kernel reserved at boot.
    let total_kb = match kernel.memory_bytes() {
        Ok(bytes) => Some(bytes / 1024),
        Err(error) => {
            if let Some(fault) = error.fault() {
                out.skipped("memory", fault);
            }
            None
        }
    };
    if !parsed.has(NO_HEADING) {
        out.marked_heading(columns)?;
    }
    for batch in tasks.chunks(1024) {
        let rows: Vec<TaskRow> = batch
            .par_iter()
            .map(|task| {
                row(kernel, *task, total_kb, parsed.has(STACK_POINTER), parsed.has(WITH_SCHEDULING))
            })
            .collect();
        for row in rows {
            // The mark stands in the first column, which crash keeps free for it.
            let mark = if row.active { ">" } else { " " };
            out.marked_row(mark, columns, &row)?;
        }
    }
    Ok(())
}

fn row(
    kernel: &Kernel,
    task: Task<'_>,
    total_kb: Option<u64>,
    stack: bool,
    sched: bool,
) -> TaskRow {
    let mut faults = Faults::default();
    let rss_kb = faults.keep(task.rss_kb());
    let idle = task.pid() == Ok(0);
    TaskRow {
        pid: faults.keep(task.pid()),
        tgid: faults.keep(task.tgid()),
        ppid: faults.keep(task.ppid()),
        cpu: faults.keep(task.cpu()),
        task: Hex(task.address),
        kernel_sp: stack.then(|| faults.keep(task.kernel_sp()).map(Hex)).flatten(),
        state: faults.keep(task.state()).map(|s| s.letters()),
        active: kernel.running_on(task).is_some(),
        mem_percent: match (rss_kb, total_kb) {
            (Some(rss), Some(total)) if total > 0 => {
                // One decimal, as printed.
                Some((rss as f64 * 1000.0 / total as f64).round() / 10.0)
            }
            _ => None,
        },
        vsz_kb: faults.keep(task.vsz_kb()),
        rss_kb,
        comm: faults.keep(task.comm()),
        kernel_thread: idle || task.is_kernel_thread().unwrap_or(false),
        policy: sched
            .then(|| {
                let policy = faults.keep(task.policy())?;
                policy_name(policy)
            })
            .flatten(),
        priority: sched.then(|| faults.keep(task.priority())).flatten(),
        faults,
    }
}
