//! Dumps written anew answer as the one that they were made from.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const DUMP: &str = "tests/dumps/linux-6.12-shm.kdump";

fn necropsy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_necropsy"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .unwrap()
}

fn answer(dump: &str, line: &str) -> String {
    let output = necropsy(&[dump, "-s", "--no-rc", "-e", line]);
    assert!(output.status.success(), "{dump}: {line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn convert(arguments: &[&str]) -> String {
    let output = necropsy(&[&["convert"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_form_answers_alike() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for (options, format) in [
        (&["--format", "elf"][..], "ELF"),
        (&["--compress", "zlib:9"], "kdump-compressed v6, zlib"),
        (&["--compress", "none", "--level", "1"], "kdump-compressed v6, raw"),
        (&[], "kdump-compressed v6, zstd"),
    ] {
        let said = convert(&[&[DUMP, out], options].concat());
        assert!(said.contains(" pages, "), "{said}");
        let info = answer(out, "info");
        assert!(info.contains(&format!("FORMAT: {format}\n")), "{info}");
        for line in ["bt -a", "ps", "log", "mod", "sys -t"] {
            assert_eq!(answer(out, line), answer(DUMP, line), "{options:?}: {line}");
        }
    }
}

#[test]
fn only_what_commands_touch() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("lines"), "# the log alone\nlog\n").unwrap();
    let (lines, out) = (path("lines"), path("out"));
    let said = convert(&[DUMP, &out, "--touched-by", &lines]);
    assert!(said.contains(" left out"), "{said}");
    assert!(fs::metadata(&out).unwrap().len() < fs::metadata(full_path()).unwrap().len());
    assert_eq!(answer(&out, "log"), answer(DUMP, "log"));
    // What no command asked for is missing, and said to be so.
    let output = necropsy(&[&out, "-s", "--no-rc", "-e", "bt -a"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("excluded"), "{output:?}");
}

#[test]
fn what_cannot_be_done_is_refused() {
    let same = necropsy(&["convert", DUMP, DUMP]);
    assert_eq!(same.status.code(), Some(2));
    for options in [&["--level", "31"][..], &["--compress", "lzo"], &["--format", "raw"]] {
        let output = necropsy(&[&["convert", DUMP, "/nonexistent/out"], options].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}");
    }
    let output = necropsy(&["convert", DUMP, "/nonexistent/out"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(fs::metadata(full_path()).unwrap().len() > 1 << 20);
}

fn full_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(DUMP)
}
