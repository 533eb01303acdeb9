//! Runs a crate's example programs, so that what its README says stays true.

use std::{path::PathBuf, process::Command};

/// A dump of the repository, from wherever the tests of a crate run.
pub fn repository_dump(name: &str) -> PathBuf {
    let crates = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    crates.join("cli/tests/dumps").join(name)
}

/// What the example `name` of the crate that is being tested prints. Cargo builds a crate's
/// examples with its tests.
///
/// # Panics
/// It is not built, or fails.
pub fn run_example<A: AsRef<std::ffi::OsStr>>(
    name: &str,
    args: impl IntoIterator<Item = A>,
) -> String {
    // Tests lie in `deps` beside `examples`.
    let this = std::env::current_exe().expect("the test's own path");
    let folder = this.ancestors().nth(2).expect("the folder of a build");
    let program = folder.join("examples").join(name);
    let ran = Command::new(&program).args(args).output().unwrap_or_else(|error| {
        panic!("{}: {error} (`cargo test` builds it, `--test` alone does not)", program.display())
    });
    assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}
