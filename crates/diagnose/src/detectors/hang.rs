//! A task that the hung-task detector complained of: what it waits for, and what whoever has that
//! does.

use necropsy_lexicon::Symptom;
use necropsy_linux::{
    locks::{Certainty, LockKind},
    task::{State, Task},
};

use crate::{
    case::Case,
    cause::Cause,
    explain::code,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
    waits::{Contended, Graph},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "hang", causes: &[Cause::HungTask], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let hung = matches!(inquiry.symptom(), Some(Symptom::HungTask | Symptom::WorkqueueLockup))
        || by_khungtaskd(inquiry);
    hung.then(|| find(inquiry)).flatten().into_iter().collect()
}

/// Whether the thread that looks for hung tasks called panic() (kernel/hung_task.c): whatever its words.
pub(super) fn by_khungtaskd(inquiry: &Inquiry<'_>) -> bool {
    let Some(case) = inquiry.case.as_ref() else { return false };
    let caller = case.panic_caller().and_then(|(number, _)| case.function(number));
    caller.is_some_and(|caller| crate::blame::whole(caller) == "watchdog")
}

/// The task that the report speaks of, if it still waits: its number may be another's by now.
pub(super) fn complained_of<'k>(inquiry: &Inquiry<'k>) -> Option<Task<'k>> {
    let report = inquiry.report?;
    let told = report.stall.as_ref().and_then(|stall| stall.tasks.first().copied()).or(report.pid);
    let task = inquiry.kernel.task_by_pid(u64::from(told?)).ok()??;
    (task.state() == Ok(State::Uninterruptible)).then_some(task)
}

/// The task that the report speaks of; where it cannot be told, the one that waits longest.
fn hung<'k>(inquiry: &Inquiry<'k>, graph: &Graph<'k>) -> Option<Task<'k>> {
    let kernel = inquiry.kernel;
    inquiry.report?;
    let told = complained_of(inquiry);
    told.or_else(|| {
        let waiters = graph.locks.iter().flat_map(|contended| &contended.waiters);
        let longest = waiters.max_by_key(|waiter| waiter.since_ns)?;
        Some(kernel.task_at(longest.task))
    })
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let graph = inquiry.graph();
    let task = hung(inquiry, graph)?;
    let who = inquiry.who(task.address);
    let case = Case::of(inquiry.kernel, task).ok();
    let blamed = |case: &Case<'_>| {
        let at = case.blamed_from(0)?;
        Some((case.function(at)?.to_owned(), case.trace().frames.get(at)?.pc))
    };
    let waits_in = case.as_ref().and_then(blamed);
    let mut evidence = Vec::new();
    let mut said = match &waits_in {
        Some((function, pc)) => {
            evidence.push(Evidence {
                what: format!("where {who} waits: {function}"),
                address: Some(*pc),
                value: None,
                command: format!("bt {:x}", task.address),
            });
            format!("{who} waits in {function}")
        }
        None => format!("{who} waits"),
    };
    let mut function = waits_in.map(|(function, _)| function);
    let mut object = None;
    if let Some((contended, _)) = graph.waits_for(task.address) {
        let told = lock(inquiry, contended);
        said.push_str(&told.said);
        evidence.extend(told.evidence);
        object = Some(Object { address: contended.lock.address, cache: None, member: None });
        // Whoever has the lock keeps the others from going on.
        function = told.function.or(function);
    }
    let mut finding = Finding::new(Cause::HungTask, Confidence::Certain, said, evidence);
    // The work item or the log tells where the task waited, if its stack does not.
    finding.function = function
        .or_else(|| inquiry.work_of(task.address))
        .or_else(|| inquiry.report.and_then(|report| report.frame.clone()));
    finding.object = object;
    finding.task = Some(task.address);
    Some(finding)
}

/// What is told of the lock that a task waits for.
struct Told {
    said: String,
    evidence: Vec<Evidence>,
    function: Option<String>,
}

fn lock(inquiry: &Inquiry<'_>, contended: &Contended) -> Told {
    let lock = contended.lock;
    let name = contended.name.clone().unwrap_or_else(|| format!("{:x}", lock.address));
    let mut said = format!(" for the {} {name}", lock.kind.name());
    let who = if is_event(lock.kind) { "waits for it" } else { "has it" };
    let mut evidence = vec![Evidence {
        what: format!("the {} {name}, and who {who}", lock.kind.name()),
        address: Some(lock.address),
        value: None,
        command: "locks".into(),
    }];
    let mut function = None;
    match contended.held_by() {
        Some(holder) => {
            let by = inquiry.who(holder);
            let how = match contended.holder.certainty {
                Certainty::Known => "has",
                Certainty::Inferred => "has, as memory of the process says",
                _ => "had last, and may still have",
            };
            said.push_str(&format!(", which {by} {how}"));
            match Case::of(inquiry.kernel, inquiry.kernel.task_at(holder)) {
                Ok(case) => {
                    let at = case.blamed_from(0);
                    let frame = at.and_then(|at| case.trace().frames.get(at));
                    if let Some((at, frame)) = at.zip(frame) {
                        let state = case.task.state().map_or("", |state| state.name());
                        let place = code::location(inquiry.kernel, frame.pc);
                        said.push_str(&format!("; that task ({state}) is in {place}"));
                        evidence.push(Evidence {
                            what: format!("what {by} does"),
                            address: Some(frame.pc),
                            value: None,
                            command: format!("bt {holder:x}"),
                        });
                        if contended.holder.certainty == Certainty::Known {
                            function = case.function(at).map(str::to_owned);
                        }
                    }
                }
                Err(why) => said.push_str(&format!(" (what that task does is not known: {why})")),
            }
        }
        None if is_event(lock.kind) => said.push_str(
            ": nobody holds such a thing, somebody has to wake the waiter. It did not happen, or \
             the wake-up was lost",
        ),
        None if !inquiry.graph().errors.is_empty() => {
            said.push_str("; who has it cannot be told, not all could be read");
        }
        None => said.push_str(", which does not say who has it"),
    }
    let others = contended.waiters.len().saturating_sub(1);
    if others > 0 {
        said.push_str(&format!("; {others} more wait for it"));
    }
    Told { said, evidence, function }
}

fn is_event(kind: LockKind) -> bool {
    matches!(kind, LockKind::WaitQueue | LockKind::SimpleWaitQueue | LockKind::Completion)
}
