//! `ps` as a table.

use necropsy_linux::{Kernel, task::Task};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Outcome,
    parsed::Parsed,
    render::{Column, Faults, Hex, Output},
};

/// Scheduling policies by number (include/uapi/linux/sched.h).
const POLICIES: [(u64, &str); 8] = [
    (0, "NORMAL"),
    (1, "FIFO"),
    (2, "RR"),
    (3, "BATCH"),
    (4, "ISO"),
    (5, "IDLE"),
    (6, "DEADLINE"),
    (7, "EXT"),
];

pub(super) fn policy_number(name: &str) -> Option<u64> {
    let name = name.trim();
    name.parse().ok().or_else(|| {
        POLICIES.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(number, _)| *number)
    })
}

#[derive(Serialize)]
struct Row {
    pid: Option<u64>,
    tgid: Option<u64>,
    ppid: Option<u64>,
    cpu: Option<u32>,
    task: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_sp: Option<Hex>,
    state: Option<&'static str>,
    active: bool,
    mem_percent: Option<f64>,
    vsz_kb: Option<u64>,
    rss_kb: Option<u64>,
    comm: Option<String>,
    kernel_thread: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
}

fn or_unknown<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "?".into(), |v| v.to_string())
}

// crash's widths to the blank: its headings of CPU and TASK do not stand over their columns.
const PID: Column<Row> = Column::right("PID", 8, |r, c| c.put(or_unknown(r.pid)));
const PPID: Column<Row> = Column::right("PPID", 6, |r, c| c.put(or_unknown(r.ppid)));
const CPU: Column<Row> = Column::right("CPU", 2, |r, c| c.put(or_unknown(r.cpu)));
const TASK: Column<Row> =
    Column::left("     TASK      ", 15, |r, c| c.fmt(format_args!("{:016x}", r.task.0)));
const KSTACKP: Column<Row> = Column::left("    KSTACKP    ", 15, |r, c| match r.kernel_sp {
    Some(sp) => c.fmt(format_args!("{:016x}", sp.0)),
    None => c.put("?"),
});
const STATE: Column<Row> = Column::left("ST", 2, |r, c| c.put(r.state.unwrap_or("??")));
const MEM: Column<Row> = Column::right("%MEM", 4, |r, c| match r.mem_percent {
    Some(percent) => c.fmt(format_args!("{percent:.1}")),
    None => c.put("?"),
});
const VSZ: Column<Row> = Column::right("VSZ", 7, |r, c| c.put(or_unknown(r.vsz_kb)));
const RSS: Column<Row> = Column::right("RSS", 7, |r, c| c.put(or_unknown(r.rss_kb)));
const POLICY: Column<Row> = Column::left("POLICY", 8, |r, c| c.put(r.policy.unwrap_or("?")));
const PRIO: Column<Row> = Column::right("PRIO", 4, |r, c| c.put(or_unknown(r.priority)));
const COMM: Column<Row> = Column::left("COMM", 4, |r, c| {
    let comm = r.comm.as_deref().unwrap_or("?");
    if r.kernel_thread {
        c.fmt(format_args!("[{comm}]"));
    } else {
        c.put(comm);
    }
});

const PLAIN: &[Column<Row>] = &[PID, PPID, CPU, TASK, STATE, MEM, VSZ, RSS, COMM];
const STACKS: &[Column<Row>] = &[PID, PPID, CPU, KSTACKP, STATE, MEM, VSZ, RSS, COMM];
const SCHEDULING: &[Column<Row>] =
    &[PID, PPID, CPU, TASK, STATE, POLICY, PRIO, MEM, VSZ, RSS, COMM];

pub(super) fn show(
    kernel: &Kernel,
    parsed: &Parsed,
    tasks: &[Task<'_>],
    out: &mut Output,
) -> Outcome {
    let columns = match (parsed.has("-s"), parsed.has("-Y")) {
        (true, _) => STACKS,
        (_, true) => SCHEDULING,
        _ => PLAIN,
    };
    // Of all memory, as crash: `totalram_pages` leaves out what the kernel reserved at boot.
    let total_kb = kernel.memory_bytes().map(|bytes| bytes / 1024).ok();
    if !parsed.has("-H") {
        out.marked_heading(columns)?;
    }
    for batch in tasks.chunks(1024) {
        let rows: Vec<Row> = batch
            .par_iter()
            .map(|task| row(kernel, *task, total_kb, parsed.has("-s"), parsed.has("-Y")))
            .collect();
        for mut row in rows {
            // The mark stands in the first column, which crash keeps free for it.
            let mark = if row.active { ">" } else { " " };
            if !out.is_json() {
                row.faults = Faults::default();
            }
            out.marked_row(mark, columns, &row)?;
        }
    }
    Ok(())
}

fn row(kernel: &Kernel, task: Task<'_>, total_kb: Option<u64>, stack: bool, sched: bool) -> Row {
    let mut faults = Faults::default();
    let rss_kb = faults.keep("mm_struct.rss_stat", task.rss_kb());
    let idle = task.pid() == Ok(0);
    Row {
        pid: faults.keep("task_struct.pid", task.pid()),
        tgid: faults.keep("task_struct.tgid", task.tgid()),
        ppid: faults.keep("task_struct.parent", task.ppid()),
        cpu: faults.keep("task_struct.cpu", task.cpu()),
        task: Hex(task.address),
        kernel_sp: stack
            .then(|| faults.keep("task_struct.thread.sp", task.kernel_sp()).map(Hex))
            .flatten(),
        state: faults.keep("task_struct.state", task.state()).map(|s| s.letters()),
        active: kernel.running_on(task).is_some(),
        mem_percent: match (rss_kb, total_kb) {
            (Some(rss), Some(total)) if total > 0 => {
                // One decimal, as printed.
                Some((rss as f64 * 1000.0 / total as f64).round() / 10.0)
            }
            _ => None,
        },
        vsz_kb: faults.keep("mm_struct.total_vm", task.vsz_kb()),
        rss_kb,
        comm: faults.keep("task_struct.comm", task.comm()),
        kernel_thread: idle || task.is_kernel_thread().unwrap_or(false),
        policy: sched
            .then(|| {
                let policy = faults.keep("task_struct.policy", task.policy())?;
                POLICIES.iter().find(|(n, _)| *n == policy).map(|(_, name)| *name)
            })
            .flatten(),
        priority: sched.then(|| faults.keep("task_struct.prio", task.priority())).flatten(),
        faults,
    }
}
