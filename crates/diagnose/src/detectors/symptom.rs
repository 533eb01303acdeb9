//! What the kernel itself said went wrong: the least that can be found, where nothing deeper is.

use crate::{
    blame,
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector { name: "symptom", causes: Cause::ALL, detect };

/// Causes that are what the kernel saw, not what it infers: it says so itself.
const SEEN: &[Cause] = &[
    Cause::Bug,
    Cause::Warning,
    Cause::DivideError,
    Cause::HungTask,
    Cause::SoftLockup,
    Cause::HardLockup,
    Cause::RcuStall,
    Cause::SchedulingWhileAtomic,
    Cause::OutOfMemory,
    Cause::MachineCheck,
    Cause::PanicCalled,
    Cause::Sysrq,
];

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let Some(report) = inquiry.report else { return Vec::new() };
    let class = Cause::named_by(report.class);
    let confidence = match class {
        Cause::Unknown => return Vec::new(),
        class if SEEN.contains(&class) => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let lives =
        matches!(inquiry.kernel.find_panic_task(), Err(necropsy_linux::Error::Absent { .. }));
    let lives = if lives { "; the machine did not panic" } else { "" };
    let statement = format!("the kernel said first: {}{lives}", report.title);
    let evidence = vec![Evidence::shown(format!("the report, {:?}", report.title), "oops")];
    let mut finding = Finding::new(class, confidence, statement, evidence);
    // Who only did what it was asked to is not to blame; the stack tells who asked.
    finding.function = report.frame.clone().filter(|function| !blame::carries_out(function));
    vec![finding]
}
