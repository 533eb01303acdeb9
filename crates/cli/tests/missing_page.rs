//! One page of a real dump is missing, whichever: the dump opens, and `log`, `sys`, `ps` and `bt`
//! answer what that page does not hold. Where an answer differs from that of the whole dump, it says
//! why: never that the kernel has no such member, symbol or type.
//!
//! A seeded few on every run; `NECROPSY_PAGES=1000` for more.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use necropsy::{language::run_captured, opening::Request, render::Capture, session::Session};
use necropsy_dump::{Dump, Keep, OpenOptions, Origin, Packing, PhysicalMemory, write_kdump};

const COMMANDS: [&str; 4] = ["log", "sys", "ps", "bt"];

/// What is said of a thing that the kernel does not have: no missing page makes it so.
const FALSE: [&str; 7] = [
    "no member",
    "no symbol",
    "no type",
    "no such structure",
    "not a structure",
    "called panic",
    "enum constant",
];

/// What is said where a page is missing.
const REASONS: [&str; 4] = ["excluded", "INCOMPLETE", "missing", "page table"];

/// Pages whose lack was told wrongly once: always tried.
const TOLD_WRONGLY: [(&str, u64); 7] = [
    // Names of functions by which the kernel left.
    ("linux-7.2-null.kdump", 0xea03),
    ("linux-7.2-null.kdump", 0xecbe),
    ("linux-7.2-null.kdump", 0x10254),
    ("linux-5.10-deadlock.kdump", 0x119e),
    ("linux-6.12-shm.kdump", 0xb432),
    ("linux-6.12-arm64-null.kdump", 0x41d00),
    ("linux-6.12-arm64-null.kdump", 0x412de),
];

fn dumps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps");
    let mut dumps: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "kdump"))
        .collect();
    dumps.sort();
    dumps
}

fn answers(dump: &Path) -> Vec<String> {
    let request =
        Request { files: vec![dump.to_owned()], no_debuginfo: true, ..Request::default() };
    let mut session = request.session().unwrap_or_else(|error| panic!("{error}"));
    let mut ask = |line| ask(&mut session, line);
    COMMANDS.map(&mut ask).into()
}

fn ask(session: &mut Session, line: &str) -> String {
    let capture = Capture::default();
    run_captured(session, line, &capture);
    capture.take() + &capture.take_notes()
}

/// The same dump without a page, as the filter leaves one out.
fn without(dump: &Dump, pfn: u64, path: &Path) {
    let keep = |other: u64| if other == pfn { Keep::Exclude } else { Keep::Store };
    write_kdump(path, dump, &Origin::of(dump), Packing::None, &keep, None).unwrap();
}

/// What is wrong with the answers without a page, if they are not the whole dump's.
fn compare(whole: &[String], found: &[String], of: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for ((command, found), whole) in COMMANDS.iter().zip(found).zip(whole) {
        // The file's own name differs.
        let lines = |text: &str| -> HashSet<String> {
            let own = |line: &&str| !line.contains("DUMPFILE");
            text.lines().filter(own).map(str::to_owned).collect()
        };
        let (found_lines, whole_lines) = (lines(found), lines(whole));
        if found_lines == whole_lines {
            continue;
        }
        let new: Vec<&String> = found_lines.difference(&whole_lines).collect();
        let says = |words: &str| new.iter().any(|line| line.contains(words));
        if let Some(words) = FALSE.iter().find(|words| says(words)) {
            problems.push(format!("{of}: {command} says {words}: {new:?}"));
        } else if !REASONS.iter().any(|why| says(why)) {
            let gone: Vec<&String> = whole_lines.difference(&found_lines).take(3).collect();
            let new = &new[..new.len().min(3)];
            problems.push(format!("{of}: {command} gives no reason: {new:?} for {gone:?}"));
        }
    }
    problems
}

/// `count` of the dump's pages, each once, in an order that looks random and is the same each time.
fn some_pages(dump: &Dump, count: usize) -> Vec<u64> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some((first, end)) = dump.stored_run(at) {
        pages.extend(first..end);
        at = end;
    }
    let mut state = 20_261_127u64;
    for index in (1..pages.len()).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        pages.swap(index, (state >> 33) as usize % (index + 1));
    }
    pages.truncate(count);
    pages
}

#[test]
fn any_page_may_be_missing() {
    let count: usize =
        std::env::var("NECROPSY_PAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get()).min(count.max(1));
    let mut problems = Vec::new();
    for path in dumps() {
        let whole = answers(&path);
        let dump = Dump::open(std::slice::from_ref(&path), OpenOptions::default()).unwrap();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let known = TOLD_WRONGLY.iter().filter(|(dump, _)| *dump == name).map(|(_, page)| *page);
        let pages: Vec<u64> = known.chain(some_pages(&dump, count)).collect();
        let try_some = |worker: usize| {
            let folder = tempfile::tempdir().unwrap();
            let cut = folder.path().join("cut");
            let mut problems = Vec::new();
            for &pfn in pages.iter().skip(worker).step_by(workers) {
                without(&dump, pfn, &cut);
                let of = format!("{name} without {pfn:#x}");
                problems.extend(compare(&whole, &answers(&cut), &of));
            }
            problems
        };
        let found: Vec<String> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..workers)
                .map(|worker| {
                    let try_some = &try_some;
                    scope.spawn(move || try_some(worker))
                })
                .collect();
            running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        eprintln!("{name}: {} pages, one after the other: {} problems", pages.len(), found.len());
        problems.extend(found);
    }
    assert!(problems.is_empty(), "{}:\n{}", problems.len(), problems.join("\n"));
}
