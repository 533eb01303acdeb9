//! Where what a verdict speaks of lies: marks for a map of memory, and the slab around a damaged object.

use crate::{
    explain::{Happened, code},
    finding::Verdict,
    inquiry::Inquiry,
    place::{Place, Run},
};

/// An address that a verdict speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Where.
    pub address: u64,
    /// What is there.
    pub what: String,
}

/// A slab, object by object.
#[derive(Debug)]
pub struct SlabMap {
    /// Its cache's name.
    pub cache: String,
    /// Its first byte.
    pub start: u64,
    /// From one object to the next, in bytes.
    pub stride: u64,
    /// Its objects, ascending.
    pub slots: Vec<Slot>,
}

/// An object of a slab.
#[derive(Debug)]
pub struct Slot {
    /// Its first byte.
    pub address: u64,
    /// Whether it is in use, where that is known.
    pub allocated: Option<bool>,
    /// It is what the verdict speaks of, or damaged like that.
    pub damaged: bool,
}

/// No slab has more objects that could be told apart in a drawing.
const MOST_SLOTS: u64 = 1024;

pub(super) fn marks(inquiry: &Inquiry<'_>, verdict: Option<&Verdict>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut mark = |address: u64, what: String| {
        if !marks.iter().any(|other| other.address == address) {
            marks.push(Mark { address, what });
        }
    };
    // Whoever panicked for another task is of no interest.
    let case = inquiry.case.as_ref().filter(|case| {
        verdict.and_then(|verdict| verdict.task).is_none_or(|task| task == case.task.address)
    });
    let failed = case.and_then(|case| case.trace().frames.get(case.failed()?));
    if let Some(frame) = failed {
        let at = code::location(inquiry.kernel, frame.pc);
        mark(frame.pc, format!("the instruction, {at}"));
        mark(frame.sp, "the stack of the task".into());
    }
    match inquiry.explanation().map(|explanation| &explanation.what) {
        Some(Happened::Access(access)) => mark(access.address, "the address that was used".into()),
        Some(Happened::BadJump { to, .. }) => mark(*to, "where control went".into()),
        _ => {}
    }
    if let Some(suspect) = inquiry.suspect() {
        mark(suspect.value, "the bad value".into());
        if let Some(home) = suspect.home {
            mark(home, "the word that holds it".into());
        }
    }
    if let Some(object) = verdict.and_then(|verdict| verdict.object.as_ref()) {
        let what = if object.cache.is_some() { "the object" } else { "what it is about" };
        mark(object.address, what.into());
    }
    if let Some(task) = verdict.and_then(|verdict| verdict.task) {
        mark(task, format!("the task to look at, {}", inquiry.who(task)));
    }
    marks
}

pub(super) fn slab(inquiry: &Inquiry<'_>, verdict: Option<&Verdict>) -> Option<SlabMap> {
    let kernel = inquiry.kernel;
    let object = verdict.and_then(|verdict| verdict.object.as_ref()).map(|object| object.address);
    let home = inquiry.suspect().and_then(|suspect| suspect.home);
    let at = object.or(home)?;
    let place = Place::of(kernel, at)?;
    let run = home.and_then(|home| Run::around(kernel, home));
    let (from, to) = run.map_or((at, at + 1), |run| (run.start, run.end));
    let held = kernel.held_of(&place.cache);
    let states = kernel.slab_states(&place.cache, &place.slab, &held);
    let stride = place.cache.stride;
    let slots = (0..place.slab.objects.min(MOST_SLOTS)).map(|number| {
        let address = place.cache.nth(&place.slab, number);
        let size = place.cache.object_size;
        let holds = |at: u64| at.checked_sub(address).is_some_and(|offset| offset < size);
        Slot {
            address,
            allocated: states.of(number, address, &held).allocated(),
            damaged: address == place.start || holds(from) || (from < address && address < to),
        }
    });
    let slots = slots.collect();
    Some(SlabMap { cache: place.cache_name(), start: place.slab.start, stride, slots })
}
