//! A count of references that went wrong (lib/refcount.c): the kernel warns when it leaves its range,
//! and leaves it saturated.

use necropsy_lexicon::Symptom;

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "refcount", causes: &[Cause::Refcount], detect };

/// REFCOUNT_SATURATED (include/linux/refcount.h), and what some operations leave next to it.
fn is_saturated(count: u32) -> bool {
    (0xbfff_ff00..=0xc000_00ff).contains(&count)
}

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let report = inquiry.report.filter(|report| report.class == Symptom::Refcount)?;
    let said = report.text.iter().chain(&report.said).find(|line| line.contains("refcount_t"));
    let said = said.map_or_else(|| report.title.clone(), |line| line.trim().to_owned());
    let meaning = if said.contains("underflow") {
        "more references were given back than taken"
    } else if said.contains("addition on 0") {
        "a reference was taken to what had none left: it was being freed, or is free"
    } else if said.contains("saturated") {
        "references were taken without end, or the count was damaged"
    } else if said.contains("decrement hit 0") {
        "the last reference was given back where it must not be"
    } else {
        "a count of references went wrong"
    };
    let case = inquiry.case.as_ref();
    let warned = case.and_then(|case| {
        let number = case.frame_of("refcount_warn_saturate").or_else(|| case.exception())?;
        Some((number, case.blamed_name(number)))
    });
    let counter = warned.as_ref().and_then(|(number, _)| {
        let frames = case?.trace().frames.iter().skip(*number).take(4);
        frames.flat_map(|frame| frame.regs.iter()).map(|(_, value)| value).find(|at| {
            inquiry.kernel.target().address_class(*at).is_kernel()
                && at % 4 == 0
                && inquiry.kernel.target().read_u32(*at).is_ok_and(is_saturated)
        })
    });
    let mut evidence = vec![Evidence::shown(format!("the kernel's own check: {said:?}"), "log")];
    let mut of = String::new();
    if let Some(counter) = counter {
        let place = Place::of(inquiry.kernel, counter);
        of = match &place {
            Some(place) => format!(": the count at {counter:x}, in {}", place.words()),
            None => match crate::explain::code::location(inquiry.kernel, counter) {
                bare if bare == format!("{counter:x}") => format!(": the count at {bare}"),
                name => format!(": the count at {counter:x} ({name})"),
            },
        };
        evidence.push(Evidence {
            what: "the count as the check left it: saturated, so that it is never used again"
                .into(),
            address: Some(counter),
            value: None,
            command: format!("rd -32 {counter:x}"),
        });
        evidence.extend(place.as_ref().map(|place| inquiry.state_of(place)));
    }
    Some(Finding {
        class: Cause::Refcount,
        statement: format!("{meaning} ({said}){of}"),
        confidence: Confidence::Certain,
        evidence,
        object: counter.and_then(|at| Some(Place::of(inquiry.kernel, at)?.object(None))),
        function: warned.and_then(|(_, function)| function).or_else(|| report.frame.clone()),
        task: None,
    })
}
