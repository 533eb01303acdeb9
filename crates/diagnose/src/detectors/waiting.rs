//! Tasks that wait for each other, and tasks that hold all others up: the wait-for graph of a
//! machine that a watchdog stopped.

use std::collections::HashSet;

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
    // The hung-task detector speaks of a task that waits; other reports name whoever ran.
    let hung = inquiry.symptom() == Some(Symptom::HungTask);
    let complained = || Some(super::hang::complained_of(inquiry)?.address);
    let complained = hung.then(complained).flatten();
    // One that is certain is worth more than the first, and of those one that was complained of.
    let worth = |cycle: &&Cycle| (cycle.certain, is_in(cycle, complained));
    let Some(told) = cycles.iter().rev().max_by_key(worth) else { return Vec::new() };
    // Others are as sure as the one that is told, or no word of it.
    let others = cycles.iter().filter(|cycle| cycle.certain || !told.certain).count() - 1;
    vec![finding(inquiry, graph, told, complained, others)]
}

fn is_in(cycle: &Cycle, task: Option<u64>) -> bool {
    cycle.steps.iter().any(|step| Some(step.task) == task)
}

/// Whether a task waits for one of a circle, directly or through others.
fn waits_behind(graph: &Graph<'_>, task: u64, cycle: &Cycle) -> bool {
    let mut seen = HashSet::new();
    let mut at = task;
    while seen.insert(at) {
        let Some(holder) = graph.waits_for(at).and_then(|(lock, _)| lock.held_by()) else {
            return false;
        };
        if cycle.steps.iter().any(|step| step.task == holder) {
            return true;
        }
        at = holder;
    }
    false
}

fn finding(
    inquiry: &Inquiry<'_>,
    graph: &Graph<'_>,
    cycle: &Cycle,
    complained: Option<u64>,
    others: usize,
) -> Finding {
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
    // That tasks wait for each other is one thing, that the kernel panicked for them another.
    let mut for_them = true;
    if let Some(task) = complained.filter(|_| !is_in(cycle, complained)) {
        for_them = waits_behind(graph, task, cycle);
        let how = if for_them { "waits for them" } else { "is none of them, nor waits for them" };
        told.push(format!("the kernel complained of {}, which {how}", inquiry.who(task)));
    }
    let first = cycle.steps.iter().find(|step| Some(step.task) == complained);
    let first = first.or(cycle.steps.first());
    Finding {
        class: Cause::Deadlock,
        statement: match cycle.steps.len() {
            1 => format!("a task waits for itself: {}", told.join("; ")),
            _ => format!("tasks wait for each other: {}", told.join("; ")),
        },
        confidence: match cycle.certain && for_them {
            true => Confidence::Certain,
            false => Confidence::Likely,
        },
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
    case.blamed_name(0).or_else(|| inquiry.work_of(task))
}
