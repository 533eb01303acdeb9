//! An object that is full of one byte, as other objects of its cache are that are free: somebody
//! fills what is not his any more.

use crate::{
    cause::Cause,
    explain::Happened,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::{Place, Run},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "filled", causes: &[Cause::UseAfterFree], detect };

/// Objects of the cache that are looked at.
const MOST_OBJECTS: usize = 20_000;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    if inquiry.quick || !matches!(explanation.what, Happened::Access(_) | Happened::BadJump { .. })
    {
        return None;
    }
    let kernel = inquiry.kernel;
    let homes = explanation.steps.iter().filter_map(|step| Some((step.read_from?, step.value?)));
    let (place, run) = homes.into_iter().find_map(|(home, _)| {
        let run = Run::around(kernel, home & !7)?;
        let place = Place::of(kernel, home)?;
        let whole = run.start <= place.start && run.end >= place.start + place.cache.object_size;
        whole.then_some((place, run))
    })?;
    let (mut filled, mut free) = (0, 0);
    let held = kernel.held_of(&place.cache);
    let slabs = kernel.slabs().ok()?.of(place.cache.address);
    let mut looked = 0;
    for slab in slabs {
        let states = kernel.slab_states(&place.cache, slab, &held);
        for number in 0..slab.objects {
            looked += 1;
            if looked > MOST_OBJECTS {
                break;
            }
            let object = place.cache.nth(slab, number);
            let bytes = kernel.target().read_bytes(object, place.cache.object_size);
            // The allocator's own pointer may have been written anew since.
            let same = |bytes: &[u8]| {
                bytes.iter().filter(|byte| **byte == run.byte).count() + 8 >= bytes.len()
            };
            if bytes.is_ok_and(|bytes| same(&bytes)) {
                filled += 1;
                free += usize::from(states.of(number, object, &held).allocated() != Some(true));
            }
        }
    }
    if free == 0 || filled < 2 {
        return None;
    }
    let (start, end) = (place.start, place.start + place.cache.object_size);
    let byte = Run { start, end, ..run };
    Some(Finding {
        class: Cause::UseAfterFree,
        statement: format!(
            "{} is full of {:#04x}{}, and its content was then used; {filled} objects of that cache \
             are, {free} of them free or not known to be in use: somebody fills objects that are not \
             his any more",
            place.words(),
            run.byte,
            match char::from(run.byte) {
                c if c.is_ascii_graphic() => format!(" ({c:?})"),
                _ => String::new(),
            }
        ),
        confidence: Confidence::Likely,
        evidence: vec![
            Evidence {
                what: format!("the object, {}", byte.words()),
                address: Some(place.start),
                value: kernel.target().read_u64(place.start).ok(),
                command: format!(
                    "rd {:x} {}",
                    place.start,
                    place.cache.object_size.div_ceil(8).min(512)
                ),
            },
            inquiry.state_of(&place),
        ],
        object: Some(place.object(None)),
        function: None,
        task: None,
    })
}
