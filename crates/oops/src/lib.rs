//! Panic text: channels, segmenting, decoding, naming.
#![forbid(unsafe_code)]
