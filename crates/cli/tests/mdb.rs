//! The program under mdb's and savecore's names, and mdb's language on a Linux dump.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use necropsy_synth::illumos::{Kernel, Options, Packing};

fn called(name: &str, folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_necropsy"))
        .arg0(name)
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with `vmdump.4`.
fn crash() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Kernel::new(Options::default());
    let mut file = BufWriter::new(File::create(folder.path().join("vmdump.4")).unwrap());
    made.dump.vmdump(Packing::Lzjb, &mut file).unwrap();
    folder
}

#[test]
fn called_mdb_it_takes_mdb_s_arguments() {
    let folder = crash();
    let mdb = |arguments: &[&str], input: &str| called("mdb", folder.path(), arguments, input);
    // Not expanded, expanded, by number and by file.
    for _ in 0..2 {
        for arguments in [&["4"][..], &["-k", "vmdump.4"]] {
            let output = mdb(arguments, "::status\n::ps ! grep cat\n");
            let text = text(&output.stdout);
            assert!(text.starts_with("debugging crash dump vmcore.4 (64-bit) from synth\n"));
            assert!(text.ends_with(" cat\n"), "{text}");
            assert_eq!(output.status.code(), Some(0));
        }
        called("savecore", folder.path(), &["-f", "vmdump.4"], "");
    }
    let output = mdb(&["unix.4", "vmcore.4", "-e", "::pgrep -x cat | ::walk thread"], "");
    assert_eq!(text(&output.stdout).lines().count(), 1);
    // A name that is wrong fails, and the lines behind it run.
    let output = mdb(&["4"], "::msg\n1=K\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did you mean ::msgbuf?"));
    assert_eq!(text(&output.stdout).trim(), "1");
    assert_eq!(mdb(&["-p", "1"], "").status.code(), Some(2));
    assert_eq!(mdb(&["9"], "").status.code(), Some(3));
}

#[test]
fn called_savecore_it_expands() {
    let folder = crash();
    let savecore = |arguments: &[&str]| called("savecore", folder.path(), arguments, "");
    fs::create_dir(folder.path().join("out")).unwrap();
    let output = savecore(&["-vf", "vmdump.4", "out"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("pages saved"), "{}", text(&output.stdout));
    let made = Kernel::new(Options::default());
    assert!(fs::read(folder.path().join("out/vmcore.4")).unwrap() == made.dump.vmcore());
    assert_eq!(fs::read(folder.path().join("out/unix.4")).unwrap(), made.dump.ksyms);
    let output = savecore(&["-f", "vmdump.4", "out"]);
    assert!(text(&output.stderr).contains("exists already"), "{}", text(&output.stderr));
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(savecore(&[]).status.code(), Some(2));
}

#[test]
fn a_linux_dump_in_mdb_s_language() {
    let folder = tempfile::tempdir().unwrap();
    let dump = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dumps/linux-6.12-shm.kdump");
    let run = |line: &str| {
        text(&called("necropsy", folder.path(), &["--mdb", dump, "-e", line], "").stdout)
    };
    assert!(run("::status").contains("panic message: Kernel panic"));
    assert!(run("::ps").contains(" swapper/0"));
    let init = run("::pgrep -x init | ::print struct task_struct comm pid");
    assert_eq!(init, "comm = [ \"init\" ]\npid = 0x1\n");
    assert!(run("::walk proc ! head -1").starts_with("ffffffff"));
    assert!(run("panic::dis -n 2").starts_with("panic: "));
    assert!(run("$C").contains(" panic+0x2e6()"));
    assert!(run("::msgbuf").contains("Linux version 6.12"));
    assert!(run("linux_banner/s").contains("Linux version 6.12"));
    assert_eq!(run("0t16=K").trim(), "10");
    assert!(run("::walk thread | ::findstack ! head -5").contains("__schedule"));
}
