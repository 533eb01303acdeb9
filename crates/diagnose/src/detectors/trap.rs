//! A condition that the code checks for: BUG, or WARN with panic_on_warn; with the condition that
//! held, where only one way leads there.

use necropsy_lexicon::Symptom;

use crate::{
    cause::Cause,
    explain::{Happened, Likelihood},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "trap", causes: &[Cause::Bug, Cause::Warning, Cause::InvalidOpcode], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let Happened::Trap { warning } = explanation.what else { return None };
    let at = explanation.instruction.as_ref()?;
    // A trap that the kernel does not know as a BUG is an instruction that nobody knows.
    let (class, what) = match (warning, inquiry.symptom()) {
        (true, _) => (Cause::Warning, "WARN"),
        (false, Some(Symptom::InvalidOpcode)) => (Cause::InvalidOpcode, "invalid instruction"),
        (false, _) => (Cause::Bug, "BUG"),
    };
    let may_be = |verdict| !matches!(verdict, Likelihood::Contradicted);
    let mut ways = explanation.ways.iter().filter(|way| may_be(way.verdict));
    let why = match (ways.next(), ways.next()) {
        (Some(way), None) => way.condition.as_ref().map(|condition| format!(", as {condition}")),
        _ => None,
    };
    let statement = format!("the {what} at {} fired{}", at.location, why.unwrap_or_default());
    let mut evidence = vec![Evidence::instruction(at)];
    if !explanation.ways.is_empty() {
        let what = "the conditions that lead there, and what they compared";
        evidence.push(Evidence::shown(what, "explain"));
    }
    Some(Finding::new(class, Confidence::Certain, statement, evidence))
}
