//! Panic text: channels, segmenting, decoding, naming.
#![forbid(unsafe_code)]

mod line;

pub use line::{Context, Line};
