//! The allocator's own checks when an object is freed: BUG and WARN in the functions that free
//! (mm/slub.c, mm/slab.h). What was to be freed is in the registers, and the slab knows its state.

use necropsy_lexicon::Symptom;
use necropsy_oops::Report;

use crate::{
    blame::frees,
    cause::Cause,
    explain::{Happened, Likelihood},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
};

pub(super) static DETECTOR: Detector = Detector {
    name: "free-check",
    causes: &[Cause::DoubleFree, Cause::SlabCorruption, Cause::BadPointer],
    detect,
};

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    by_words(inquiry).or_else(|| by_registers(inquiry)).into_iter().collect()
}

/// What a WARN of the allocator says in words.
const WORDS: [(&str, Cause, &str); 11] = [
    (
        "Wrong slab cache",
        Cause::SlabCorruption,
        "an object was given back to a cache that it is not of",
    ),
    // Since 7.0.
    (
        "object belongs to different cache",
        Cause::SlabCorruption,
        "an object was given back to a cache that it is not of",
    ),
    (
        "object is not in a slab page",
        Cause::BadPointer,
        "an address was freed that is no object of a slab",
    ),
    ("Invalid object pointer", Cause::BadPointer, "an address was freed that is no object"),
    ("is not a slab page", Cause::BadPointer, "an address was freed that is no object of a slab"),
    ("double free or corruption", Cause::DoubleFree, "an object was freed that was free already"),
    ("Invalid free", Cause::BadPointer, "an address was freed that is no object"),
    ("invalid free", Cause::BadPointer, "an address was freed that is no object"),
    ("nonexistent vm area", Cause::BadPointer, "an address was freed that is no area of vmalloc"),
    ("bad address (", Cause::BadPointer, "an address was freed that is no area of vmalloc"),
    ("not a slab object", Cause::BadPointer, "an address was freed that is no object of a slab"),
];

/// What the words of a report mean.
pub(super) fn meaning(report: &Report) -> Option<(String, Cause, &'static str)> {
    if report.class == Symptom::Kfence || report.class == Symptom::Kasan {
        return None;
    }
    let lines = || std::iter::once(&report.title).chain(&report.text).chain(&report.said);
    WORDS.iter().find_map(|(words, class, meaning)| {
        // Their case differs between versions.
        let words = words.to_ascii_lowercase();
        let says = |line: &&String| line.to_ascii_lowercase().contains(&words);
        Some((lines().find(says)?.clone(), *class, *meaning))
    })
}

fn by_words(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let report = inquiry.report?;
    let (line, class, meaning) = match meaning(report) {
        Some(found) => found,
        // kfree() of what no slab has: it is taken for whole pages (mm/slub.c, mm/slab_common.c).
        None => {
            let case = inquiry.case.as_ref()?;
            case.frame_of("free_large_kmalloc")?;
            let meaning = "an address was freed that is no object of a slab";
            (report.title.clone(), Cause::BadPointer, meaning)
        }
    };
    let said = line.trim().to_owned();
    let mut evidence = vec![Evidence::shown(format!("the kernel's own check: {said:?}"), "log")];
    let freed = freed(inquiry);
    if let Some(place) = &freed {
        evidence.push(inquiry.state_of(place));
    }
    Some(Finding {
        class,
        statement: format!("{meaning}: {said}"),
        confidence: Confidence::Certain,
        evidence,
        object: freed.map(|place| place.object(None)),
        function: inquiry.blamed_outside(if said.contains("vfree") { "vfree" } else { "kfree" }),
        task: None,
    })
}

/// The objects that the registers of the failing frame, and of those further in, hold the beginning
/// of.
fn held(inquiry: &Inquiry<'_>) -> Vec<Place> {
    let Some(case) = inquiry.case.as_ref() else { return Vec::new() };
    let Some(failed) = case.failed() else { return Vec::new() };
    let Some(frame) = case.trace().frames.get(failed) else { return Vec::new() };
    let mut places: Vec<Place> = Vec::new();
    for (_, value) in frame.regs.iter() {
        if let Some(place) = Place::of(inquiry.kernel, value)
            && place.offset == 0
            && places.iter().all(|other| other.start != place.start)
        {
            places.push(place);
        }
    }
    places
}

fn freed(inquiry: &Inquiry<'_>) -> Option<Place> {
    held(inquiry).into_iter().find(|place| place.cache.name.as_deref() != Some("task_struct"))
}

/// What was to be freed is no object of a slab at all.
fn no_object(inquiry: &Inquiry<'_>, function: &str) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let at = explanation.instruction.as_ref()?;
    let freed =
        explanation.arguments.iter().filter_map(|argument| argument.value).find(|value| {
            inquiry.kernel.target().address_class(*value).is_kernel()
                && inquiry.kernel.slab_cache_of(*value).ok().flatten().is_none()
        })?;
    let what = crate::explain::code::location(inquiry.kernel, freed);
    Some(Finding {
        class: Cause::BadPointer,
        statement: format!(
            "an address was freed that is no object of a slab: {function} was given {freed:016x} \
             ({what})"
        ),
        confidence: Confidence::Likely,
        evidence: vec![
            Evidence {
                what: format!("the check in {function}"),
                address: Some(at.address),
                value: None,
                command: format!("dis {:x} 1", at.address),
            },
            Evidence {
                what: "what was to be freed".into(),
                address: None,
                value: Some(freed),
                command: "explain".into(),
            },
        ],
        object: None,
        function: inquiry.case.as_ref()?.blamed(),
        task: None,
    })
}

fn by_registers(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let Happened::Trap { warning: false } = explanation.what else { return None };
    let case = inquiry.case.as_ref()?;
    let failed = case.failed()?;
    let function = case.function(failed)?;
    if !frees(function) {
        return None;
    }
    // Whether the object is free already: as the slab has it, or as the check itself compared it:
    // the object with the first of the free list.
    let at = explanation.instruction.as_ref()?;
    let place = held(inquiry).into_iter().find(|place| place.allocated == Some(false));
    let Some(place) = place else { return no_object(inquiry, function) };
    let compared = explanation.ways.iter().any(|way| way.verdict == Likelihood::Holds)
        && explanation.steps.iter().any(|step| step.value == Some(place.start));
    let mut evidence = vec![
        Evidence {
            what: format!("the check in {function}: the object to be freed heads the free list"),
            address: Some(at.address),
            value: None,
            command: format!("dis {:x} 1", at.address),
        },
        Evidence {
            what: "the object that was to be freed, in the registers there".into(),
            address: None,
            value: Some(place.start),
            command: "bt".into(),
        },
    ];
    evidence.push(inquiry.state_of(&place));
    Some(Finding {
        class: Cause::DoubleFree,
        statement: format!(
            "an object was freed a second time: {} is what {function} was to free, and it lies on \
             the free list already",
            place.words()
        ),
        // That it is the one which the check compared is known where its condition was followed.
        confidence: if compared { Confidence::Certain } else { Confidence::Likely },
        evidence,
        object: Some(place.object(None)),
        function: case.blamed(),
        task: None,
    })
}
