//! A division by zero: the divisor is read, where the code tells which it is.

use crate::{
    cause::Cause,
    explain::Happened,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "division", causes: &[Cause::DivideError], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    if explanation.what != Happened::Division {
        return None;
    }
    let at = explanation.instruction.as_ref()?;
    let divisor = explanation.steps.first().filter(|step| step.depth == 0);
    let named = divisor.and_then(|step| step.name.as_deref());
    let called = named.map_or(String::new(), |name| format!(", {name},"));
    let statement = match divisor.and_then(|step| step.value) {
        Some(0) => format!("{} divides by zero: its divisor{called} is 0", at.location),
        _ => format!("the division at {} failed: by zero, or too large a result", at.location),
    };
    Some(Finding::new(
        Cause::DivideError,
        Confidence::Certain,
        statement,
        vec![
            Evidence::instruction(at),
            Evidence::shown("the divisor, and where it comes from", "explain"),
        ],
    ))
}
