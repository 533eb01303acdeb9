//! Tasks that wait for each other, and tasks that hold all others up: the wait-for graph of a
//! machine that a watchdog stopped.

use necropsy_lexicon::Symptom;
use necropsy_linux::locks::LockKind;

use crate::{
    case::Case,
    cause::Cause,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
    waits::{Cycle, Graph},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "waiting", causes: &[Cause::Deadlock], detect };

/// More tasks of a circle are counted.
const MOST_TOLD: usize = 8;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let hangs = matches!(
        inquiry.symptom(),
        None | Some(
            Symptom::HungTask
                | Symptom::SoftLockup
                | Symptom::HardLockup
                | Symptom::RcuStall
                | Symptom::WorkqueueLockup
                | Symptom::Panic
                | Symptom::SysRq
        )
    );
    if !hangs {
        return Vec::new();
    }
    let graph = inquiry.graph();
    let cycles = graph.cycles();
    // One that is certain is worth more than the first.
    let told = cycles.iter().find(|cycle| cycle.certain).or(cycles.first());
    told.map(|cycle| finding(inquiry, graph, cycle, cycles.len() - 1)).into_iter().collect()
}

fn finding(inquiry: &Inquiry<'_>, graph: &Graph<'_>, cycle: &Cycle, others: usize) -> Finding {
    let mut told = Vec::new();
    let mut evidence = Vec::new();
    for step in cycle.steps.iter().take(MOST_TOLD) {
        let named = graph.locks.iter().find(|contended| contended.lock == step.waits_for);
        let name = named.and_then(|contended| contended.name.clone());
        let lock = name.unwrap_or_else(|| format!("at {:x}", step.waits_for.address));
        let (kind, by) = (step.waits_for.kind.name(), inquiry.who(step.held_by));
        let (verb, held) = match step.waits_for.kind {
            LockKind::Completion => ("has to complete", "to be completed"),
            _ => ("holds", "held"),
        };
        let who = inquiry.who(step.task);
        told.push(format!("{who} waits for the {kind} {lock}, which {by} {verb}"));
        evidence.push(Evidence {
            what: format!("{kind} {lock}: {held} by {by}"),
            address: Some(step.waits_for.address),
            value: None,
            command: "locks".into(),
        });
    }
    if cycle.steps.len() > MOST_TOLD {
        told.push(format!("and so on: {} tasks in all", cycle.steps.len()));
    }
    match others {
        0 => {}
        1 => told.push("and there is one more such circle".into()),
        _ => told.push(format!("and there are {others} more such circles")),
    }
    let first = cycle.steps.first();
    Finding {
        class: Cause::Deadlock,
        statement: match cycle.steps.len() {
            1 => format!("a task waits for itself: {}", told.join("; ")),
            _ => format!("tasks wait for each other: {}", told.join("; ")),
        },
        confidence: if cycle.certain { Confidence::Certain } else { Confidence::Likely },
        evidence,
        object: first.map(|step| Object {
            address: step.waits_for.address,
            cache: None,
            member: None,
        }),
        function: first.and_then(|step| waits_in(inquiry, step.task)),
        task: first.map(|step| step.task),
    }
}

/// The function of a task that wanted the lock.
fn waits_in(inquiry: &Inquiry<'_>, task: u64) -> Option<String> {
    let case = Case::of(inquiry.kernel, inquiry.kernel.task_at(task)).ok()?;
    case.blamed_name(0)
}
