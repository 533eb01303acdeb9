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

/// Where a task leaves the kernel, or ends: what it brings along there was not given back before.
const LEAVES: [&str; 6] = [
    "do_task_dead",
    "do_exit",
    "exit_to_user_mode_loop",
    "irqentry_exit_to_user_mode",
    "syscall_exit_to_user_mode",
    "do_syscall_64",
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
    let leaves = function.as_deref().is_some_and(|function| LEAVES.contains(&function));
    let by = function.as_deref().unwrap_or("a task");
    let place = if rcu { "within an RCU read-side critical section" } else { "in atomic context" };
    let mut finding = Finding::new(
        Cause::SchedulingWhileAtomic,
        Confidence::Certain,
        match leaves {
            false => format!("{by} {did} {place}, where a task must not sleep: {}", report.title),
            true => format!(
                "a task {did} in {by} {place}, where it must not sleep: what it had run before in the \
                 kernel took a lock, or switched preemption off, and never gave that back: {}",
                report.title
            ),
        },
        vec![
            Evidence::shown(format!("the report, {:?}", report.title), "oops"),
            Evidence::shown(format!("who {did}"), "bt"),
        ],
    );
    finding.function = function.filter(|_| !leaves);
    Some(finding)
}
