//! Keys for grouping reports, coarse to fine.

use serde::Serialize;

use crate::naming::skip;
use crate::report::{Frame, Report};
use necropsy_lexicon::Symptom;

/// Version of the way keys are made. Raise it when a key of the same report
/// changes, so that stored keys are made anew and groups never move silently.
pub const SIG_ALGO: u32 = 1;

/// A key that reports of one bug share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Version of the way the key is made.
    pub sig_algo: u32,
    /// What it is made of.
    pub kind: &'static str,
    /// The key.
    pub key: String,
}

/// All keys of a report; a corrupted one gets none that name a function.
pub(crate) fn of(report: &Report) -> Vec<Signature> {
    let mut keys = vec![("class", report.class.name().to_owned())];
    if !report.corrupted {
        if let Some(frame) = &report.frame {
            keys.push(("class+frame", format!("{}|{frame}", report.class.name())));
            if bad_access(report.class) {
                keys.push(("bad-access", format!("bad-access|{frame}")));
            }
        }
        let names: Vec<&str> = report
            .trace
            .iter()
            .filter(|frame| frame.reliable && !frame.inlined)
            .map(base)
            .filter(|name| !skip::is_generic(name, &[]))
            .collect();
        for (kind, depth) in [("class+3", 3), ("class+8", 8)] {
            if names.len() >= depth {
                keys.push((kind, format!("{}|{}", report.class.name(), names[..depth].join("|"))));
            }
        }
    }
    keys.into_iter().map(|(kind, key)| Signature { sig_algo: SIG_ALGO, kind, key }).collect()
}

/// A function's name without what the compiler appended.
fn base(frame: &Frame) -> &str {
    frame.function.split('.').next().unwrap_or(&frame.function)
}

/// One bad pointer shows as any of these, by chance and configuration.
fn bad_access(class: Symptom) -> bool {
    matches!(
        class,
        Symptom::NullPointer
            | Symptom::PageFault
            | Symptom::GeneralProtection
            | Symptom::Kasan
            | Symptom::Kfence
            | Symptom::InternalError
    )
}
