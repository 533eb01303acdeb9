//! Chores of the repository.
#![forbid(unsafe_code)]

mod bench;
mod fixtures;
mod manual;
mod slim;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask CHORE

  fixtures            make the dumps in crates/cli/tests/dumps from those in $NECROPSY_LAB
  debug-fixtures      make the debug information in crates/cli/tests/debug from the lab's kernels
  manual [--check]    write docs/commands.md from the registry, or check that it is up to date
  bench [--lab DIR]   time necropsy, crash and drgn on the lab's largest dump; NECROPSY_CRASH and
                      NECROPSY_DRGN say how to run them: crash -s {vmlinux} {dump} -i {script},
                      drgn -c {dump} -s {vmlinux} -q {script}";

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fixtures"] => fixtures::write(),
        ["debug-fixtures"] => fixtures::write_debug(),
        ["manual"] => manual::write(),
        ["manual", "--check"] => manual::check(),
        ["bench"] => bench::run(None),
        ["bench", "--lab", lab] => bench::run(Some(lab)),
        _ => bail!("{USAGE}"),
    }
}
