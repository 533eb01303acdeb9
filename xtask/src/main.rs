//! Chores of the repository.
#![forbid(unsafe_code)]

mod bench;
mod edits;
mod fixtures;
mod formats;
mod globals;
mod manual;
mod slim;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask CHORE

  fixtures            make the dumps in crates/cli/tests/dumps from those in $NECROPSY_LAB
  debug-fixtures      make the debug information in crates/cli/tests/debug from the lab's kernels
  manual [--check]    write docs/commands.md, docs/json.md, docs/formats.md and README's lists of
                      commands from their tables, or check that they are up to date
  globals VMLINUX...  print the table of globals' types (crates/debuginfo/src/globals.txt), newest first
  bench [--lab DIR]   time necropsy, crash and drgn on the lab's largest dump; NECROPSY_CRASH and
                      NECROPSY_DRGN say how to run them: crash -s {vmlinux} {dump} -i {script},
                      drgn -c {dump} -s {vmlinux} -q {script}
  edits DUMP [SEED [COUNT [FILE...]]]
                      damage copies of a raw ELF dump in COUNT places, one at a time, and score what
                      `check` finds; prints a line of JSON for each, and the score";

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fixtures"] => fixtures::write(),
        ["debug-fixtures"] => fixtures::write_debug(),
        ["manual"] => manual::write().and_then(|()| formats::write()),
        ["manual", "--check"] => manual::check().and_then(|()| formats::check()),
        ["globals", files @ ..] if !files.is_empty() => {
            globals::print(files).map_err(|error| anyhow::anyhow!("{error}"))
        }
        ["bench"] => bench::run(None),
        ["bench", "--lab", lab] => bench::run(Some(lab)),
        ["edits", dump] => edits::run(dump, 1, 120, &[]),
        ["edits", dump, seed] => edits::run(dump, seed.parse()?, 120, &[]),
        ["edits", dump, seed, count, files @ ..] => {
            edits::run(dump, seed.parse()?, count.parse()?, files)
        }
        _ => bail!("{USAGE}"),
    }
}
