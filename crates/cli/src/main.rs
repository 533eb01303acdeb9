//! The necropsy command.
#![forbid(unsafe_code)]

fn main() {}
