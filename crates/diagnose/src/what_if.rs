//! Hypotheses put to memory: would the bad value, and the bytes around it, follow from it?

use crate::{
    cause::Cause,
    finding::{Finding, Rejected, Verdict},
    inquiry::Inquiry,
    place::{Place, Run},
    suspect::Suspect,
};

/// Hypotheses that memory contradicts, with what contradicts them.
pub(crate) fn rejected(inquiry: &Inquiry<'_>, verdict: &Verdict) -> Vec<Rejected> {
    let mut rejected = Vec::new();
    let Some(suspect) = Suspect::of(inquiry) else { return rejected };
    let mut reject = |hypothesis: Cause, because: String| {
        if verdict.class != hypothesis {
            rejected.push(Rejected { hypothesis, because });
        }
    };
    let memory = matches!(
        verdict.class,
        Cause::UseAfterFree
            | Cause::OutOfBounds
            | Cause::Uninitialised
            | Cause::BadPointer
            | Cause::ListCorruption
            | Cause::ByteCorruption
    );
    let repaired =
        || (0..64).any(|bit| Place::of(inquiry.kernel, suspect.value ^ (1u64 << bit)).is_some());
    if memory && !repaired() {
        reject(
            Cause::BitFlip,
            format!(
                "no one bit of {:016x}, flipped back, makes it lead to an object",
                suspect.value
            ),
        );
    }
    let Some(home) = suspect.home else { return rejected };
    let Some(place) = Place::of(inquiry.kernel, home) else { return rejected };
    if place.allocated == Some(true) && verdict.class != Cause::OutOfBounds {
        reject(
            Cause::UseAfterFree,
            format!("what holds the value at {home:x}, {}, is not free now", place.words()),
        );
    }
    match Run::around(inquiry.kernel, home) {
        Some(run) if run.start > place.start => reject(
            Cause::OutOfBounds,
            format!("the damage, {}, begins inside the object, not at its edge", run.words()),
        ),
        _ => {}
    }
    rejected
}

/// What was looked at and is in order.
pub(crate) fn checked(inquiry: &Inquiry<'_>, findings: &[Finding]) -> Vec<String> {
    let mut checked = Vec::new();
    let found = |class: Cause| findings.iter().any(|finding| finding.class == class);
    if let Some(case) = &inquiry.case
        && let Ok(stack) = case.task.own_stack()
        && !found(Cause::StackOverflow)
    {
        let sp = case.failed().and_then(|at| case.trace().frames.get(at)).map(|frame| frame.sp);
        if let Some(left) =
            sp.and_then(|sp| sp.checked_sub(stack.start)).filter(|left| *left < 1 << 20)
        {
            checked.push(format!("the stack of the task: {left} bytes were left on it"));
        }
    }
    if let Some(graph) = inquiry.graph_if_made()
        && !found(Cause::Deadlock)
        // Of tasks that cannot be read nothing is known.
        && graph.errors.is_empty()
    {
        checked.push(format!(
            "tasks that wait for each other: none; {} locks are waited for",
            graph.locks.len()
        ));
    }
    checked
}
