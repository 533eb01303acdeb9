//! A crash that somebody asked for: SysRq's `c` (drivers/tty/sysrq.c).

use necropsy_machine::unwind::{End, FoundBy, Frame};

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector { name: "sysrq", causes: &[Cause::Sysrq], detect };

/// What carries out SysRq's `c`: it panics; older kernels write to NULL.
const HANDLER: &str = "sysrq_handle_crash";
/// What a write to /proc/sysrq-trigger comes through.
const BY_FILE: &str = "write_sysrq_trigger";

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let case = inquiry.case.as_ref()?;
    // A word on the stack that looks like a return address proves nothing.
    let frame_of = |wanted: &str| {
        let found = |(number, frame): &(usize, &Frame)| {
            case.function(*number) == Some(wanted) && frame.found_by != FoundBy::Scan
        };
        case.trace().frames.iter().enumerate().find(found).map(|(_, frame)| frame)
    };
    let handler = frame_of(HANDLER)?;
    let file = frame_of(BY_FILE);
    let who = match (case.task.comm(), case.task.pid()) {
        (Ok(comm), Ok(pid)) => format!("{comm} (pid {pid})"),
        _ => format!("the task at {:x}", case.task.address),
    };
    let by = match file {
        Some(_) => format!("{who} wrote to /proc/sysrq-trigger"),
        // Of a stack that is not whole the write may be the part that is missing.
        None if case.trace().end != End::Complete => {
            format!("it is not known how, while {who} ran")
        }
        None => format!("not through /proc (by a key, a serial line), while {who} ran"),
    };
    let frames = [
        Some((handler, "the function that crashes the machine when asked")),
        file.map(|frame| (frame, "the write to /proc/sysrq-trigger")),
    ];
    let evidence = frames.into_iter().flatten().map(|(frame, what)| Evidence {
        what: what.into(),
        address: Some(frame.pc),
        value: None,
        command: "bt".into(),
    });
    Some(Finding {
        class: Cause::Sysrq,
        statement: format!("the crash was asked for by SysRq: {by}"),
        confidence: Confidence::Certain,
        evidence: evidence.collect(),
        object: None,
        function: None,
        task: None,
    })
}
