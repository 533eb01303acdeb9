//! A task that slept where it must not: with preemption off, in an interrupt, within an RCU read-side
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
/// The functions that notice it.
const NOTICE: [&str; 5] = [
    "__schedule_bug",
    "rcu_note_context_switch",
    "__might_resched",
    "___might_sleep",
    "__might_sleep",
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
    let noticed = NOTICE.iter().find_map(|function| case.frame_of(function))?;
    let function = case.blamed_name(noticed + 1);
    let by = function.as_deref().unwrap_or("a task");
    let place = if rcu { "within an RCU read-side critical section" } else { "in atomic context" };
    let mut finding = Finding::new(
        Cause::SchedulingWhileAtomic,
        Confidence::Certain,
        format!("{by} slept {place}, where it must not: {}", report.title),
        vec![
            Evidence::shown(format!("the report, {:?}", report.title), "oops"),
            Evidence::shown("who slept", "bt"),
        ],
    );
    finding.function = function;
    Some(finding)
}
