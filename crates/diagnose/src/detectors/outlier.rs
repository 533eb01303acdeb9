//! An object that differs from all others of its slab in one bit of a word in which they agree: a
//! length, a flag, a pointer to operations. Looked for in the objects that the failing function
//! worked on.

use std::collections::HashMap;

use crate::{
    cause::Cause,
    explain::Happened,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "outlier", causes: &[Cause::BitFlip], detect };

/// Fewer objects that agree prove nothing.
const FEWEST: usize = 8;
/// Larger objects are not compared, in bytes.
const LARGEST: u64 = 4096;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    if !matches!(explanation.what, Happened::Access(_) | Happened::BadJump { .. }) {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    let frame = case.trace().frames.get(explanation.frame?)?;
    let held = frame.regs.iter().map(|(_, value)| value);
    let steps = explanation.steps.iter().chain(&explanation.arguments);
    let mut seen: Vec<u64> = Vec::new();
    for value in held.chain(steps.filter_map(|step| step.value)) {
        let Some(place) = Place::of(inquiry.kernel, value) else { continue };
        if seen.contains(&place.start) || place.allocated != Some(true) {
            continue;
        }
        seen.push(place.start);
        if let Some(found) = compare(inquiry, &place) {
            return Some(found);
        }
    }
    None
}

fn compare(inquiry: &Inquiry<'_>, place: &Place) -> Option<Finding> {
    let size = place.cache.object_size;
    if size > LARGEST || place.cache.users > 1 {
        return None;
    }
    let target = inquiry.kernel.target();
    let own = target.read_bytes(place.start, size).ok()?;
    let peers: Vec<Vec<u8>> =
        place.peers(inquiry.kernel).filter_map(|peer| target.read_bytes(peer, size).ok()).collect();
    if peers.len() < FEWEST {
        return None;
    }
    let word = |bytes: &[u8], at: usize| Some(target.number(bytes.get(at..at + 4)?) as u32);
    for at in (0..own.len().saturating_sub(3)).step_by(4) {
        let Some(value) = word(&own, at) else { continue };
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for peer in &peers {
            if let Some(other) = word(peer, at) {
                *counts.entry(other).or_default() += 1;
            }
        }
        let Some((usual, times)) = counts.into_iter().max_by_key(|(_, times)| *times) else {
            continue;
        };
        // All agree on what is not zero, and this one is a bit away.
        if times != peers.len() || usual == 0 || !(usual ^ value).is_power_of_two() {
            continue;
        }
        let bit = (usual ^ value).trailing_zeros();
        let address = place.start + at as u64;
        return Some(Finding {
            class: Cause::BitFlip,
            statement: format!(
                "{} differs in one bit from the {times} others of its slab: the word at {address:x} \
                 ({at:#x} into it) is {value:#x}, theirs is {usual:#x}: bit {bit} flipped",
                place.words()
            ),
            confidence: Confidence::Likely,
            evidence: vec![
                Evidence {
                    what: "the object; the word is in it".into(),
                    address: Some(address & !7),
                    value: target.read_u64(address & !7).ok(),
                    command: format!("rd {:x} 2", address & !7),
                },
                inquiry.state_of(place),
            ],
            object: Some(place.object(Some(format!("offset {at:#x}")))),
            function: None,
            task: None,
        });
    }
    None
}
