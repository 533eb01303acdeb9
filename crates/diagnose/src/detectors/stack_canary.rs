//! The stack protector's check at the end of a function: the word between its buffers and its return
//! address is not what it was (`__stack_chk_fail`, kernel/panic.c).

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Run,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "stack-canary", causes: &[Cause::StackCorruption], detect };

/// What is called when the check fails.
const CHECK: &str = "__stack_chk_fail";

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let case = inquiry.case.as_ref()?;
    let number = case.frame_of(CHECK)? + 1;
    let frame = case.trace().frames.get(number)?;
    let function = case.function(number)?.to_owned();
    let end = case.trace().frames.get(number + 1).map_or(frame.sp, |outer| outer.slot);
    let task = case.task;
    let canary = inquiry.kernel.offset_of("task_struct", "stack_canary").ok().and_then(|offset| {
        inquiry.kernel.target().read_u64(task.address.wrapping_add(offset)).ok()
    });
    let run = longest_run(inquiry, frame.sp, end);
    let mut evidence = vec![Evidence {
        what: format!("{function} calls {CHECK}(): its own check failed"),
        address: Some(frame.pc),
        value: None,
        command: "bt".into(),
    }];
    if let Some(canary) = canary {
        evidence.push(Evidence {
            what: "the word that should stand in front of the return address".into(),
            address: None,
            value: Some(canary),
            command: format!("struct -x task_struct.stack_canary {:x}", task.address),
        });
    }
    let mut damage = String::new();
    if let Some(run) = &run {
        damage = format!(": its frame holds {}", run.words());
        let at = run.start.next_multiple_of(8);
        evidence.push(Evidence {
            what: "what was written over its frame".into(),
            address: Some(at),
            value: inquiry.kernel.target().read_u64(at).ok(),
            command: format!("rd {:x} {}", at, (run.end - run.start).div_ceil(8).min(64)),
        });
    }
    let mut finding = Finding::new(
        Cause::StackCorruption,
        Confidence::Certain,
        format!(
            "{function} found on its return that its own stack frame was written over, the \
             protector's word in front of the return address among it{damage}"
        ),
        evidence,
    );
    finding.function = Some(function);
    Some(finding)
}

/// The longest run of one byte, at least 16 long, in a part of the stack.
fn longest_run(inquiry: &Inquiry<'_>, start: u64, end: u64) -> Option<Run> {
    let mut longest: Option<Run> = None;
    let mut at = start.next_multiple_of(8);
    while at.saturating_add(8) <= end && at - start < 16 << 10 {
        match Run::around(inquiry.kernel, at) {
            Some(run) => {
                let bytes = |run: &Run| run.end - run.start;
                if bytes(&run) >= 16 && longest.as_ref().is_none_or(|it| bytes(it) < bytes(&run)) {
                    longest = Some(run);
                }
                at = run.end.next_multiple_of(8).max(at + 8);
            }
            None => at += 8,
        }
    }
    longest
}
