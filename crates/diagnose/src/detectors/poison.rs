//! A bad value that is a pattern which the allocator writes (slub_debug=P), or that was read out of
//! an object which is free: the object was used after it was freed, or before it was written.

use necropsy_disasm::Flow;
use necropsy_lexicon::value::{self, PoisonKind};
use necropsy_linux::Kernel;
use necropsy_machine::dataflow::function_of;

use crate::{
    cause::Cause,
    explain::{Happened, Step, code},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "poison", causes: &[Cause::UseAfterFree, Cause::Uninitialised], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let found = by_pattern(inquiry).or_else(|| by_free_pointer(inquiry));
    found.or_else(|| by_state(inquiry)).into_iter().collect()
}

/// The values that led to the failure, the failing address among them.
fn values<'a>(inquiry: &'a Inquiry<'_>) -> Vec<(u64, Option<&'a Step>)> {
    let Some(explanation) = inquiry.explanation() else { return Vec::new() };
    if !matches!(explanation.what, Happened::Access(_) | Happened::BadJump { .. }) {
        return Vec::new();
    }
    let steps = explanation.steps.iter().filter_map(|step| Some((step.value?, Some(step))));
    steps.chain(explanation.address.map(|address| (address, None))).collect()
}

/// Whether the pointer by which a value was read is what an allocator had just given to the function
/// that failed, which gives nothing back itself.
fn just_allocated(inquiry: &Inquiry<'_>, step: &Step) -> bool {
    const ALLOCATES: [&str; 6] = [
        "kmalloc",
        "__kmalloc",
        "kmem_cache_alloc",
        "__kmem_cache_alloc",
        "kvmalloc",
        "__do_kmalloc",
    ];
    let Some(explanation) = inquiry.explanation() else { return false };
    // What a value was read by stands below it.
    let below = explanation.steps.iter().skip_while(|it| !std::ptr::eq(*it, step)).nth(1);
    let base = below.filter(|base| base.depth == step.depth + 1 && base.frame == step.frame);
    let Some(at) = base.and_then(|base| Some(base.instruction.as_ref()?.address)) else {
        return false;
    };
    let call = code::effects_at(inquiry.kernel, at).filter(|effects| effects.flow == Flow::Call);
    let called = call.and_then(|effects| code::goes_to(inquiry.kernel, &effects));
    let allocates = called.is_some_and(|name| ALLOCATES.iter().any(|it| name.starts_with(it)));
    allocates && !may_free(inquiry.kernel, at)
}

/// Whether the function around an address calls what frees; one whose code is not known may.
fn may_free(kernel: &Kernel, at: u64) -> bool {
    let Some(function) = function_of(kernel.target(), at) else { return true };
    let frees = |effects| code::goes_to(kernel, effects).is_some_and(|to| crate::blame::frees(&to));
    function.code().instructions.values().any(|insn| frees(&insn.effects))
}

/// The words of an object that hold a pattern of equal bytes.
fn filled(inquiry: &Inquiry<'_>, place: &Place, byte: u8) -> bool {
    let Ok(bytes) = inquiry.kernel.target().read_bytes(place.start, place.cache.object_size) else {
        return false;
    };
    bytes.len() >= 16 && bytes.iter().filter(|found| **found == byte).count() * 2 > bytes.len()
}

fn by_pattern(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let (value, poison, step) = values(inquiry).into_iter().find_map(|(value, step)| {
        let near = value::near_poison(value, true)?;
        matches!(near.poison.kind, PoisonKind::Freed | PoisonKind::NeverWritten).then_some((
            value,
            near.poison,
            step,
        ))
    })?;
    let home = step.and_then(|step| step.read_from);
    let place = home.and_then(|home| Place::of(inquiry.kernel, home));
    let byte = poison.value.to_le_bytes()[1];
    let full = place.as_ref().is_some_and(|place| filled(inquiry, place, byte));
    // What has been handed out keeps the pattern of the time when it was free until somebody
    // writes to it (mm/slub.c, init_object()).
    let handed_out = full && place.as_ref().is_some_and(|place| place.allocated == Some(true));
    let fresh = handed_out || step.is_some_and(|step| just_allocated(inquiry, step));
    let freed = poison.kind == PoisonKind::Freed && !fresh;
    let class = if freed { Cause::UseAfterFree } else { Cause::Uninitialised };
    // The object itself bears it out: it is free. That one in use was used by its owner, and not by
    // somebody who had it before, is an inference.
    let borne_out =
        full && freed && place.as_ref().is_some_and(|place| place.allocated == Some(false));
    let of = place.as_ref().map_or(String::new(), |place| format!(" of {}", place.words()));
    let name = step.and_then(|step| step.name.as_deref());
    let name = name.map_or(String::new(), |name| format!(" as {name}"));
    let what = if freed {
        "an object was used after it was freed"
    } else {
        "memory was used that nobody had written since it was handed out"
    };
    let mut evidence = vec![Evidence {
        what: format!("the value that was used: {}", poison.words),
        address: None,
        value: Some(value),
        command: "explain".into(),
    }];
    if let Some(home) = home {
        evidence.push(Evidence {
            what: "the word that it was read from".into(),
            address: Some(home),
            value: inquiry.kernel.target().read_u64(home).ok(),
            command: format!("rd {home:x}"),
        });
    }
    evidence.extend(place.as_ref().map(|place| inquiry.state_of(place)));
    Some(Finding {
        class,
        statement: format!("{what}: {} was read{name}{of}", shown(value, poison.name)),
        confidence: if borne_out { Confidence::Certain } else { Confidence::Likely },
        evidence,
        object: place.map(|place| place.object(step.and_then(|step| step.name.clone()))),
        function: None,
        task: None,
    })
}

