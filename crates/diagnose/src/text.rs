//! A verdict from the kernel's own words alone, where there is no dump: what can be said, and what
//! cannot.

use necropsy_lexicon::{Symptom, value};
use necropsy_oops::Report;

use crate::{
    blame::carries_out,
    case::is_leaving,
    cause::Cause,
    detectors::words_of,
    finding::{Confidence, Diagnosis, Evidence, Finding, Object, Verdict},
    value::before_null,
};

/// What follows from the reports of a log.
pub fn diagnose_text(reports: &[Report]) -> Diagnosis {
    let Some(first) = reports.first() else { return Diagnosis::default() };
    let finding = find(first);
    let function = function(first);
    let verdict = Verdict {
        class: finding.class,
        title: match &function {
            Some(function) => format!("{} in {function}", finding.class.name()),
            None => finding.class.name().to_owned(),
        },
        statement: finding.statement.clone(),
        confidence: finding.confidence,
        function,
        naive_function: first.trace.first().map(|frame| frame.function.clone()),
        object: finding.object.clone(),
        culprit: None,
        task: None,
    };
    Diagnosis {
        verdict: Some(verdict),
        symptom: Some(first.class),
        findings: vec![finding],
        next: vec![
            "there is only text: memory cannot be looked at, so what the bad value was, where it came \
             from and who else holds it is not known; have kdump save a vmcore the next time"
                .into(),
        ],
        ..Diagnosis::default()
    }
}

/// The error number that the failing instruction took for a pointer, as its registers tell.
fn error_followed(report: &Report) -> Option<u64> {
    report.went_by.iter().find_map(|(_, value)| value::error_number(*value, true))
}

/// Who is to blame. What panic() was called for, and what may not sleep, no registers tell: those that
/// are printed may be of what an interrupt came to.
fn function(report: &Report) -> Option<String> {
    if !matches!(report.class, Symptom::Panic | Symptom::Atomic) {
        return report.frame.clone();
    }
    let frames = report.trace.iter().filter(|frame| frame.reliable);
    let by = frames
        .map(|frame| frame.function.as_str())
        .find(|function| !is_leaving(function) && !carries_out(function));
    by.map(str::to_owned).or_else(|| report.frame.clone())
}

fn find(report: &Report) -> Finding {
    let said = || Evidence::shown(format!("the report, {:?}", report.title), "oops");
    if let Some((words, class, meaning)) = words_of(report) {
        let mut finding = Finding::new(
            class,
            Confidence::Certain,
            format!("{meaning} (the kernel's own check: {words})"),
            vec![said()],
        );
        finding.object = report.object.as_ref().and_then(|object| {
            Some(Object { address: object.address?, cache: object.cache.clone(), member: None })
        });
        return finding;
    }
    let faults = matches!(
        report.class,
        Symptom::PageFault | Symptom::GeneralProtection | Symptom::NullPointer
    );
    let address = report.address.as_ref().map(|address| address.value);
    // What the instruction did not go by may be anything.
    let registers = report.went_by.iter().cloned();
    let values = address.map(|address| ("the address".to_owned(), address)).into_iter();
    let poisoned = values.chain(registers).filter(|_| faults).find_map(|(name, value)| {
        let near = value::near_poison(value, true)?;
        let class = match near.poison.kind {
            value::PoisonKind::Freed => Cause::UseAfterFree,
            value::PoisonKind::NeverWritten => Cause::Uninitialised,
            value::PoisonKind::Deleted => Cause::ListCorruption,
            _ => return None,
        };
        Some((class, format!("{name} is {value:016x}: {near}")))
    });
    if let Some((class, statement)) = poisoned {
        return Finding::new(class, Confidence::Likely, statement, vec![said()]);
    }
    let class = match report.class {
        // A breakpoint is no pointer.
        Symptom::Trap if report.title.starts_with("int3") => Cause::InvalidOpcode,
        class => Cause::named_by(class),
    };
    if faults && let Some(error) = error_followed(report) {
        let name = value::errno(error).map_or(String::new(), |name| format!(" ({name})"));
        let (class, what) = match before_null(error) {
            true => (Cause::NullPointer, format!("what lies {error:#x} bytes before NULL")),
            false => (Cause::BadPointer, format!("the error -{error}{name}, taken for a pointer")),
        };
        let statement = format!("the kernel said first: {}; {what}, was followed", report.title);
        return Finding::new(class, Confidence::Likely, statement, vec![said()]);
    }
    let cause =
        report.cause.as_ref().filter(|_| !matches!(report.class, Symptom::Panic | Symptom::Atomic));
    let cause = cause.map_or(String::new(), |cause| format!("; {cause}"));
    let flip = report.hints.first().map_or(String::new(), |hint| format!("; {hint}"));
    Finding::new(
        class,
        Confidence::Likely,
        format!("the kernel said first: {}{cause}{flip}", report.title),
        vec![said()],
    )
}
