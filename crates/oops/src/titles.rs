//! Titles as a person would give them.

use crate::class::Class;
use crate::decode::Findings;
use crate::naming::Naming;
use crate::report::{Names, Report};

/// The plain title and its function, from the well-known one and what was
/// decoded.
pub(crate) fn plain(naming: &Naming, findings: &Findings, report: &Report) -> Names {
    let frame = function(naming, findings, report);
    let access = findings.access.map(|access| access.word());
    let place = |what: &str| match &frame {
        Some(frame) => format!("{what} in {frame}"),
        None => what.to_owned(),
    };
    let accessed = |what: &str| match access {
        Some(word) => place(&format!("{what} ({word})")),
        None => place(what),
    };
    let title = match naming.class {
        Class::NullPointer => accessed("NULL pointer dereference"),
        Class::PageFault if near_null(report) => accessed("NULL pointer dereference"),
        Class::PageFault => accessed("Page fault"),
        Class::GeneralProtection => place("General protection fault"),
        Class::KernelBug => place("BUG"),
        Class::SoftLockup => place("Soft lockup"),
        Class::RcuStall => place("RCU stall"),
        Class::HungTask => place("Hung task"),
        Class::DivideError => place("Division by zero"),
        Class::DoubleFault => place("Double fault"),
        Class::InvalidOpcode => place("Invalid opcode"),
        Class::ListCorruption => place("List corruption"),
        Class::Refcount => place("Reference count error"),
        Class::SysRq => place("Crash asked for by SysRq"),
        Class::Lockdep if naming.title.starts_with("possible deadlock") => {
            place("Possible deadlock")
        }
        Class::Lockdep if naming.title.starts_with("inconsistent") => {
            place("Inconsistent lock state")
        }
        Class::MemoryLeak => place("Memory leak"),
        Class::Warning if frame.is_some() && naming.title.starts_with("WARNING in ") => {
            place("Warning")
        }
        Class::Panic => naming.title.replacen("kernel panic: ", "Panic: ", 1),
        _ => naming.title.clone(),
    };
    let mut alt = naming.alt.clone();
    if naming.title != title {
        alt.push(naming.title.clone());
    }
    alt.sort();
    alt.dedup();
    Names { title, alt, frame }
}

/// The class, once the whole report is known: some panics name their cause
/// only in their message or their trace.
pub(crate) fn class(naming: &Naming, report: &Report) -> Class {
    let sysrq =
        report.trace.iter().any(|frame| frame.function == "sysrq_handle_crash" && frame.reliable)
            || naming.frame.as_deref() == Some("sysrq_handle_crash");
    if sysrq && matches!(naming.class, Class::Panic | Class::NullPointer | Class::PageFault) {
        return Class::SysRq;
    }
    match naming.class {
        Class::Panic => {
            let title = naming.title.to_ascii_lowercase();
            [
                ("machine check", Class::MachineCheck),
                ("out of memory", Class::OutOfMemory),
                ("hard lockup", Class::HardLockup),
                ("softlockup", Class::SoftLockup),
                ("rcu stall", Class::RcuStall),
                ("hung_task", Class::HungTask),
                ("stack overflow", Class::StackOverflow),
                ("sysrq triggered", Class::SysRq),
            ]
            .into_iter()
            .find(|(words, _)| title.contains(words))
            .map_or(Class::Panic, |(_, class)| class)
        }
        Class::PageFault if near_null(report) => Class::NullPointer,
        class => class,
    }
}

/// Reaching a member through a NULL pointer faults within its first page.
fn near_null(report: &Report) -> bool {
    report.address.as_ref().is_some_and(|address| address.value < 0x1000)
}

/// The guilty function: the rule's, but for a lockup what was running.
fn function(naming: &Naming, findings: &Findings, report: &Report) -> Option<String> {
    let generic = |name: &str| crate::naming::skip::is_generic(name, &[]);
    let base = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let traced = || {
        report
            .trace
            .iter()
            .filter(|frame| frame.reliable && !frame.function.is_empty())
            .map(|frame| base(&frame.function))
            .find(|name| !generic(name))
    };
    match naming.class {
        Class::SoftLockup => findings
            .pointer
            .as_ref()
            .map(|frame| base(&frame.function))
            .filter(|name| !generic(name))
            .or_else(traced)
            .or_else(|| naming.frame.clone()),
        Class::Panic | Class::SysRq | Class::RcuStall => naming.frame.clone().or_else(traced),
        // a name that was damaged in transcription
        _ if naming.frame.is_none() && naming.title.contains(" in corrupted") => {
            let pointer = findings.pointer.as_ref().map(|frame| base(&frame.function));
            pointer.filter(|name| !generic(name)).or_else(traced)
        }
        _ => naming.frame.clone(),
    }
}