fn shown(value: u64, name: &str) -> String {
    format!("{value:016x} ({name})")
}

/// A value that is the allocator's own pointer to the next free object, as it was mangled: whoever
/// read it read what nobody had written since the object was free.
fn by_free_pointer(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let suspect = inquiry.suspect()?;
    let (home, value) = (suspect.home?, suspect.value);
    let place = Place::of(kernel, home)?;
    let pointers = kernel.free_pointers(place.cache.address).ok()?;
    if place.offset != pointers.offset || pointers.random == 0 {
        return None;
    }
    let next = value ^ pointers.random ^ home.swap_bytes();
    let leads = Place::of(kernel, next)
        .filter(|leads| leads.offset == 0 && leads.cache.address == place.cache.address);
    if next != 0 && leads.is_none() {
        return None;
    }
    let (class, what) = match place.allocated {
        Some(true) => (Cause::Uninitialised, "memory was used that nobody had written"),
        _ => (Cause::UseAfterFree, "an object was used after it was freed"),
    };
    let to = leads.map_or("the end of the list".into(), |leads| leads.words());
    Some(Finding {
        class,
        statement: format!(
            "{what}: {value:016x}, read at {home:x} in {}, is the allocator's own pointer there, \
             mangled; undone it leads to {to}",
            place.words()
        ),
        confidence: Confidence::Likely,
        evidence: vec![
            Evidence {
                what: "the value, where it was read".into(),
                address: Some(home),
                value: Some(value),
                command: format!("rd {home:x}"),
            },
            inquiry.state_of(&place),
        ],
        object: Some(place.object(suspect.name.clone())),
        function: None,
        task: None,
    })
}

/// A value read from an object that is free, or a pointer to one: without poison it holds what it
/// held, or what the allocator wrote into it.
fn by_state(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    if !matches!(explanation.what, Happened::Access(_) | Happened::BadJump { .. }) {
        return None;
    }
    // What callers read, they read before: the object may have been freed, rightly, since.
    let steps = explanation.steps.iter().filter(|step| step.frame == explanation.frame);
    let (step, home, place) = steps.into_iter().find_map(|step| {
        let home = step.read_from?;
        let place = Place::of(inquiry.kernel, home)?;
        // The allocator reads free objects: that is its business.
        let allocator = step.r#type.as_deref().is_some_and(|ty| ty.contains("kmem_cache"));
        (place.allocated == Some(false) && !allocator).then_some((step, home, place))
    })?;
    let in_allocator = inquiry.case.as_ref()?.failed().is_some_and(|failed| {
        inquiry
            .case
            .as_ref()
            .and_then(|case| case.function(failed))
            .is_some_and(crate::blame::frees)
    });
    if in_allocator {
        return None;
    }
    let value = step.value?;
    let name = step.name.as_deref().map_or(String::new(), |name| format!(" ({name})"));
    Some(Finding {
        class: Cause::UseAfterFree,
        statement: format!(
            "a pointer to freed memory was followed: {value:016x}{name} was read at {home:x}, in {}",
            place.words()
        ),
        confidence: Confidence::Likely,
        evidence: vec![
            Evidence {
                what: "the value, and the object that it was read from".into(),
                address: None,
                value: Some(value),
                command: "explain".into(),
            },
            inquiry.state_of(&place),
        ],
        object: Some(place.object(step.name.clone())),
        function: None,
        task: None,
    })
}
