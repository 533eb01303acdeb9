//! Files, mappings, mounts, IPC, signals and sockets of full-size dumps against what the guests
//! printed of /proc before they died, and what they are known to have planted.
//!
//! Where crash 9 answers otherwise on the same dumps, and why:
//! - `files`: a pipe has no path there; here it is `pipe:[inode]`, as in /proc.
//! - `net -s`: addresses of IPv6 are written out there (`0:0:0:0:0:0:0:0`), here they are short;
//!   a unix socket has its path, and every socket its state, behind crash's columns.
//! - `vm -f`: 0x1000 and 0x8000000 are called EXECUTABLE and CAN_NONLINEAR there, which they were
//!   until 3.7 and 3.19; here UFFD_WP and SOFTDIRTY.

mod common;

use std::{collections::BTreeSet, fs, path::Path};

use common::{dumps, lab, name, open, rows};
use necropsy_synth::Needs;
use serde_json::Value;

/// The lines of a file of /proc that the guest printed, each as words.
fn proc(dump: &Path, file: &str) -> Vec<Vec<String>> {
    let bytes = fs::read(dump.with_file_name("console.log")).unwrap();
    let console = String::from_utf8_lossy(&bytes).replace('\r', "");
    let mark = format!("LAB proc: {file}: ");
    // The kernel's own lines may cut in: a line that does not begin so is not looked at.
    let lines = console.lines().filter_map(|line| line.strip_prefix(&mark));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn text(row: &Value, field: &str) -> String {
    match &row[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn number(row: &Value, field: &str) -> u64 {
    let value = &row[field];
    value.as_u64().unwrap_or_else(|| common::address(value))
}

fn mounts_are_those_of_proc() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let expected: Vec<[String; 3]> = proc(&dump, "mounts")
            .into_iter()
            .map(|words| [words[0].clone(), words[1].clone(), words[2].clone()])
            .collect();
        if expected.is_empty() {
            continue;
        }
        let ours: Vec<[String; 3]> = rows(&mut open(std::slice::from_ref(&dump)), "mount")
            .iter()
            // Since 7.0 the root that processes see is mounted on an empty one, which is not shown
            // in /proc: no process can reach it.
            .filter(|row| row["type"] != "nullfs")
            .map(|row| ["device", "dir", "type"].map(|field| text(row, field)))
            .collect();
        assert_eq!(ours, expected, "{}", name(&dump));
    }
}

fn ipc_is_that_of_proc() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        // This scenario changes an id on purpose, and attaches once more.
        let (scenario, mut session) = (name(&dump), open(std::slice::from_ref(&dump)));
        let shm = proc(&dump, "sysvipc/shm");
        if shm.is_empty() {
            continue;
        }
        let field = |words: &[String], at: usize| words[at].parse::<u64>().unwrap();
        let expected: Vec<_> = shm[1..]
            .iter()
            .map(|w| (field(w, 0), field(w, 1), w[2].clone(), field(w, 3)))
            .collect();
        let ours: Vec<_> = rows(&mut session, "ipcs -m")
            .iter()
            .map(|r| (number(r, "key"), number(r, "id"), text(r, "perms"), number(r, "bytes")))
            .collect();
        assert_eq!(ours, expected, "{scenario}");
        if !scenario.ends_with("-shm") {
            let expected: Vec<_> = shm[1..].iter().map(|w| field(w, 6)).collect();
            let ours: Vec<_> =
                rows(&mut session, "ipcs -m").iter().map(|r| number(r, "nattch")).collect();
            assert_eq!(ours, expected, "{scenario}");
        }
        let sem = rows(&mut session, "ipcs -s");
        let expected = proc(&dump, "sysvipc/sem");
        assert_eq!(sem.len(), expected.len() - 1, "{scenario}");
        assert_eq!(number(&sem[0], "semaphores"), field(&expected[1], 3), "{scenario}");
        assert_eq!(sem[0]["waiters"].as_array().map(Vec::len), Some(1), "{scenario}: the waiter");
        let waiter = number(&rows(&mut session, "ps sem-wait")[0], "pid");
        assert_eq!(sem[0]["waiters"][0].as_u64(), Some(waiter), "{scenario}");
        let msg = rows(&mut session, "ipcs -q");
        let expected = proc(&dump, "sysvipc/msg");
        assert_eq!(number(&msg[0], "bytes"), field(&expected[1], 3), "{scenario}");
        assert_eq!(number(&msg[0], "messages"), field(&expected[1], 4), "{scenario}");
        assert_eq!(msg[0]["queued"][0]["type"].as_u64(), Some(7), "{scenario}: its type");
    }
}

/// `0100007F:1F90` as `127.0.0.1-8080`.
fn end(text: &str) -> String {
    let (address, port) = text.split_once(':').unwrap();
    let address = u32::from_str_radix(address, 16).unwrap().swap_bytes();
    let port = u16::from_str_radix(port, 16).unwrap();
    format!("{}-{port}", std::net::Ipv4Addr::from(address))
}

