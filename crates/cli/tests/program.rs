//! The program as a user starts it: exit codes, streams, names.

use std::{
    io::Write,
    os::unix::{fs::symlink, process::CommandExt},
    process::{Command, Output, Stdio},
};

fn necropsy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_necropsy")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [&[][..], &["--bogus", "x"], &["completions", "nosuchshell"]] {
        assert_eq!(necropsy(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_opened_is_3_and_told_in_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(b"no dump at all").unwrap();
    for path in [file.path().to_str().unwrap(), "/no/such/file"] {
        let output = necropsy(&[path]);
        assert_eq!(output.status.code(), Some(3), "{path}");
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains(path));
    }
}

#[test]
fn help_manual_and_completions_go_to_standard_output() {
    for (arguments, part) in [
        (&["--help"][..], "FILE"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["man"], ".TH"),
        (&["completions", "bash"], "complete"),
        (&["completions", "zsh"], "#compdef"),
    ] {
        let output = necropsy(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{arguments:?}");
    }
}

#[test]
fn called_crash_it_takes_crash_s_arguments() {
    let as_crash = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_necropsy"));
        command.arg0("crash").args(arguments).output().unwrap()
    };
    let output = as_crash(&["-s", "--hash", "32", "/no/such/vmcore"]);
    assert_eq!(output.status.code(), Some(3));
    let output = as_crash(&["--memory_module", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("crash: option --memory_module"));

    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("crash");
    symlink(env!("CARGO_BIN_EXE_necropsy"), &link).unwrap();
    let output = Command::new(link).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("necropsy "));
}

#[test]
fn nobody_reading_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_necropsy"))
        .arg("man")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_report_of_a_log_is_as_short_as_one_of_a_dump() {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    let lines = "BUG: kernel NULL pointer dereference, address: 0000000000000000\n\
                 #PF: supervisor write access in kernel mode\n\
                 RIP: 0010:crashme_run+0x3f/0x60 [crashme]\n";
    log.write_all(lines.as_bytes()).unwrap();
    let path = log.path().to_str().unwrap();
    for count in ["0x80", "128"] {
        let output = necropsy(&["report", "--max-bytes", count, path]);
        assert_eq!(output.status.code(), Some(0), "{count}: {}", stderr(&output));
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.starts_with("VERDICT") && shown.len() <= 128, "{count}: {shown}");
    }
    let output = necropsy(&["report", "--max-bytes", "few", path]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
