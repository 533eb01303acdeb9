//! Checks that the kernel was built with, and that spoke: the size of a copy (FORTIFY_SOURCE,
//! HARDENED_USERCOPY), an index (UBSAN), an access (KASAN, KFENCE). What they compared is in their
//! words; the caller of the check is to blame.

use necropsy_lexicon::Symptom;
use necropsy_oops::Report;

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
    place::Place,
};

pub(super) static DETECTOR: Detector = Detector {
    name: "checks",
    causes: &[
        Cause::OutOfBounds,
        Cause::UseAfterFree,
        Cause::DoubleFree,
        Cause::BadPointer,
        Cause::NullPointer,
        Cause::Uninitialised,
        Cause::DivideError,
        Cause::SlabCorruption,
    ],
    detect,
};

/// Words of a report, and the cause that they name.
type Words = &'static [(&'static str, Cause)];

/// Of KASAN and KFENCE: `BUG: KFENCE: use-after-free read in …`.
const ACCESSES: Words = &[
    ("use-after-free", Cause::UseAfterFree),
    ("double-free", Cause::DoubleFree),
    ("invalid-free", Cause::BadPointer),
    ("invalid free", Cause::BadPointer),
    ("memory corruption", Cause::OutOfBounds),
    ("out-of-bounds", Cause::OutOfBounds),
    ("null-ptr-deref", Cause::NullPointer),
    ("wild-memory-access", Cause::BadPointer),
    ("user-memory-access", Cause::BadPointer),
    ("invalid read", Cause::BadPointer),
    ("invalid write", Cause::BadPointer),
    ("uninit-value", Cause::Uninitialised),
];

/// Of UBSAN.
const UBSAN: Words = &[
    ("array-index-out-of-bounds", Cause::OutOfBounds),
    ("object-size-mismatch", Cause::OutOfBounds),
    ("null-ptr-deref", Cause::NullPointer),
    ("misaligned-access", Cause::BadPointer),
    ("division-overflow", Cause::DivideError),
    ("divrem-overflow", Cause::DivideError),
];

/// Of FORTIFY_SOURCE, where it only warns.
const FIELDS: Words = &[
    ("detected field-spanning", Cause::OutOfBounds),
    ("detected buffer overflow", Cause::OutOfBounds),
];

/// Of the checks of sizes, whose frames are on the stack: the function, and what it says.
const SIZES: &[(&str, &str)] = &[
    ("__fortify_panic", "more was to be copied than the compiler knows the object to hold"),
    ("fortify_panic", "more was to be copied than the compiler knows the object to hold"),
    ("usercopy_abort", "more was to be copied to or from a user than the object holds"),
];

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    by_report(inquiry).or_else(|| by_stack(inquiry)).into_iter().collect()
}

fn words_in(report: &Report, words: Words) -> Option<(String, Cause)> {
    let lines = || report.said.iter().chain(&report.text).chain(std::iter::once(&report.title));
    words.iter().find_map(|(word, cause)| {
        Some((lines().find(|line| line.contains(word))?.trim().to_owned(), *cause))
    })
}

/// What a check of accesses says, and the cause that it names.
pub(super) fn meaning(report: &Report) -> Option<(String, Cause)> {
    let table = match report.class {
        Symptom::Kasan | Symptom::Kfence | Symptom::Kmsan => ACCESSES,
        Symptom::Ubsan => UBSAN,
        Symptom::Warning => FIELDS,
        _ => return None,
    };
    words_in(report, table)
}

fn by_report(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let report = inquiry.report?;
    let (said, class) = meaning(report)?;
    let mut evidence = vec![Evidence::shown(format!("the kernel's check: {said:?}"), "log")];
    let details = [" is out of range", "allocated by task", "freed by task", "kfence-#"];
    let detail = |line: &&String| details.iter().any(|words| line.contains(words));
    let detail: Vec<&String> = report.text.iter().filter(detail).take(3).collect();
    for line in &detail {
        evidence.push(Evidence::shown(format!("{:?}", line.trim()), "log"));
    }
    let object = report.object.as_ref().and_then(|object| {
        let cache = object.cache.clone();
        Some(Object { address: object.address?, cache, member: None })
    });
    let detail = detail.first().map_or(String::new(), |line| format!("; {}", line.trim()));
    Some(Finding {
        class,
        statement: format!("the kernel's own check found it in the act: {said}{detail}"),
        confidence: Confidence::Certain,
        evidence,
        object,
        function: by_check(inquiry),
        task: None,
    })
}

/// Who ran into the check, by the stack: behind the functions that report.
fn by_check(inquiry: &Inquiry<'_>) -> Option<String> {
    let report = inquiry.report?;
    // KFENCE's own stack may be of the task that failed, or, of a corruption, who freed it.
    report.frame.clone().or_else(|| inquiry.case.as_ref()?.blamed())
}

fn by_stack(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let case = inquiry.case.as_ref()?;
    let (number, check, meaning) = SIZES
        .iter()
        .find_map(|(check, meaning)| Some((case.frame_of(check)?, *check, *meaning)))?;
    let frame = case.trace().frames.get(number)?;
    let function = case.blamed_name(number + 1);
    let said = inquiry.report.and_then(|report| {
        let words = ["detected buffer overflow", "detected field-spanning", "attempt detected"];
        let mut lines = report.text.iter().chain(std::iter::once(&report.title));
        lines.find(|line| words.iter().any(|word| line.contains(word))).cloned()
    });
    let said =
        said.or_else(|| inquiry.said_before(&["detected buffer overflow", "attempt detected"]));
    // A copy from code, a stack or the heap's own pages is another fault than one too long.
    let elsewhere = ["null address", "wrapped address", "kernel text", "spans multiple pages"];
    let bad = said.as_ref().is_some_and(|said| elsewhere.iter().any(|words| said.contains(words)));
    let class = if bad { Cause::BadPointer } else { Cause::OutOfBounds };
    let meaning = if bad { "memory was to be copied that must not be" } else { meaning };
    let object = case.trace().frames.get(number).into_iter().flat_map(|frame| {
        frame.regs.iter().filter_map(|(_, value)| Place::of(inquiry.kernel, value))
    });
    let object = object.filter(|place| place.allocated == Some(true)).last();
    let mut evidence = vec![Evidence {
        what: format!("the check that failed, {check}(), on the stack"),
        address: Some(frame.pc),
        value: None,
        command: "bt".into(),
    }];
    if let Some(said) = &said {
        evidence.push(Evidence::shown(format!("what it compared: {:?}", said.trim()), "log"));
    }
    let by = function.as_deref().map_or(String::new(), |function| format!(" by {function}"));
    let said = said.map_or(String::new(), |said| format!(": {}", said.trim()));
    Some(Finding {
        class,
        statement: format!("{meaning}{by}{said}"),
        confidence: Confidence::Certain,
        evidence,
        object: object
            .filter(|_| class == Cause::OutOfBounds && check == "usercopy_abort")
            .map(|place| place.object(None)),
        function,
        task: None,
    })
}
