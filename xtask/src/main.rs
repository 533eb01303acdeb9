//! Chores of the repository: benchmarks, fixtures, the manual.
#![forbid(unsafe_code)]

fn main() {}
