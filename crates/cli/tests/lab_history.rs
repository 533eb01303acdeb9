//! What full-size dumps hold of the past and of user space, against what the guests printed before
//! they died: traces, the account of memory, files in memory, core files.
//!
//! Where crash 9 and trace-cmd answer otherwise, and why:
//! - trace-cmd's plugins print some events in a way of their own; `trace-cmd report -N` prints each
//!   as here, but for functions, which it separates by `<--`.
//! - `kmem -i` of crash has no account of all of RAM: what it calls USED is not told by use.

mod common;

use std::{fs, path::Path};

use common::{dumps, lab, name, open, rows};
use necropsy::{language::run_captured, render::Capture, render::Form};
use necropsy_synth::Needs;
use serde_json::Value;

fn console(dump: &Path) -> String {
    let bytes = fs::read(dump.with_file_name("console.log")).unwrap();
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

fn printed(dump: &Path, line: &str) -> Vec<String> {
    let mut session = open(&[dump.to_owned()]);
    session.settings.form = Form::Text;
    let capture = Capture::default();
    run_captured(&mut session, line, &capture);
    capture.take().lines().map(str::to_owned).collect()
}

fn traces_are_what_the_guest_read() {
    let Some(lab) = lab() else { return };
    let mut compared = 0;
    for dump in dumps(&lab) {
        let console = console(&dump);
        let expected: Vec<&str> =
            console.lines().filter_map(|line| line.strip_prefix("LAB trace: ")).collect();
        if expected.is_empty() {
            continue;
        }
        let ours = printed(&dump, "trace -u");
        let events: Vec<&str> =
            ours.iter().map(String::as_str).filter(|line| !line.starts_with('#')).collect();
        assert!(events.len() >= expected.len(), "{}", name(&dump));
        // What happened after the guest read follows.
        let first = events.iter().position(|line| line == &expected[0]);
        let first = first.unwrap_or(events.len() - expected.len());
        for (ours, expected) in events[first..].iter().zip(expected) {
            // The console is the kernel's, too: its own message may take the place of a line's rest.
            if !expected.trim_start().starts_with('[') {
                assert_eq!(*ours, expected, "{}", name(&dump));
            }
        }
        compared += 1;
    }
    assert!(compared > 0, "no dump of a traced guest");
}

/// `comm-pid` cut, the CPU, flags and text of a line that the dying kernel printed:
/// `[    7.608] rcu_pree-18        0d..2. 4562825us : sched_stat_runtime: …`.
fn of_console(line: &str) -> Option<(u64, String)> {
    let (head, text) = line.split_once("us : ")?;
    let task = head.split_whitespace().find(|word| word.contains('-'))?;
    let pid = task.rsplit('-').next()?.parse().ok()?;
    Some((pid, text.trim().to_owned()))
}

fn what_the_dying_kernel_consumed_is_read_from_the_pages() {
    let Some(lab) = lab() else { return };
    let mut compared = 0;
    for dump in dumps(&lab) {
        let console = console(&dump);
        if !console.contains("Dumping ftrace buffer") {
            continue;
        }
        let mut expected: Vec<(u64, String)> = console.lines().filter_map(of_console).collect();
        let rows = rows(&mut open(std::slice::from_ref(&dump)), "trace");
        let mut ours: Vec<(u64, String)> = rows
            .iter()
            .map(|row| {
                let text = row["text"].as_str().unwrap_or_default().trim().to_owned();
                (row["pid"].as_u64().unwrap_or(0), text)
            })
            .collect();
        assert!(rows.iter().all(|row| row["consumed"] == true), "{}", name(&dump));
        // Of pages whose time the kernel wiped out the order between CPUs is not known.
        if rows.iter().any(|row| row["exact"] == false) {
            expected.sort();
            ours.sort();
        }
        // Lines may have been lost on the way to the console, never in the dump.
        let missing: Vec<_> = expected.iter().filter(|line| !ours.contains(line)).take(3).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", name(&dump));
        assert!(ours.len() <= expected.len() + expected.len() / 20, "{}", name(&dump));
        compared += 1;
    }
    assert!(compared > 0, "no dump of a guest that printed its trace");
}

/// A number of /proc/meminfo, in kB.
fn meminfo(console: &str, field: &str) -> Option<u64> {
    let mark = format!("LAB proc: meminfo: {field}:");
    let line = console.lines().find_map(|line| line.strip_prefix(&mark))?;
    line.split_whitespace().next()?.parse().ok()
}

fn memory_is_accounted_for() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let (name, console) = (name(&dump), console(&dump));
        let rows = rows(&mut open(std::slice::from_ref(&dump)), "oomkill -u");
        let row = |used: &str| rows.iter().find(|row| row["use"] == used);
        let kb = |used: &str| row(used).and_then(|row| row["kb"].as_u64()).unwrap_or(0);
        let total = kb("total");
        let parts: u64 = rows.iter().filter_map(|row| row["kb"].as_u64()).sum::<u64>() - total;
        assert_eq!(parts, total, "{name}: every frame once");
        let unknown = kb("unknown") + kb("not_in_dump");
        assert!(unknown * 100 <= total * 2, "{name}: {unknown} KB of {total} unknown");
        if meminfo(&console, "MemFree").is_none() {
            continue;
        }
        // What the guest printed, up to ten seconds before: a fiftieth of RAM apart at most.
        let slab = kb("slab") + kb("large_kmalloc");
        for (ours, field) in [
            (kb("free"), "MemFree"),
            (kb("anonymous"), "AnonPages"),
            (kb("shmem"), "Shmem"),
            (kb("stacks"), "KernelStack"),
            (kb("page_tables"), "PageTables"),
            (slab, "Slab"),
        ] {
            let theirs = meminfo(&console, field).unwrap();
            assert!(ours.abs_diff(theirs) * 50 <= total, "{name}: {field} {theirs}, ours {ours}");
        }
    }
}

