//! Names of machines and of their registers stand where an architecture is taught, and nowhere else.
//!
//! The places are the folders `arch`, the decoders of instructions, the formats of page tables, the
//! notes of dumps and the panic texts; see the documentation of `crates/machine/src/arch`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Crates and folders that speak of single machines by their nature.
const PLACES: [&str; 8] = [
    "lexicon/",
    "disasm/",
    "dump/",
    "oops/",
    "synth/",
    "illumos/",
    "machine/src/paging/",
    "machine/src/arch/",
];

/// Files that may, and why.
const EXCEPTIONS: [(&str, &str); 14] = [
    ("linux/src/check/page/tables.rs", "entries of one machine's page tables; others are left out"),
    ("linux/src/code/mod.rs", "where one machine's kernel patches itself; others are left out"),
    ("machine/src/testkit.rs", "a machine for tests is of one architecture"),
    ("machine/src/fake.rs", "a machine for tests is of one architecture"),
    ("machine/src/dataflow/tests.rs", "tests"),
    ("linux/src/arch/", "Linux's side of each"),
    ("cli/src/commands/info/header.rs", "QEMU's note of a CPU is of that machine alone"),
    ("cli/src/commands/frame.rs", "an example in the help text"),
    ("debuginfo/src/dwarf/file.rs", "whose rules of unwinding a file has"),
    ("diagnose/src/facts/gather.rs", "lines of a panic text"),
    ("linux/src/shapes/tests/", "tests"),
    ("linux/src/user_core.rs", "the layout of a process's core file; it refuses other machines"),
    ("mdb/", "illumos runs on one architecture"),
    ("cli/src/commands/help/machine.rs", "a page of help on one machine"),
];

const NAMES: [&str; 18] = [
    "x86_64", "X86_64", "x86", "i386", "I386", "aarch64", "Aarch64", "arm64", "riscv64", "Riscv64",
    "ppc64", "Ppc64", "s390x", "S390x", "RIP", "RSP", "rflags", "RFLAGS",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether `name` stands in the line as a word.
fn says(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + name.len()..].starts_with(is_word)
    })
}

#[test]
fn architectures_stay_in_their_folders() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in fs::read_dir(&crates).unwrap().flatten() {
        sources(&folder.path().join("src"), &mut files);
    }
    assert!(files.len() > 200, "{} files", files.len());
    let mut astray = Vec::new();
    for file in files {
        let name = file.strip_prefix(&crates).unwrap().to_string_lossy().replace('\\', "/");
        let known = PLACES.iter().chain(EXCEPTIONS.iter().map(|(file, _)| file));
        if known.into_iter().any(|place| name.starts_with(place)) || name.contains("/tests") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            // Comments may name what they speak of.
            let line = line.split("//").next().unwrap_or_default();
            if NAMES.iter().any(|name| says(line, name)) {
                astray.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
}
