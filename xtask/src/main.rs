//! Chores of the repository.
#![forbid(unsafe_code)]

mod manual;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask CHORE

  manual [--check]    write docs/commands.md from the registry, or check that it is up to date";

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["manual"] => manual::write(),
        ["manual", "--check"] => manual::check(),
        _ => bail!("{USAGE}"),
    }
}
