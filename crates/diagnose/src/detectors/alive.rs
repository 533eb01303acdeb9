//! A dump of a machine that did not panic: a hypervisor wrote it, or somebody looks at a machine that
//! runs.

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "alive", causes: &[Cause::Unknown], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    // What cannot be read may be the very CPU.
    let absent =
        matches!(inquiry.kernel.find_panic_task(), Err(necropsy_linux::Error::Absent { .. }));
    if !absent || inquiry.report.is_some() || inquiry.log.is_empty() {
        return Vec::new();
    }
    vec![Finding::new(
        Cause::Unknown,
        Confidence::Certain,
        "this machine did not panic: no CPU called panic(), and its log tells of no trouble. The dump \
         was taken while it ran"
            .into(),
        vec![Evidence::shown("what every CPU did", "bt -a")],
    )]
}
