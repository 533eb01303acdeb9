//! Panic text: channels, segmenting, decoding, naming.
#![forbid(unsafe_code)]

mod class;
mod line;
mod naming;
mod plain;
mod segment;

pub use class::Class;
pub use line::{Context, Line, LineKind};

/// Temporary.
pub fn titles(input: &[u8]) -> Option<(String, Vec<String>, Option<&'static str>, Option<&'static str>)> {
    let lines = plain::lines(input);
    let region = segment::next(&lines, 0)?;
    let n = naming::name(region.header, &region.text, region.head);
    let t = naming::type_of(&n.title);
    Some((n.title, n.alt, n.corrupted, t))
}