fn sockets_are_those_of_proc() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let (scenario, mut session) = (name(&dump), open(std::slice::from_ref(&dump)));
        let tcp = proc(&dump, "net/tcp");
        if tcp.is_empty() {
            continue;
        }
        let state = |code: &str| match code {
            "01" => "ESTABLISHED",
            "0A" => "LISTEN",
            other => panic!("{scenario}: state {other}"),
        };
        let expected: BTreeSet<_> = tcp[1..]
            .iter()
            .map(|words| (end(&words[1]), end(&words[2]), state(&words[3]).to_owned()))
            .collect();
        let sockets = rows(&mut session, "foreach net -s");
        let of = |family: &str| -> Vec<&Value> {
            sockets.iter().filter(|row| row["family"] == family).collect()
        };
        let ours: BTreeSet<_> = of("INET")
            .iter()
            .filter(|row| row["type"] == "STREAM")
            .map(|r| (text(r, "source"), text(r, "destination"), text(r, "state")))
            .collect();
        assert_eq!(ours, expected, "{scenario}");
        assert_eq!(text(of("INET6")[0], "source"), "::-5353", "{scenario}");
        let unix = of("UNIX");
        let path = proc(&dump, "net/unix")[1].last().cloned().unwrap();
        assert!(unix.iter().any(|row| text(row, "source") == path), "{scenario}: {unix:?}");
        let devices = rows(&mut session, "net");
        assert_eq!(devices[0]["name"], "lo", "{scenario}");
        assert_eq!(devices[0]["addresses"][0], "127.0.0.1", "{scenario}");
    }
}

fn what_the_guests_planted_is_found() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let (scenario, mut session) = (name(&dump), open(std::slice::from_ref(&dump)));
        // Of a guest with another population there is nothing to say.
        if rows(&mut session, "ps").iter().all(|row| row["comm"] != "sig-pend") {
            continue;
        }
        let files = rows(&mut session, "files files");
        let paths: Vec<_> =
            files.iter().filter(|r| r["kind"] == "fd").map(|r| text(r, "path")).collect();
        let planted: Vec<_> = (0..20).map(|n| format!("/tmp/file-{n:02}")).collect();
        assert!(paths.ends_with(&planted), "{scenario}: {paths:?}");
        let vm = &rows(&mut session, "vm files")[0];
        let mapped: Vec<_> =
            vm["vmas"].as_array().unwrap().iter().map(|v| text(v, "file")).collect();
        for path in &planted {
            assert!(mapped.contains(path), "{scenario}: {path} in {mapped:?}");
        }
        for (task, kind, path) in [
            ("pipe-read", "FIFO", "pipe:["),
            ("tcp-listen", "SOCK", "TCP"),
            ("epoll", "UNKN", "[eventpoll]"),
            ("epoll", "UNKN", "[timerfd]"),
        ] {
            let files = rows(&mut session, &format!("files {task}"));
            let has = |row: &Value| row["type"] == kind && text(row, "path").starts_with(path);
            assert!(files.iter().any(has), "{scenario}: {task} has no {path}: {files:?}");
        }
        let pending: Vec<_> = rows(&mut session, "sig sig-pend")
            .iter()
            .filter(|row| row["pending"] == true)
            .map(|row| (text(row, "name"), row["blocked"].as_bool()))
            .collect();
        let expected = ["SIGUSR1", "SIGTERM"].map(|name| (name.to_owned(), Some(true)));
        assert_eq!(pending, expected, "{scenario}");
        let shared = rows(&mut session, "foreach shm-user vm");
        let attached = |row: &Value| row["vmas"].to_string().contains("SYSV00002795");
        assert_eq!(shared.iter().filter(|row| attached(row)).count(), 11, "{scenario}");
    }
}

/// Stacks of programs reach their first function by the programs' own unwind tables.
fn stacks_of_programs_reach_their_beginning() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let (scenario, mut session) = (name(&dump), open(std::slice::from_ref(&dump)));
        if rows(&mut session, "ps").iter().all(|row| row["comm"] != "sig-pend") {
            continue;
        }
        for task in ["sig-pend", "tcp-listen", "files", "thr-0"] {
            let row = &rows(&mut session, &format!("bt -u {task}"))[0];
            let frames = row["frames"].as_array().unwrap();
            assert!(frames.len() >= 3 && row["ended"].is_null(), "{scenario}: {task}: {row:#}");
            for (index, frame) in frames.iter().enumerate() {
                let by = if index == 0 { "regs" } else { "eh_frame" };
                assert_eq!(
                    (&frame["found_by"], &frame["file"]),
                    (&by.into(), &"/bin/workload".into())
                );
            }
        }
    }
}

/// Disks, PCI and ranges are where the guest had them, on kernels that crash does not know, too.
fn devices_are_those_of_the_machine() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let (scenario, mut session) = (name(&dump), open(std::slice::from_ref(&dump)));
        let disks = rows(&mut session, "dev -d");
        if disks.iter().all(|row| row["name"] != "vda") {
            continue;
        }
        assert_eq!(disks[0]["total"], 0, "{scenario}");
        let buses = rows(&mut session, "dev -p");
        let ids: Vec<_> =
            buses[0]["devices"].as_array().unwrap().iter().map(|row| text(row, "id")).collect();
        // QEMU's host bridge and virtio disk (docs/specs/pci-ids.rst there).
        assert!(ids.contains(&"8086:1237".to_owned()), "{scenario}: {ids:?}");
        assert!(ids.iter().any(|id| id.starts_with("1af4:")), "{scenario}: {ids:?}");
        let ranges = rows(&mut session, "dev -i");
        let has = |name: &str| ranges.iter().any(|row| row["name"] == name);
        assert!(has("System RAM") && has("Kernel code") && has("rtc0"), "{scenario}");
    }
}

necropsy_synth::data_tests! {
    stacks_of_programs_reach_their_beginning: [Needs::Lab("out")],
    devices_are_those_of_the_machine: [Needs::Lab("out")],
    mounts_are_those_of_proc: [Needs::Lab("out")],
    ipc_is_that_of_proc: [Needs::Lab("out")],
    sockets_are_those_of_proc: [Needs::Lab("out")],
    what_the_guests_planted_is_found: [Needs::Lab("out")],
}
