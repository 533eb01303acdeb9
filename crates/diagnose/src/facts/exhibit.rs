//! What is worth drawing: code around the failing instruction, damaged objects, who waits for whom.

use std::ops::Range;

use crate::{
    explain::code,
    finding::Diagnosis,
    inquiry::Inquiry,
    place::{Place, Run},
};

/// Bytes or lines, some of them marked.
#[derive(Debug)]
pub struct Exhibit {
    /// What it is.
    pub title: String,
    /// The address of the first byte.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Those that are damaged.
    pub marked: Range<usize>,
    /// Lines in place of bytes, the marked ones with `true`.
    pub lines: Option<Vec<(String, bool)>>,
}

/// A task, what it waits for, and who has that.
#[derive(Debug)]
pub struct Wait {
    /// The task.
    pub task: String,
    /// What it waits for.
    pub lock: String,
    /// Who has it.
    pub holder: String,
}

/// No object is shown further, in bytes.
const LARGEST: u64 = 512;
/// Instructions before and behind the failing one.
const AROUND: usize = 8;
/// Waiting tasks that are drawn.
const MOST_WAITS: usize = 12;

pub(super) fn exhibits(inquiry: &Inquiry<'_>, diagnosis: &Diagnosis) -> Vec<Exhibit> {
    let used = || bytes(inquiry, inquiry.suspect()?.home?);
    [listing(inquiry), used().or_else(|| spoken_of(inquiry, diagnosis))]
        .into_iter()
        .flatten()
        .collect()
}

/// The code around the failing instruction.
fn listing(inquiry: &Inquiry<'_>) -> Option<Exhibit> {
    let case = inquiry.case.as_ref()?;
    // Who calls panic() for what others did has no failing instruction.
    case.exception()?;
    let failing = inquiry.explanation()?.instruction.as_ref()?.address;
    let function = necropsy_machine::dataflow::function_of(inquiry.kernel.target(), failing)?;
    let mut at = function.start();
    let mut lines = Vec::new();
    let mut found = None;
    while let Some(listed) = code::listed(case, at) {
        if at == failing {
            found = Some(lines.len());
        }
        lines.push((format!("{}: {}", listed.location, listed.text), at == failing));
        if found.is_some_and(|found| lines.len() > found + AROUND) {
            break;
        }
        let Some(next) = function.instruction(at).map(|insn| insn.end) else { break };
        at = next;
    }
    let lines = lines.split_off(found?.saturating_sub(AROUND));
    Some(Exhibit {
        title: "Code around the failing instruction".into(),
        address: failing,
        bytes: Vec::new(),
        marked: 0..0,
        lines: Some(lines),
    })
}

/// The object that the verdict speaks of, by what its evidence found in it or behind it.
fn spoken_of(inquiry: &Inquiry<'_>, diagnosis: &Diagnosis) -> Option<Exhibit> {
    let object = diagnosis.verdict.as_ref()?.object.as_ref()?;
    let stride = Place::of(inquiry.kernel, object.address)?.cache.stride;
    let seen = diagnosis.findings.iter().flat_map(|finding| &finding.evidence);
    let mut seen = seen.filter(|evidence| evidence.value.is_some()).filter_map(|it| it.address);
    let within = |at: &u64| at.checked_sub(object.address).is_some_and(|offset| offset < stride);
    bytes(inquiry, seen.find(within)?)
}

/// The object around a word that is damaged, and what lies between it and the next.
fn bytes(inquiry: &Inquiry<'_>, damaged: u64) -> Option<Exhibit> {
    let place = Place::of(inquiry.kernel, damaged)?;
    let size = match place.offset < place.cache.object_size {
        true => place.cache.object_size,
        false => place.cache.stride,
    };
    let bytes = inquiry.kernel.target().read_bytes(place.start, size.min(LARGEST)).ok()?;
    let run = Run::around(inquiry.kernel, damaged);
    let (from, to) = run.map_or((damaged, damaged + 8), |run| (run.start, run.end));
    let within = |at: u64| {
        usize::try_from(at.saturating_sub(place.start)).unwrap_or(usize::MAX).min(bytes.len())
    };
    Some(Exhibit {
        title: format!("The {}", place.words()),
        address: place.start,
        marked: within(from)..within(to),
        bytes,
        lines: None,
    })
}

pub(super) fn waits(inquiry: &Inquiry<'_>) -> Vec<Wait> {
    let Some(graph) = inquiry.graph_if_made() else { return Vec::new() };
    let waits = graph.locks.iter().filter(|contended| contended.held_by().is_some());
    let waits = waits
        .flat_map(|contended| contended.waiters.iter().map(move |waiter| (waiter.task, contended)));
    let name = |lock: &crate::waits::Contended| {
        let at = || format!("{:x}", lock.lock.address);
        format!("{} {}", lock.lock.kind.name(), lock.name.clone().unwrap_or_else(at))
    };
    let wait = |(task, lock): (u64, &crate::waits::Contended)| {
        let holder = inquiry.who(lock.held_by()?);
        Some(Wait { task: inquiry.who(task), lock: name(lock), holder })
    };
    waits.filter_map(wait).take(MOST_WAITS).collect()
}
