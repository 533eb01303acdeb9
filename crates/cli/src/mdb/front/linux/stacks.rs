//! The stacks of all tasks, alike ones together, and one after the other.

use std::{cmp::Reverse, collections::BTreeMap};

use necropsy_mdb::{Call, Dcmd, Mdb, Options, Outcome};
use serde_json::json;

use super::dcmds::{failed, kernel, threads};

pub(super) const STACKS: Dcmd = Dcmd::new(
    &["stacks"],
    "? [-a] [-c FUNCTION] [-C FUNCTION]",
    "print unique kernel thread stacks",
    stacks,
)
.taking_all()
.with_help(
    "Tasks whose state and stack are alike are printed once, with their number, the most frequent \
     first. In a pipeline only the tasks of the pipe count.\n\n  -a       list all tasks\n  -c func  \
     only stacks with this function; -C: without it",
);

pub(super) const THREADLIST: Dcmd =
    Dcmd::new(&["threadlist"], "? [-v]", "display tasks, and their stacks", |mdb, call| {
        let verbose = Options::take(&call.args, "v")?.has('v');
        let kernel = kernel(mdb)?;
        if call.wants_heading() {
            mdb.heading(&format!("{:>16} {:>7} {:>5} {}", "ADDR", "PID", "STATE", "COMMAND"))?;
        }
        for address in wanted(mdb, call)? {
            mdb.check()?;
            if call.pipe_out {
                mdb.pipe(address);
                continue;
            }
            let task = kernel.task_at(address);
            let (pid, comm) = (task.pid().map_err(failed)?, task.comm().map_err(failed)?);
            let state = task.state().map_or("?", |state| state.letters());
            let mut text = format!("{address:016x} {pid:>7} {state:>5} {comm}");
            let frames: Vec<String> = if verbose { names(mdb, address) } else { Vec::new() };
            for frame in &frames {
                text.push_str(&format!("\n  {frame}()"));
            }
            let object = json!({
                "address": format!("{address:#x}"), "pid": pid, "state": state, "comm": comm,
                "frames": frames,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });

/// The tasks that a dcmd is about: those of the pipe, the one at the address, all.
fn wanted(mdb: &mut Mdb, call: &Call) -> Outcome<Vec<u64>> {
    match (call.piped && !call.all.is_empty(), call.address) {
        (true, _) => Ok(call.all.clone()),
        (false, Some(address)) => Ok(vec![address]),
        (false, None) => threads(mdb, None),
    }
}

/// Where a task's functions stand, the innermost first; why there is no stack, in brackets.
fn names(mdb: &Mdb, address: u64) -> Vec<String> {
    let trace = kernel(mdb).and_then(|kernel| {
        let trace = kernel.task_at(address).trace().map_err(failed)?;
        Ok(trace.frames.iter().map(|frame| frame.pc).collect::<Vec<u64>>())
    });
    match trace {
        Ok(pcs) => pcs.into_iter().map(|pc| mdb.system().name_or_hex(pc)).collect(),
        Err(failure) => vec![format!("<{failure}>")],
    }
}

fn stacks(mdb: &mut Mdb, call: &Call) -> Outcome {
    let options = Options::take(&call.args, "ac:C:")?;
    let kernel = kernel(mdb)?;
    let mut groups: BTreeMap<(&'static str, Vec<String>), Vec<u64>> = BTreeMap::new();
    for address in wanted(mdb, call)? {
        mdb.check()?;
        let state = kernel.task_at(address).state().map_or("?", |state| state.letters());
        groups.entry((state, names(mdb, address))).or_default().push(address);
    }
    // A function as a whole, wherever the task stands in it.
    let within = |frames: &[String], function: &str| {
        frames.iter().any(|frame| frame.split('+').next() == Some(function))
    };
    let mut groups: Vec<_> = groups
        .into_iter()
        .filter(|((_, frames), _)| {
            options.get('c').is_none_or(|function| within(frames, function))
                && !options.get('C').is_some_and(|function| within(frames, function))
        })
        .collect();
    groups.sort_by_key(|(_, tasks)| Reverse(tasks.len()));
    if !call.pipe_out {
        mdb.heading(&format!("{:<16} {:<8} {:>8}", "THREAD", "STATE", "COUNT"))?;
    }
    for ((state, frames), tasks) in groups {
        let shown = if options.has('a') { tasks.len() } else { 1 };
        if call.pipe_out {
            tasks.iter().take(shown).for_each(|&task| mdb.pipe(task));
            continue;
        }
        let first = tasks.first().copied().unwrap_or(0);
        let mut text = format!("{first:<16x} {state:<8} {:>8}", tasks.len());
        for task in tasks.iter().take(shown).skip(1) {
            text.push_str(&format!("\n{task:<16x} {state:<8}"));
        }
        for frame in &frames {
            text.push_str(&format!("\n{:16} {frame}", ""));
        }
        text.push('\n');
        let all: Vec<String> = tasks.iter().map(|task| format!("{task:#x}")).collect();
        let object = json!({
            "state": state, "count": tasks.len(), "threads": all, "frames": frames,
        });
        mdb.row(&text, object)?;
    }
    Ok(())
}
