//! A bad pointer that is one bit, or one byte, away from a good one: the good one leads to an object
//! of the right kind, and often that object still points back.

use necropsy_lexicon::value;

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
    suspect::{Suspect, is_bad},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "flip", causes: &[Cause::BitFlip, Cause::ByteCorruption], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

/// What the pointer was before, and how well that is known.
#[derive(Debug, Clone, Copy)]
struct Repair {
    value: u64,
    fit: Fit,
}

/// Fewer objects that agree prove nothing.
const FEWEST_PEERS: usize = 3;

/// How well a value fits where it is put, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// What it leads to points back.
    Back,
    /// Other objects of the slab hold it at the same place.
    Peers,
    /// It leads to the same place in an object of the same cache.
    Same,
    /// It is the beginning of an object, or of a function.
    Start,
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let suspect = Suspect::of(inquiry)?;
    let bad = suspect.value;
    if !is_bad(inquiry.kernel, bad)
        || value::near_poison(bad, true).is_some()
        || value::error_number(bad, true).is_some()
        || bad < 1 << 16
    {
        return None;
    }
    let bits: Vec<u64> = (0..64).map(|bit| bad ^ 1 << bit).collect();
    let bytes = (0..8).flat_map(|at| (1..=255u64).map(move |other| bad ^ other << (8 * at)));
    let by_bit = best(inquiry, &suspect, bits.into_iter());
    // A byte that changed is told only by what points back, or by the home's own cache: of 2040
    // values some lead somewhere.
    let sure = |repair: &Repair| repair.fit <= Fit::Same;
    let (repair, class) = match by_bit {
        Some(repair) => (repair, Cause::BitFlip),
        None => (best(inquiry, &suspect, bytes).filter(sure)?, Cause::ByteCorruption),
    };
    let confidence = match (repair.fit, suspect.home) {
        (Fit::Back, _) => Confidence::Certain,
        (_, Some(_)) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let changed = repair.value ^ bad;
    let how = match value::flipped_bit(repair.value, bad) {
        Some(bit) => format!("bit {bit} of it flipped"),
        None => {
            let at = changed.trailing_zeros() / 8;
            let byte = |value: u64| value.to_le_bytes()[at as usize];
            let char = |byte: u8| match char::from(byte) {
                c if c.is_ascii_graphic() => format!("{byte:#04x} ({c:?})"),
                _ => format!("{byte:#04x}"),
            };
            format!(
                "byte {at} of it changed from {} to {}",
                char(byte(repair.value)),
                char(byte(bad))
            )
        }
    };
    let leads = Place::of(inquiry.kernel, repair.value);
    let where_to = leads.as_ref().map_or_else(
        || crate::explain::code::location(inquiry.kernel, repair.value),
        |place| match place.offset {
            0 => place.words(),
            offset => format!("{offset:#x} into {}", place.words()),
        },
    );
    let back = match repair.fit {
        Fit::Back => ", which still points back",
        Fit::Peers => ", as other objects of its slab have it",
        Fit::Same => ", an object of the same cache",
        Fit::Start => "",
    };
    let name = suspect.name.as_deref().map_or(String::new(), |name| format!("{name} is "));
    let at = suspect.home.map_or(String::new(), |home| format!(" at {home:x}"));
    let mut evidence = vec![Evidence {
        what: "the value that was used".into(),
        address: None,
        value: Some(bad),
        command: "explain".into(),
    }];
    if let Some(home) = suspect.home {
        evidence.push(Evidence {
            what: "the word of memory that holds it".into(),
            address: Some(home),
            value: Some(bad),
            command: format!("rd {home:x}"),
        });
    }
    evidence.push(Evidence {
        what: format!("what the repaired pointer leads to{back}"),
        address: Some(repair.value),
        value: None,
        command: format!("rd {:x} 8", repair.value),
    });
    Some(Finding {
        class,
        statement: format!(
            "a pointer is wrong: {name}{bad:016x}{at}; with {how} undone it is {:016x}, {where_to}{back}",
            repair.value
        ),
        confidence,
        evidence,
        object: suspect
            .home
            .and_then(|home| Some(Place::of(inquiry.kernel, home)?.object(suspect.name.clone()))),
        function: None,
        task: None,
    })
}

/// The one of the values that fits best; none if two fit equally well.
fn best(
    inquiry: &Inquiry<'_>,
    suspect: &Suspect,
    values: impl Iterator<Item = u64>,
) -> Option<Repair> {
    let mut fitting: Vec<Repair> = values
        .filter_map(|value| Some(Repair { value, fit: fit(inquiry, suspect, value)? }))
        .collect();
    fitting.sort_by_key(|repair| repair.fit);
    match fitting.as_slice() {
        [one] => Some(*one),
        [first, second, ..] if first.fit < second.fit => Some(*first),
        _ => None,
    }
}

fn fit(inquiry: &Inquiry<'_>, suspect: &Suspect, value: u64) -> Option<Fit> {
    let (kernel, target) = (inquiry.kernel, inquiry.kernel.target());
    if is_bad(kernel, value) {
        return None;
    }
    if let Some(home) = suspect.home {
        // A list: `next` at the home's first word has `prev` beside it, and the other way round.
        for (from, beside) in [(home, value.wrapping_add(8)), (home.wrapping_sub(8), value)] {
            if target.read_u64(beside) == Ok(from) {
                return Some(Fit::Back);
            }
        }
    }
    let holder = suspect.home.and_then(|home| Some((home, Place::of(kernel, home)?)));
    if let Some((_, holder)) = &holder {
        let same = |peer: &u64| target.read_u64(peer.wrapping_add(holder.offset)) == Ok(value);
        if holder.peers(kernel).filter(same).take(FEWEST_PEERS).count() == FEWEST_PEERS {
            return Some(Fit::Peers);
        }
    }
    // A function, or a variable: operations are one.
    if let Some(located) = kernel.nearest(value) {
        return (located.offset == 0).then_some(Fit::Start);
    }
    let place = Place::of(kernel, value)?;
    if place.allocated == Some(false) {
        return None;
    }
    if let Some((_, holder)) = holder
        && holder.cache.address == place.cache.address
        && (place.offset == 0 || place.offset == holder.offset)
    {
        return Some(Fit::Same);
    }
    (place.offset == 0).then_some(Fit::Start)
}
