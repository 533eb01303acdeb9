//! Memory that contradicts itself: red zones, poison and free lists of the slab allocator, checked as
//! `check slab` does. Asked where the kernel's own words tell of no cause.

use std::sync::atomic::AtomicBool;

use necropsy_lexicon::Symptom;
use necropsy_linux::check::{self, Class, Confidence as Sure};

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::{Place, Run},
};

pub(super) static DETECTOR: Detector = Detector {
    name: "damage",
    causes: &[Cause::OutOfBounds, Cause::UseAfterFree, Cause::SlabCorruption],
    detect,
};

/// More contradictions at once are none of memory's.
const MOST_BELIEVED: usize = 64;
/// Findings that are told; more of the same are counted.
const MOST_TOLD: usize = 1;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let silent = matches!(
        inquiry.symptom(),
        None | Some(
            Symptom::Panic
                | Symptom::RustPanic
                | Symptom::Slab
                | Symptom::PageFault
                | Symptom::GeneralProtection
                | Symptom::KernelBug
        )
    );
    if inquiry.quick || !silent {
        return Vec::new();
    }
    let area = check::area("slab").into_iter().collect::<Vec<_>>();
    let report = check::run(inquiry.kernel, &area, &AtomicBool::new(false));
    let certain = report.findings.iter().filter(|it| it.confidence == Sure::Certain);
    // What does not fit together in a dump that lacks parts may be what is missing.
    let whole = !inquiry.kernel.target().dump().completeness().is_damaged();
    let told = certain
        .filter_map(|found| Some((found, cause(found.class)?)))
        .filter(|(_, cause)| whole || *cause != Cause::SlabCorruption);
    let all: Vec<_> = told.collect();
    // Damage is local: where everything seems wrong, it is the reading of it.
    if all.len() > MOST_BELIEVED {
        return Vec::new();
    }
    all.iter()
        .take(MOST_TOLD)
        .map(|(found, class)| finding(inquiry, found, *class, all.len()))
        .collect()
}

fn cause(class: Class) -> Option<Cause> {
    match class {
        Class::Overrun => Some(Cause::OutOfBounds),
        Class::WriteAfterFree => Some(Cause::UseAfterFree),
        Class::Pointer | Class::Link | Class::Value => Some(Cause::SlabCorruption),
        _ => None,
    }
}

fn finding(inquiry: &Inquiry<'_>, found: &check::Finding, class: Cause, count: usize) -> Finding {
    let kernel = inquiry.kernel;
    let word = found.address & !7;
    let run = Run::around(kernel, word).or_else(|| Run::around(kernel, word + 8));
    let more = if count > 1 { format!("; {} more such places", count - 1) } else { String::new() };
    let bytes =
        run.map_or(String::new(), |run| format!("; what is there is part of {}", run.words()));
    let place = Place::of(kernel, found.start.unwrap_or(found.address));
    // What runs over an edge comes from the object in which the run begins.
    let from = run.and_then(|run| Place::of(kernel, run.start)).filter(|from| {
        class == Cause::OutOfBounds && place.as_ref().is_none_or(|place| place.start != from.start)
    });
    let of =
        from.as_ref().map_or(String::new(), |from| format!(", which begins in {}", from.words()));
    let mut evidence = vec![Evidence {
        what: format!("what is there ({})", found.check.replace('_', " ")),
        address: Some(word),
        value: kernel.target().read_u64(word).ok(),
        command: format!("rd {word:x} 4"),
    }];
    let place = from.or(place);
    evidence.extend(place.as_ref().map(|place| inquiry.state_of(place)));
    let name = place.as_ref().map_or_else(|| found.object.clone(), Place::words);
    Finding {
        class,
        statement: format!("{name}: {}{bytes}{of}{more}", found.statement),
        // Bytes that nobody may write were written: that is seen. What does not fit together may be
        // the moment at which the dump was taken.
        confidence: match class {
            Cause::SlabCorruption => Confidence::Likely,
            _ => Confidence::Certain,
        },
        evidence,
        object: place.map(|place| place.object(None)),
        function: None,
        task: None,
    }
}
