//! `necropsy oops` as a user starts it, and the session's command on real dumps.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use necropsy_debuginfo::dwarf::DebugFile;
use serde_json::Value;

/// An oops and the panic that follows.
const LOG: &str = "\
[    1.000000] Linux version 6.12.0-test (build@host) #1 SMP
[   20.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   20.000001] #PF: supervisor write access in kernel mode
[   20.000002] #PF: error_code(0x0002) - not-present page
[   20.000003] Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI
[   20.000004] CPU: 3 UID: 0 PID: 77 Comm: writer Tainted: G           O       6.12.0-test #1
[   20.000005] RIP: 0010:widget_write+0x14/0x60 [widget]
[   20.000006] Code: 0f 1f 44 00 00 55 48 89 e5 48 8b 07 31 c9 48 8b 50 08 90 90 <48> 89 51 08 5d c3
[   20.000007] RAX: ffff888004f5a000 RBX: 0000000000000000 RCX: 0000000000000000
[   20.000008] Call Trace:
[   20.000009]  <TASK>
[   20.000010]  vfs_write+0xf8/0x450
[   20.000011]  ksys_write+0x6f/0xf0
[   20.000012]  do_syscall_64+0x87/0x180
[   20.000013]  entry_SYSCALL_64_after_hwframe+0x76/0x7e
[   20.000014]  </TASK>
[   20.000015] ---[ end trace 0000000000000000 ]---
[   20.100000] Kernel panic - not syncing: Fatal exception
[   20.100001] ---[ end Kernel panic - not syncing: Fatal exception ]---
";
const TITLE: &str = "NULL pointer dereference (write) in widget_write";

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_necropsy"));
    command.arg("oops").args(arguments);
    command
}

fn oops(arguments: &[&str]) -> Output {
    program(arguments).stdin(Stdio::null()).output().unwrap()
}

