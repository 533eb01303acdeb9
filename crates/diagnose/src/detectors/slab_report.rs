//! What SLUB's own checks found (mm/slub.c, slub_debug): its words tell which kind of damage.

use necropsy_lexicon::Symptom;
use necropsy_oops::Report;

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector {
    name: "slab-report",
    causes: &[Cause::OutOfBounds, Cause::UseAfterFree, Cause::DoubleFree, Cause::SlabCorruption],
    detect,
};

/// A count, from which follows that an object was free already, or was none.
const MORE_FREED: &str = "allocated objects but";

/// Words of the report's title or lines, and what they mean.
const MEANINGS: [(&str, Cause, &str); 10] = [
    ("Right Redzone overwritten", Cause::OutOfBounds, "something wrote past the end of an object"),
    (
        "Left Redzone overwritten",
        Cause::OutOfBounds,
        "something wrote before the beginning of an object",
    ),
    ("Redzone overwritten", Cause::OutOfBounds, "something wrote over the edge of an object"),
    ("Object padding overwritten", Cause::OutOfBounds, "something wrote past the end of an object"),
    ("Poison overwritten", Cause::UseAfterFree, "something wrote to an object after it was freed"),
    ("Object already free", Cause::DoubleFree, "an object was freed that was free already"),
    (MORE_FREED, Cause::DoubleFree, "more objects of a slab were freed than were in use"),
    ("Padding overwritten", Cause::OutOfBounds, "something wrote past the last object of a slab"),
    ("Freepointer corrupt", Cause::SlabCorruption, "the free list of a slab is damaged"),
    ("Freechain corrupt", Cause::SlabCorruption, "the free list of a slab is damaged"),
];

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

/// What the words of a report of the slab's checks mean.
pub(super) fn meaning(report: &Report) -> Option<(&'static str, Cause, &'static str)> {
    if report.class != Symptom::Slab {
        return None;
    }
    let says = |words: &str| {
        report.title.contains(words) || report.text.iter().any(|line| line.contains(words))
    };
    MEANINGS.into_iter().find(|(words, ..)| says(words))
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let report = inquiry.report?;
    // Since 6.15 the words stand before the report, in brackets.
    let before = || {
        let said = inquiry.said_before(&[" overwritten] ", " corrupt] ", "already free] "])?;
        MEANINGS.into_iter().find(|(words, ..)| said.contains(words))
    };
    let told = report.class == Symptom::Slab;
    let (words, class, meaning) = meaning(report).or_else(|| before().filter(|_| told))?;
    let object = object_of(inquiry);
    let of = match &object {
        Some(Object { address, cache: Some(cache), .. }) => format!(": {address:x} of {cache}"),
        _ => String::new(),
    };
    let mut evidence = vec![Evidence::shown(format!("the kernel's own check, {words:?}"), "oops")];
    if let Some((address, value)) = object.as_ref().and_then(|object| word_at(inquiry, object)) {
        evidence.push(Evidence {
            what: "the object as it is".into(),
            address: Some(address),
            value: Some(value),
            command: format!("rd {address:x} 16"),
        });
    }
    Some(Finding {
        class,
        statement: format!("{meaning}{of}"),
        confidence: if words == MORE_FREED { Confidence::Likely } else { Confidence::Certain },
        evidence,
        object,
        function: report.frame.clone(),
        task: None,
    })
}

/// The object that the report names.
fn object_of(inquiry: &Inquiry<'_>) -> Option<Object> {
    let report = inquiry.report?;
    let told = report.object.as_ref();
    let written = report.text.iter().find_map(|line| {
        let at = line.find("Object 0x")?;
        let digits =
            line[at + "Object 0x".len()..].split(|c: char| !c.is_ascii_hexdigit()).next()?;
        u64::from_str_radix(digits, 16).ok()
    });
    let address = told.and_then(|object| object.address).or(written)?;
    let from_memory = || inquiry.kernel.slab_cache_of(address).ok().flatten();
    let cache = told.and_then(|object| object.cache.clone()).or_else(from_memory);
    Some(Object { address, cache, member: None })
}

fn word_at(inquiry: &Inquiry<'_>, object: &Object) -> Option<(u64, u64)> {
    let value = inquiry.kernel.target().read_u64(object.address).ok()?;
    Some((object.address, value))
}
