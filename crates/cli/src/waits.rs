//! Tasks that wait and hold, as rows and as text.

use std::fmt;

use necropsy_diagnose::waits::{Contended, Graph, Waiter};
use necropsy_linux::{
    Kernel,
    locks::{Holder, Lock, LockKind},
    task::Task,
};

use crate::{
    render::Hex,
    rows::locks::{HolderRow, TaskRef, WaiterRow},
};

impl TaskRef {
    /// Of a task; what cannot be read is left open.
    pub(crate) fn new(task: Task<'_>) -> TaskRef {
        TaskRef { pid: task.pid().ok(), task: Hex(task.address), comm: task.comm().ok() }
    }
}

/// `243 crashme_ab`
impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{pid}")?,
            None => write!(f, "{:x}", self.task.0)?,
        }
        write!(f, " {}", self.comm.as_deref().unwrap_or("?"))
    }
}

impl HolderRow {
    /// A task and how well it is known.
    pub(crate) fn new(graph: &Graph<'_>, holder: Holder) -> HolderRow {
        let task = holder.task.map(|address| graph.kernel.task_at(address));
        // The memory of one that is gone may be another's by now.
        let there = task.filter(|task| graph.exists(task.address));
        let state = there.and_then(|task| task.state().ok()).map(|state| state.letters());
        HolderRow {
            pid: there.and_then(|task| task.pid().ok()),
            task: holder.task.map(Hex),
            comm: there.and_then(|task| task.comm().ok()),
            state: if task.is_some() && there.is_none() { Some("gone") } else { state },
            certainty: holder.certainty.name(),
        }
    }
}

/// `244 crashme_ba (UN)`
impl fmt::Display for HolderRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(task) = self.task else {
            return f.write_str(match self.certainty {
                "free" => "nobody, it is being handed on",
                _ => "not recorded",
            });
        };
        match self.pid {
            Some(pid) => write!(f, "{pid} {}", self.comm.as_deref().unwrap_or("?"))?,
            None => write!(f, "{:x}", task.0)?,
        }
        match self.state {
            Some("gone") => f.write_str(" (there is no such task any more)")?,
            Some(state) => write!(f, " ({state})")?,
            None => {}
        }
        match self.certainty {
            "hint" => f.write_str(", who took it last"),
            "inferred" => f.write_str(", by glibc's mutex"),
            _ => Ok(()),
        }
    }
}

impl WaiterRow {
    /// Of a waiting task.
    pub(crate) fn new(kernel: &Kernel, waiter: &Waiter) -> WaiterRow {
        let task = kernel.task_at(waiter.task);
        WaiterRow {
            pid: task.pid().ok(),
            task: Hex(waiter.task),
            comm: task.comm().ok(),
            state: task.state().ok().map(|state| state.letters()),
            mode: waiter.mode.name(),
            since_ns: waiter.since_ns,
        }
    }
}

/// `mutex ffffffffc0382020 crashme_lock_b [crashme]`
pub(crate) fn lock_text(lock: Lock, name: Option<&str>) -> String {
    let mut text = format!("{} {:016x}", lock.kind, lock.address);
    if let Some(bit) = lock.bit {
        text.push_str(&format!(" bit {bit}"));
    }
    if let Some(name) = name {
        text.push_str(&format!(" {name}"));
    }
    text
}

/// What stands between a lock and who must act before it can be had.
pub(crate) fn verb(lock: Lock) -> &'static str {
    match lock.kind {
        LockKind::Completion => "to be completed by",
        _ => "held by",
    }
}

/// The name of a lock of the graph.
pub(crate) fn lock_name(graph: &Graph<'_>, lock: Lock) -> Option<String> {
    graph.locks.iter().find(|found: &&Contended| found.lock == lock)?.name.clone()
}

/// `3.250 s`, `12 min`, `2 d`: as exact as a reader needs it.
pub(crate) fn age(ns: Option<u64>) -> String {
    const SECOND: u64 = 1_000_000_000;
    let Some(ns) = ns else { return "?".to_owned() };
    let seconds = ns / SECOND;
    match seconds {
        0..120 => format!("{seconds}.{:03} s", ns % SECOND / 1_000_000),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// The functions of a task's trace, innermost first, with the module where it is not the kernel;
/// and why it ends where it does.
pub(crate) fn functions(task: Task<'_>) -> (Vec<String>, Option<String>) {
    let trace = match task.trace() {
        Ok(trace) => trace,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let target = task.kernel().target();
    let name = |pc: u64| match target.locate(pc) {
        Some(found) => match found.module() {
            Some(module) => format!("{} [{module}]", found.symbol.name),
            None => found.symbol.name.to_owned(),
        },
        None => format!("{pc:016x}"),
    };
    let stack = trace.all().iter().map(|frame| name(frame.lookup_pc())).collect();
    let ended = match trace.end {
        necropsy_machine::unwind::End::Complete => None,
        necropsy_machine::unwind::End::Fault(fault) => Some(fault.to_string()),
        _ => Some("the trace is lost there".to_owned()),
    };
    (stack, ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_exact_as_needed() {
        assert_eq!(age(None), "?");
        assert_eq!(age(Some(3_250_000_000)), "3.250 s");
        assert_eq!(age(Some(720_000_000_000)), "12 min");
        assert_eq!(age(Some(3 * 86_400_000_000_000)), "3 d");
    }
}
