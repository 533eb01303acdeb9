//! A `panic()` that the code called for a reason of its own: neither a report nor an exception
//! came before it.

use necropsy_lexicon::Symptom;

use crate::{
    blame::whole,
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "panic-called", causes: &[Cause::PanicCalled], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    // Any other report is the reason of the panic that follows it.
    if !matches!(inquiry.symptom(), None | Some(Symptom::Panic | Symptom::RustPanic)) {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    if case.exception().is_some() && case.called_in_interrupt().is_none() {
        return None;
    }
    if super::hang::by_khungtaskd(inquiry) {
        return None;
    }
    let (number, panic) = case.panic_caller()?;
    let by = whole(case.function(number)?);
    let frame = case.trace().frames.get(number)?;
    // That it is a panic is said already.
    let said = inquiry.report.map_or(String::new(), |report| {
        format!(": {}", report.title.strip_prefix("Panic: ").unwrap_or(&report.title))
    });
    let mut finding = Finding::new(
        Cause::PanicCalled,
        Confidence::Certain,
        format!("{by} called {panic}() on purpose{said}"),
        vec![Evidence {
            what: format!("the call of {panic}() in {by}"),
            address: Some(frame.pc),
            value: None,
            command: "bt".into(),
        }],
    );
    finding.function = Some(by);
    Some(finding)
}
