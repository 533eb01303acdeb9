//! Real dumps: what makedumpfile and QEMU wrote of one crash must read as the raw dump does.
//!
//! `NECROPSY_LAB` names a directory with `out/k612-null/vmcore` (an ELF dump as /proc/vmcore gives
//! it) and, beside it, what makedumpfile made of that: see `FORMS`.

use std::path::{Path, PathBuf};

use necropsy_dump::{
    Dump, FormatKind, OpenOptions, PhysicalMemory, Presence, Reason, Share, find_vmcoreinfo,
    search_bytes,
};
use rayon::prelude::*;

/// File names, beside `vmcore`, and the arguments of makedumpfile that make them.
const FORMS: [(&[&str], &str); 11] = [
    (&["kdump-c"], "-c -d 31"),
    (&["kdump-l"], "-l -d 31"),
    (&["kdump-p"], "-p -d 31"),
    (&["kdump-z"], "-z -d 31"),
    (&["kdump-raw1"], "-d 1"),
    (&["kdump-z0"], "-z -d 0"),
    (&["kdump-z17"], "-z -d 17"),
    (&["elf-31"], "-E -d 31"),
    (&["flat-c"], "-F -c -d 31"),
    (&["flat-elf"], "-F -E -d 31"),
    (&["split-z.3", "split-z.1", "split-z.2"], "--split -z -d 31"),
];

fn lab(dump: &str) -> Option<PathBuf> {
    let path = Path::new(&std::env::var_os("NECROPSY_LAB")?).join("out").join(dump);
    path.join("vmcore").exists().then_some(path)
}

fn open(files: &[PathBuf]) -> Dump {
    Dump::open(files, OpenOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn runs(memory: &dyn PhysicalMemory) -> Vec<(u64, u64)> {
    let mut at = 0;
    std::iter::from_fn(|| {
        let run = memory.stored_run(at)?;
        at = run.1;
        Some(run)
    })
    .collect()
}

#[test]
fn every_form_reads_as_the_raw_dump() {
    let Some(dir) = lab("k612-null") else {
        eprintln!("SKIPPED: no NECROPSY_LAB with out/k612-null/vmcore");
        return;
    };
    let raw = open(&[dir.join("vmcore")]);
    for (names, made_by) in FORMS {
        let files: Vec<_> = names.iter().map(|name| dir.join(name)).collect();
        if !files.iter().all(|file| file.exists()) {
            eprintln!("SKIPPED: no {} (makedumpfile {made_by})", names[0]);
            continue;
        }
        let dump = open(&files);
        let stored: u64 = runs(&dump).iter().map(|(first, end)| end - first).sum();
        assert!(stored > 5000, "{made_by}: {stored} pages");
        runs(&dump).into_par_iter().flat_map(|(first, end)| first..end).for_each(|pfn| {
            let page = dump.page(pfn).unwrap_or_else(|fault| panic!("{made_by}: {fault}"));
            let truth = raw.page(pfn).unwrap_or_else(|fault| panic!("raw: {fault}"));
            assert!(*page == *truth, "{made_by}: page {pfn:#x} differs");
        });
        // What is not stored has a reason, and the raw dump's frames are all accounted for.
        for pfn in runs(&raw).into_iter().flat_map(|(first, end)| first..end) {
            let (presence, page) = (dump.presence(pfn), dump.page(pfn));
            let reason = page.err().map(|fault| fault.reason);
            let expected = match presence {
                Presence::Stored => None,
                Presence::Excluded => Some(Reason::Excluded),
                Presence::NotSaved => Some(Reason::NotSaved),
                Presence::Truncated => Some(Reason::Truncated),
            };
            assert_eq!(reason, expected, "{made_by}: page {pfn:#x}");
            let is_kdump = matches!(dump.format().kind, FormatKind::Kdump { .. });
            assert!(!is_kdump || presence != Presence::NotSaved, "{made_by}: page {pfn:#x}");
        }
        assert_eq!(
            dump.vmcoreinfo().map(|info| info.text()),
            raw.vmcoreinfo().map(|info| info.text()),
            "{made_by}"
        );
        assert_eq!(dump.prstatus().len(), raw.prstatus().len(), "{made_by}");
        assert_eq!(dump.prstatus()[0].reg("rip"), raw.prstatus()[0].reg("rip"), "{made_by}");
        assert_eq!(dump.format().flattened == Share::All, names[0].starts_with("flat"));
        assert_eq!(dump.format().split, names.len() > 1);
        assert!(!dump.completeness().is_damaged(), "{made_by}: {}", dump.completeness());
        eprintln!("{made_by}: {}, {stored} pages", dump.format());
    }
}

#[test]
fn vmcoreinfo_is_found_in_memory() {
    for name in ["k612-null", "k72-null", "k510-null"] {
        let Some(dir) = lab(name) else {
            eprintln!("SKIPPED: no NECROPSY_LAB with out/{name}/vmcore");
            continue;
        };
        let raw = open(&[dir.join("vmcore")]);
        let found = find_vmcoreinfo(&raw).expect("VMCOREINFO in memory");
        let note = raw.vmcoreinfo().expect("VMCOREINFO note");
        assert_eq!(found.text(), note.text(), "{name}");
    }
}

#[test]
fn search_equals_a_plain_scan() {
    let Some(dir) = lab("k612-null") else {
        eprintln!("SKIPPED: no NECROPSY_LAB with out/k612-null/vmcore");
        return;
    };
    let raw = open(&[dir.join("vmcore")]);
    let needle = b"findme: the quick brown needle";
    let top = raw.max_pfn() * raw.page_size();
    let hits = search_bytes(&raw, needle, 0, top);
    assert!(!hits.is_empty());
    let mut found = Vec::new();
    for (first, end) in runs(&raw) {
        let mut bytes = vec![0; ((end - first) * raw.page_size()) as usize];
        raw.read(first * raw.page_size(), &mut bytes).unwrap();
        let starts = bytes.windows(needle.len()).enumerate().filter(|(_, window)| window == needle);
        found.extend(starts.map(|(at, _)| first * raw.page_size() + at as u64));
    }
    assert_eq!(hits, found);
}