fn fed(arguments: &[&str], input: &[u8]) -> Output {
    let mut child =
        program(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn rows(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_log_from_a_file_or_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.log");
    fs::write(&file, LOG).unwrap();
    for output in [oops(&[path(&file)]), fed(&[], LOG.as_bytes()), fed(&["-"], LOG.as_bytes())] {
        let page = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        assert!(page.starts_with(TITLE), "{page}");
        assert!(!page.contains('\x1b'), "colours in a file: {page}");
    }
}

#[test]
fn an_object_a_report() {
    let found = rows(&fed(&["--json"], LOG.as_bytes()));
    let report = &found[0];
    assert_eq!(report["title"], TITLE);
    assert_eq!(report["frame"], "widget_write");
    assert_eq!((report["index"].as_u64(), report["first"].as_bool()), (Some(0), Some(true)));
    assert_eq!((&report["panicked"], &report["corrupted"]), (&true.into(), &false.into()));
    assert_eq!((report["cpu"].as_u64(), report["pid"].as_u64()), (Some(3), Some(77)));
    assert_eq!(report["trace"][0]["function"], "widget_write");
    assert_eq!(report["trace"][0]["module"], "widget");
    for key in [
        "class",
        "alt_titles",
        "start_line",
        "end_line",
        "time",
        "comm",
        "release",
        "hardware",
        "taint",
        "error_code",
        "registers",
        "code",
        "user",
        "modules",
    ] {
        assert!(report.get(key).is_some(), "{key} is missing");
    }
    let styled = rows(&fed(&["--json", "--title-style", "syzkaller"], LOG.as_bytes()));
    assert_eq!(
        styled[0]["title"],
        "BUG: unable to handle kernel NULL pointer dereference in widget_write"
    );
    assert_eq!(styled[0]["type"], "NULL-POINTER-DEREFERENCE");
}

#[test]
fn exit_codes() {
    let nothing = fed(&[], b"[    1.000000] all is well\n");
    assert_eq!(nothing.status.code(), Some(0));
    let nothing = oops(&[]);
    assert_eq!(nothing.status.code(), Some(0));
    assert_eq!(text(&nothing.stderr), "no kernel report found\n");
    assert!(nothing.stdout.is_empty());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.log");
    fs::write(&file, LOG).unwrap();
    // What can be read is read.
    let partly = oops(&["/no/such/log", path(&file)]);
    assert_eq!(partly.status.code(), Some(1));
    assert!(text(&partly.stderr).contains("/no/such/log"));
    assert!(text(&partly.stdout).contains(TITLE));

    for wrong in [&["--title-style", "haiku"][..], &["--follow", "a", "b"], &["--bogus"]] {
        assert_eq!(oops(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(oops(&["--symbols", "/no/such/vmlinux", path(&file)]).status.code(), Some(1));
    assert_eq!(oops(&["--symbols", path(&file), path(&file)]).status.code(), Some(1));
}

#[test]
fn packed_logs_and_folders_of_pstore() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("console.log.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&packed).unwrap(), Default::default());
    encoder.write_all(LOG.as_bytes()).unwrap();
    encoder.finish().unwrap();
    assert_eq!(rows(&oops(&["--json", path(&packed)]))[0]["title"], TITLE);
    // A damaged archive is read as far as it goes.
    let whole = fs::read(&packed).unwrap();
    fs::write(&packed, &whole[..whole.len() - 20]).unwrap();
    assert!(!rows(&oops(&["--json", path(&packed)])).is_empty());

    // Part 1 is the newest.
    let pstore = folder.path().join("pstore");
    fs::create_dir(&pstore).unwrap();
    let (older, newer) = LOG.split_at(LOG.find("[   20.000010]").unwrap());
    for (part, text) in [(1, newer), (2, older)] {
        let name = format!("dmesg-efi-1732150000{part:02}001");
        fs::write(pstore.join(name), format!("Panic#1 Part{part}\n{text}")).unwrap();
    }
    let found = rows(&oops(&["--json", path(&pstore)]));
    assert_eq!(found[0]["title"], TITLE);
    let trace: Vec<_> =
        found[0]["trace"].as_array().unwrap().iter().map(|f| f["function"].clone()).collect();
    assert_eq!(trace[..3], ["widget_write", "vfs_write", "ksys_write"]);
}

#[test]
fn several_logs_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = ["a.log", "b.log"].map(|name| folder.path().join(name)).into();
    for file in &files {
        fs::write(file, LOG).unwrap();
    }
    let page = text(&oops(&[path(&files[0]), path(&files[1])]).stdout);
    assert!(page.contains(&format!("==> {} <==", files[1].display())), "{page}");
    let found = rows(&oops(&["--json", path(folder.path())]));
    let sources: Vec<_> = found.iter().filter(|row| row["first"] == true).collect();
    assert_eq!(sources.len(), 2);
    assert!(sources[0]["source"].as_str().unwrap().ends_with("a.log"));
    let indexes: Vec<_> = found.iter().map(|row| row["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, (0..found.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_crash_deep_in_a_long_log() {
    let noise = b"[   10.123456] usb 1-1: new high-speed USB device number 7 using xhci_hcd\n";
    let mut log = noise.repeat(600_000);
    let lines = 600_000;
    log.extend_from_slice(LOG.as_bytes());
    log.extend(noise.repeat(100_000));
    let found = rows(&fed(&["--json"], &log));
    assert_eq!(found[0]["title"], TITLE);
    assert_eq!(found[0]["start_line"], lines + 2);
    assert_eq!(found[0]["panicked"], true);
}

#[test]
fn nobody_reading_is_no_error() {
    let mut child =
        program(&["--all"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let _ = child.stdin.take().unwrap().write_all(LOG.as_bytes());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Something that has lines in this program.
#[inline(never)]
fn a_place_to_find(n: u64) -> u64 {
    n + 1
}

#[test]
fn lines_of_the_source() {
    assert_eq!(a_place_to_find(std::hint::black_box(1)), 2);
    let own = std::env::current_exe().unwrap();
    let file = DebugFile::open(Box::new(fs::read(&own).unwrap())).unwrap();
    let symbol = file.symbols().iter().find(|s| s.name.contains("a_place_to_find")).unwrap();
    let log = LOG.replace(
        "widget_write+0x14/0x60 [widget]",
        &format!("{}+0x0/{:#x}", symbol.name, symbol.size),
    );
    let found = rows(&fed(&["--json", "--symbols", path(&own)], log.as_bytes()));
    let frame = &found[0]["trace"][0];
    assert!(frame["file"].as_str().unwrap().ends_with("tests/oops.rs"), "{frame}");
    assert!(frame["line"].as_u64().unwrap() > 100, "{frame}");
    // Another size: another kernel.
    let other =
        LOG.replace("widget_write+0x14/0x60 [widget]", &format!("{}+0x0/0x7777", symbol.name));
    let found = rows(&fed(&["--json", "--symbols", path(&own)], other.as_bytes()));
    assert!(found[0]["trace"][0]["file"].is_null());
}

#[test]
fn names_of_values() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("System.map-6.12.0-test");
    let symbols = "ffffffff81000000 T _text\nffffffff82100000 D widgets\nffffffff82100040 D _end\n";
    fs::write(&map, symbols).unwrap();
    let log = LOG.replace("RAX: ffff888004f5a000", "RAX: ffffffff92100008")
        + "[   20.100002] Kernel Offset: 0x10000000 from 0xffffffff81000000\n";
    // The offset comes with the panic, which may be a report of its own.
    for symbols in [path(&map), path(folder.path())] {
        let found = rows(&fed(&["--json", "--symbols", symbols], log.as_bytes()));
        let registers = found[0]["registers"].as_array().unwrap();
        let rax = registers.iter().find(|r| r["name"] == "rax").unwrap();
        assert!(rax["meaning"].as_str().unwrap().ends_with("widgets+0x8"), "{rax}");
    }
}

/// Reads what a child prints until it contains `part`.
fn wait_for(child: &mut Child, seen: &mut String, part: &str) {
    let stdout = child.stdout.as_mut().unwrap();
    let mut buffer = [0; 4096];
    while !seen.contains(part) {
        let length = stdout.read(&mut buffer).unwrap();
        assert!(length > 0, "the program ended: {seen}");
        seen.push_str(&text(&buffer[..length]));
    }
}

fn interrupt(child: &mut Child) -> Option<i32> {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    child.wait().unwrap().code()
}

#[test]
fn following_a_file_that_grows_is_cut_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.log");
    fs::write(&file, "[    0.000000] Linux version 6.12.0-test\n").unwrap();
    let mut child = program(&["--follow", path(&file)]).stdout(Stdio::piped()).spawn().unwrap();
    let append = |text: &str| {
        File::options().append(true).open(&file).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let renamed = |name: &str| LOG.replace("widget", name);
    let mut seen = String::new();
    let (head, tail) = LOG.split_at(LOG.find("[   20.000008]").unwrap());
    append(head);
    thread::sleep(Duration::from_millis(200));
    append(tail);
    wait_for(&mut child, &mut seen, "in widget_write");
    fs::write(&file, renamed("gadget")).unwrap();
    wait_for(&mut child, &mut seen, "in gadget_write");
    fs::rename(&file, folder.path().join("console.log.1")).unwrap();
    fs::write(&file, renamed("gizmo")).unwrap();
    wait_for(&mut child, &mut seen, "in gizmo_write");
    assert_eq!(interrupt(&mut child), Some(0));
}

#[test]
fn following_a_pipe() {
    let mut child = program(&["--follow", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(LOG.as_bytes()).unwrap();
    // The pipe stays open.
    wait_for(&mut child, &mut String::new(), TITLE);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Peak of a running child's memory, in bytes.
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or(0, |kib| kib << 10)
}

/// `cargo test --release -p necropsy --test oops -- --ignored --nocapture`
#[test]
#[ignore = "a gigabyte four times: for release builds on a quiet machine"]
fn a_gigabyte_of_anything_takes_little_memory() {
    const SIZE: usize = 1 << 30;
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize
    };
    let words = ["eth0:", "link", "up", "device", "ready", "0x1f", "usb", "sda1", "(ext4)", "opts"];
    let mut noise = Vec::new();
    while noise.len() < 16 << 20 {
        write!(noise, "[{:5}.{:06}]", noise.len() >> 10, random() % 1_000_000).unwrap();
        for _ in 0..4 + random() % 8 {
            write!(noise, " {}", words[random() % words.len()]).unwrap();
        }
        noise.push(b'\n');
    }
    let garbage: Vec<u8> = (0..16 << 20).map(|_| random() as u8).collect();
    let one_line: Vec<u8> = noise.iter().map(|b| if *b == b'\n' { b' ' } else { *b }).collect();
    let binary_line: Vec<u8> = garbage.iter().map(|b| if *b == b'\n' { 0 } else { *b }).collect();
    for (name, piece) in [
        ("noise", noise),
        ("one line", one_line),
        ("garbage", garbage),
        ("one line of garbage", binary_line),
    ] {
        let mut child = program(&["--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let mut stdin: ChildStdin = child.stdin.take().unwrap();
        for _ in 0..SIZE / piece.len() {
            stdin.write_all(&piece).unwrap();
        }
        let memory = peak(&child) >> 20;
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let speed = SIZE as f64 / 1e6 / begun.elapsed().as_secs_f64();
        eprintln!("{name}: {speed:.0} MB/s, {memory} MiB");
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(memory < 256, "{name}: {memory} MiB");
        assert!(cfg!(debug_assertions) || name != "noise" || speed >= 300.0, "{speed} MB/s");
    }
}
