//! The detectors: each one file with one `static DETECTOR` (two where what one finds weighs less), and
//! their lines in [`ALL`].

mod alive;
mod atomic;
mod bad_pointer;
mod checks;
mod code_corruption;
mod damage;
mod division;
mod filled;
mod flip;
mod free_check;
mod freed;
mod hang;
mod ipc;
mod list;
mod lockup;
mod memory_use;
mod nmi;
mod null_pointer;
mod outlier;
mod overrun;
mod panic_called;
mod poison;
mod refcount;
mod refused;
mod return_address;
mod slab_report;
mod stack_canary;
mod stack_overflow;
mod symptom;
mod sysrq;
mod trap;
mod waiting;

use necropsy_oops::Report;

use crate::{
    cause::Cause,
    finding::Finding,
    inquiry::{Detector, Inquiry},
};

/// Every detector, those that explain most first: in this order their findings are shown, and the
/// first that may show as the symptom makes the verdict.
pub static ALL: &[&Detector] = &[
    &sysrq::DETECTOR,
    &code_corruption::DETECTOR,
    &ipc::DETECTOR,
    &waiting::DETECTOR,
    &stack_overflow::DETECTOR,
    &stack_canary::DETECTOR,
    &return_address::DETECTOR,
    &nmi::DETECTOR,
    &slab_report::DETECTOR,
    &checks::DETECTOR,
    &free_check::DETECTOR,
    &refcount::DETECTOR,
    &atomic::DETECTOR,
    &freed::DETECTOR,
    &filled::DETECTOR,
    &poison::DETECTOR,
    &overrun::DETECTOR,
    &flip::DETECTOR,
    &outlier::DETECTOR,
    &list::DETECTOR,
    &lockup::DETECTOR,
    &hang::DETECTOR,
    &memory_use::DETECTOR,
    &damage::DETECTOR,
    &null_pointer::DETECTOR,
    &bad_pointer::DETECTOR,
    &refused::DETECTOR,
    &division::DETECTOR,
    &code_corruption::CALLERS,
    &trap::DETECTOR,
    &panic_called::DETECTOR,
    &symptom::DETECTOR,
    &alive::DETECTOR,
];

/// The words of a check in a report, the cause that they name, and what that means.
pub(crate) fn words_of(report: &Report) -> Option<(String, Cause, &'static str)> {
    slab_report::meaning(report)
        .map(|(words, class, meaning)| (words.to_owned(), class, meaning))
        .or_else(|| {
            let (said, class) = checks::meaning(report)?;
            Some((said, class, "a check of the kernel caught an access in the act"))
        })
        .or_else(|| free_check::meaning(report))
}

/// What all detectors find.
pub fn findings(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for found in ALL.iter().flat_map(|detector| (detector.detect)(inquiry)) {
        // What a deeper detector found already needs no second voice; a bad pointer is what
        // all damage of memory shows as.
        let shallow = matches!(found.class, Cause::BadPointer | Cause::ListCorruption);
        let told =
            |other: &Finding| other.class == found.class || (shallow && other.class.is_damage());
        if !findings.iter().any(told) {
            findings.push(found);
        }
    }
    findings
}
