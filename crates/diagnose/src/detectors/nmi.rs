//! A non-maskable interrupt that the kernel was told to panic on, or knew nothing of (arch/x86/kernel/
//! nmi.c): a button, a management controller, failing hardware.

use necropsy_lexicon::Symptom;

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector { name: "nmi", causes: &[Cause::Nmi], detect };

/// Functions that panic for the interrupt itself, not for what it found.
const FOR_ITSELF: [(&str, &str); 4] = [
    (
        "unknown_nmi_error",
        "nobody knows what it was for: a button, a management controller, hardware",
    ),
    ("pci_serr_error", "the bus reported a system error"),
    ("io_check_error", "a device reported an error"),
    ("ghes_notify_nmi", "the firmware reported an error of the hardware"),
];

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    if !matches!(inquiry.symptom(), None | Some(Symptom::Panic)) {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    let (number, meaning) = FOR_ITSELF
        .iter()
        .find_map(|(function, meaning)| Some((case.frame_of(function)?, *meaning)))?;
    let frame = case.trace().frames.get(number)?;
    let during = case.exception().and_then(|at| case.function(at));
    let during = during.map_or(String::new(), |name| format!("; it came while {name} ran"));
    let mut finding = Finding::new(
        Cause::Nmi,
        Confidence::Certain,
        format!("a non-maskable interrupt stopped the machine: {meaning}{during}"),
        vec![Evidence {
            what: "the function that panics for it".into(),
            address: Some(frame.pc),
            value: None,
            command: "bt".into(),
        }],
    );
    finding.function = case.function(number).map(str::to_owned);
    Some(finding)
}
