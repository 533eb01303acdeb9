//! A task that slept, or might have, where it must not: with preemption off, in an interrupt, within an RCU read-side
//! critical section.

use necropsy_lexicon::Symptom;

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "atomic", causes: &[Cause::SchedulingWhileAtomic], detect };

/// What the kernel says of it, where it is no report of its own kind (kernel/rcu/tree_plugin.h).
const WORDS: &str = "context switch within RCU read-side critical section";
/// The functions that notice it, and what the task then did: those of might_sleep() speak before
/// anything sleeps, and whether it would have is not known.
const NOTICE: [(&str, &str); 5] = [
    ("__schedule_bug", "gave up the CPU"),
    ("rcu_note_context_switch", "gave up the CPU"),
    ("__might_resched", "called what may sleep"),
    ("___might_sleep", "called what may sleep"),
    ("__might_sleep", "called what may sleep"),
];

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let report = inquiry.report?;
    let mut lines = report.text.iter().chain(&report.said).chain(std::iter::once(&report.title));
    let rcu = lines.any(|line| line.contains(WORDS));
    if !rcu && report.class != Symptom::Atomic {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    let (noticed, did) =
        NOTICE.iter().find_map(|(function, did)| Some((case.frame_of(function)?, *did)))?;
    let function = case.blamed_name(noticed + 1);
    let by = function.as_deref().unwrap_or("a task");
    let place = if rcu { "within an RCU read-side critical section" } else { "in atomic context" };
    let mut finding = Finding::new(
        Cause::SchedulingWhileAtomic,
        Confidence::Certain,
        format!("{by} {did} {place}, where a task must not sleep: {}", report.title),
        vec![
            Evidence::shown(format!("the report, {:?}", report.title), "oops"),
            Evidence::shown(format!("who {did}"), "bt"),
        ],
    );
    finding.function = function;
    Some(finding)
}