/// Segments of a core file: address, bytes in the file, bytes in memory.
fn segments(core: &[u8]) -> Vec<(u64, u64, u64)> {
    let word = |at: usize| u64::from_le_bytes(core[at..at + 8].try_into().unwrap());
    let count = usize::from(u16::from_le_bytes([core[56], core[57]]));
    let headers = (0..count).map(|number| 64 + 56 * number);
    let loads = headers.filter(|at| core[*at..*at + 4] == [1, 0, 0, 0]);
    loads.map(|at| (word(at + 16), word(at + 32), word(at + 40))).collect()
}

fn core_files_hold_what_processes_had() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().unwrap();
    for dump in dumps(&lab) {
        let mut session = open(std::slice::from_ref(&dump));
        let tasks = rows(&mut session, "ps anon-mem");
        let Some(pid) = tasks.first().and_then(|row| row["pid"].as_u64()) else { continue };
        let file = folder.path().join("core");
        let told = rows(&mut session, &format!("gcore -o {} {pid}", file.display()));
        assert_eq!(told[0]["threads"].as_u64(), Some(1), "{}", name(&dump));
        let core = fs::read(&file).unwrap();
        let found = memchr_count(&core, b"findme: the quick brown needle");
        assert!(found > 0, "{}: the guest wrote it into anonymous memory", name(&dump));
        assert!(segments(&core).len() > 3, "{}", name(&dump));
        // Threads of one process.
        let tasks = rows(&mut session, "ps threads");
        if let Some(pid) = tasks.first().and_then(|row| row["pid"].as_u64()) {
            let told = rows(&mut session, &format!("gcore -o {} {pid}", file.display()));
            assert!(told[0]["threads"].as_u64() >= Some(5), "{}: thr-0 to thr-4", name(&dump));
        }
    }
}

fn memchr_count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

fn files_in_memory_are_given_back() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().unwrap();
    for dump in dumps(&lab) {
        let mut session = open(std::slice::from_ref(&dump));
        let file = folder.path().join("file");
        let pages = rows(&mut session, &format!("pagecache -o {} /bin/workload", file.display()));
        let state: Vec<&Value> = pages.iter().map(|row| &row["state"]).collect();
        assert!(state.iter().all(|state| *state == "cached"), "{}: {state:?}", name(&dump));
        let program = lab.join("workload");
        if program.exists() {
            assert!(fs::read(&file).unwrap() == fs::read(program).unwrap(), "{}", name(&dump));
        }
    }
}

necropsy_synth::data_tests! {
    traces_are_what_the_guest_read: [Needs::Lab("out")],
    what_the_dying_kernel_consumed_is_read_from_the_pages: [Needs::Lab("out")],
    memory_is_accounted_for: [Needs::Lab("out")],
    core_files_hold_what_processes_had: [Needs::Lab("out")],
    files_in_memory_are_given_back: [Needs::Lab("out")],
}
