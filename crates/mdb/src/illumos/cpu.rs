//! CPUs.

use necropsy_illumos::cpu::FLAG_NAMES;
use serde_json::json;

use crate::{Dcmd, Mdb, Options, Outcome};

use super::kernel;

pub(super) const CPUINFO: Dcmd = Dcmd::new(
    &["cpuinfo"],
    "? [-v]",
    "print CPUs and runnable threads",
    |mdb, call| {
        let verbose = Options::take(&call.args, "v")?.has('v');
        let kernel = kernel(mdb)?;
        let all = {
            let walk = kernel.cpus();
            mdb.noted(walk)
        };
        let found = match call.address {
            None => all,
            // A number, or an address; that of the list stands for what the panic kept.
            Some(wanted) => {
                let id = |at: u64| kernel.shapes().cpu.id.get(&kernel, at).ok();
                let listed = kernel.cpu_list().found.contains(&wanted);
                let number = if listed { id(wanted) } else { Some(wanted) };
                let by_id = all.iter().copied().find(|&at| number.is_some() && id(at) == number);
                vec![by_id.unwrap_or(wanted)]
            }
        };
        if call.wants_heading() && !verbose {
            heading(mdb)?;
        }
        for at in found {
            mdb.check()?;
            if call.pipe_out {
                mdb.pipe(at);
                continue;
            }
            if verbose && !mdb.out.json {
                heading(mdb)?;
            }
            let cpu = match kernel.cpu(at) {
                Ok(cpu) => cpu,
                Err(error) => {
                    mdb.warn(&format!("CPU {at:x}: {error}"));
                    continue;
                }
            };
            let yes = |flag: bool| if flag { "yes" } else { "no" };
            let switched = cpu.switched.map_or("-".to_owned(), |ticks| format!("t-{ticks:<4}"));
            let text = format!(
                "{:>3} {:016x} {:>3x} {:>4} {:>4} {:>3} {:>4} {:>5} {switched:<6} {:016x} {}",
                cpu.id,
                cpu.address,
                cpu.flags,
                cpu.runnable,
                cpu.base_spl,
                cpu.priority,
                yes(cpu.runrun),
                yes(cpu.kprunrun),
                cpu.thread,
                cpu.process
            );
            let queue = kernel.run_queue(at).unwrap_or_default();
            let interrupts = if verbose { kernel.interrupts_on(at) } else { Vec::new() };
            let hex = |list: &[(u64, u64)]| -> Vec<serde_json::Value> {
                list.iter().map(|(level, thread)| json!({ "level": level, "thread": format!("{thread:#x}") })).collect()
            };
            let object = json!({
                "id": cpu.id, "address": format!("{at:#x}"), "flags": format!("{:#x}", cpu.flags),
                "runnable": cpu.runnable, "base_spl": cpu.base_spl, "priority": cpu.priority,
                "runrun": cpu.runrun, "kprunrun": cpu.kprunrun, "switch_ticks": cpu.switched,
                "thread": format!("{:#x}", cpu.thread), "process": cpu.process,
                "run_queue": hex(&queue), "interrupts": hex(&interrupts),
            });
            mdb.row(&text, object)?;
            if verbose && !mdb.out.json {
                details(mdb, &cpu, &queue, &interrupts)?;
            }
        }
        Ok(())
    },
);

fn heading(mdb: &mut Mdb) -> Outcome {
    mdb.heading(&format!(
        "{:>3} {:<16} {:>3} {:>4} {:>4} {:>3} {:>4} {:>5} {:<6} {:<16} {}",
        "ID", "ADDR", "FLG", "NRUN", "BSPL", "PRI", "RNRN", "KRNRN", "SWITCH", "THREAD", "PROC"
    ))
}

/// Columns under which FLG, NRUN and BSPL end.
const FLAGS_END: usize = 23;
const QUEUE_END: usize = 28;
const LEVEL_END: usize = 33;

/// Flags to the left; to the right, each on lines of its own below its column, what interrupts
/// the CPU and what waits to run.
fn details(
    mdb: &mut Mdb,
    cpu: &necropsy_illumos::cpu::Cpu,
    queue: &[(u64, u64)],
    interrupts: &[(u64, u64)],
) -> Outcome {
    let kernel = kernel(mdb)?;
    let comm = |thread: u64| -> String {
        let shapes = kernel.shapes();
        let proc = shapes.thread.procp.get(&kernel, thread);
        proc.and_then(|proc| shapes.proc.comm.text(&kernel, proc)).unwrap_or_else(|_| "?".into())
    };
    let flags = FLAG_NAMES.iter().enumerate().filter(|&(bit, _)| cpu.flags >> bit & 1 == 1);
    let left: Vec<String> = flags
        .enumerate()
        .map(|(index, (_, name))| format!("{name:>19}{}", if index == 0 { " <--+" } else { "" }))
        .collect();
    // Each with the column that it begins in.
    let mut right: Vec<(usize, String)> = Vec::new();
    if !interrupts.is_empty() {
        right.push((LEVEL_END, "+--> PIL THREAD".into()));
        for &(level, thread) in interrupts {
            right.push((LEVEL_END, format!("     {level:>3} {thread:x}")));
        }
        let (thread, who) = (cpu.thread, comm(cpu.thread));
        right.push((LEVEL_END, format!("     {:>3} {thread:x} {who}", "-")));
        if !queue.is_empty() {
            right.push((LEVEL_END, String::new()));
        }
    }
    if !queue.is_empty() {
        right.push((QUEUE_END, format!("+-->  PRI {:<16} PROC", "THREAD")));
        for &(priority, thread) in queue {
            right.push((QUEUE_END, format!("      {priority:>3} {thread:<16x} {}", comm(thread))));
        }
    }
    let mut first = format!("{:FLAGS_END$}|", "");
    for (column, shown) in [(QUEUE_END, !queue.is_empty()), (LEVEL_END, !interrupts.is_empty())] {
        if shown {
            first = format!("{first:<column$}|");
        }
    }
    mdb.line(&first)?;
    for index in 0..left.len().max(right.len()) {
        let mut line = left.get(index).cloned().unwrap_or_default();
        if let Some((column, text)) = right.get(index) {
            if *column == LEVEL_END && !queue.is_empty() {
                line = format!("{line:<QUEUE_END$}|");
            }
            line = format!("{line:<column$}{text}");
        }
        mdb.line(line.trim_end())?;
    }
    mdb.line("")
}
