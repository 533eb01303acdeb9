//! Real dumps: what makedumpfile and QEMU wrote of one crash must read as the raw dump does.
//!
//! `NECROPSY_LAB` names a directory with `out/k612-null/vmcore` (an ELF dump as /proc/vmcore gives
//! it) and, beside it, what makedumpfile made of that: see `FORMS`.

use necropsy_synth::Needs;
use std::path::{Path, PathBuf};

use necropsy_dump::{
    Dump, FormatKind, Keep, OpenOptions, Origin, Packing, PhysicalMemory, Presence, Reason,
    Recorder, Share, find_vmcoreinfo, search_bytes, write_elf, write_kdump,
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

fn conversions_read_back() {
    let Some(dir) = lab("k612-null").filter(|dir| dir.join("kdump-c").exists()) else {
        eprintln!("SKIPPED: no NECROPSY_LAB with out/k612-null/{{vmcore,kdump-c}}");
        return;
    };
    let out = tempfile::tempdir().unwrap();
    // Every other group of 16 frames, so that runs have all kinds of borders.
    let keep = |pfn: u64| if (pfn / 16).is_multiple_of(2) { Keep::Store } else { Keep::Exclude };
    for name in ["vmcore", "kdump-c"] {
        let source = open(&[dir.join(name)]);
        let origin = Origin::of(&source);
        let wanted: Vec<u64> = runs(&source)
            .into_iter()
            .flat_map(|(first, end)| first..end)
            .filter(|&pfn| keep(pfn) == Keep::Store)
            .collect();
        for packing in [Some(Packing::None), Some(Packing::Zlib(1)), Some(Packing::Zstd(3)), None] {
            let path = out.path().join(format!("{name}-{packing:?}"));
            let stats = match packing {
                Some(packing) => write_kdump(&path, &source, &origin, packing, &keep, None),
                None => write_elf(&path, &source, &origin, &keep, None),
            };
            let stats = stats.unwrap();
            assert_eq!((stats.written, stats.unreadable), (wanted.len() as u64, 0));
            let copy = open(&[path]);
            let found: Vec<u64> =
                runs(&copy).into_iter().flat_map(|(first, end)| first..end).collect();
            assert!(found == wanted, "{name} {packing:?}: other frames");
            wanted.par_iter().for_each(|&pfn| {
                assert!(*copy.page(pfn).unwrap() == *source.page(pfn).unwrap(), "{pfn:#x}");
            });
            assert_eq!(copy.vmcoreinfo().unwrap().text(), source.vmcoreinfo().unwrap().text());
            assert_eq!(copy.notes(), source.notes());
            assert_eq!(copy.arch(), source.arch());
            let all = |dump: &Dump| {
                let mut at = 0;
                let runs = std::iter::from_fn(|| dump.memory_run(at).inspect(|run| at = run.1));
                runs.flat_map(|(first, end)| first..end).collect::<Vec<_>>()
            };
            assert!(all(&copy) == all(&source), "{name} {packing:?}: other memory");
            let left_out = all(&source).into_iter().find(|&pfn| keep(pfn) == Keep::Exclude);
            let reason = copy.page(left_out.unwrap()).unwrap_err().reason;
            assert_eq!(reason, if packing.is_some() { Reason::Excluded } else { Reason::NotSaved });
            eprintln!("{name} to {}: {stats:?}", copy.format());
        }
    }
}

fn a_recorder_knows_what_was_read() {
    let Some(dir) = lab("k612-null") else {
        eprintln!("SKIPPED: no NECROPSY_LAB with out/k612-null/vmcore");
        return;
    };
    let memory = Recorder::new(open(&[dir.join("vmcore")]));
    let (first, _) = memory.stored_run(0).unwrap();
    let mut bytes = [0; 16];
    memory.read((first + 1) * 4096 - 8, &mut bytes).unwrap();
    assert_eq!(memory.count(), 2);
    assert!(memory.was_read(first) && memory.was_read(first + 1) && !memory.was_read(first + 2));
}

/// One stopped guest, dumped by QEMU as ELF and as kdump-zlib (which it writes flattened).
fn qemu_writes_the_same_memory_both_ways() {
    let files = lab("k612-qemu/elf").zip(lab("k612-qemu/kdump-zlib"));
    let Some((elf, kdump)) = files else {
        eprintln!("SKIPPED: no NECROPSY_LAB with out/k612-qemu/{{elf,kdump-zlib}}/vmcore");
        return;
    };
    let (elf, kdump) = (open(&[elf.join("vmcore")]), open(&[kdump.join("vmcore")]));
    assert_eq!(elf.format().kind, FormatKind::QemuElf);
    assert!(matches!(kdump.format().kind, FormatKind::QemuKdump { version: 6, .. }));
    assert_eq!(kdump.format().flattened, Share::All);
    assert_eq!(runs(&elf), runs(&kdump));
    runs(&elf).into_par_iter().flat_map(|(first, end)| first..end).for_each(|pfn| {
        assert!(*elf.page(pfn).unwrap() == *kdump.page(pfn).unwrap(), "page {pfn:#x}");
    });
    assert_eq!(elf.notes(), kdump.notes());
    let [cpu, _] = elf.cpu_states() else { panic!("two CPUs") };
    assert_eq!(cpu, &kdump.cpu_states()[0]);
    assert_eq!(elf.prstatus()[0].reg("rip"), Some(cpu.rip));
    assert_eq!(elf.prstatus()[0].reg("rsp"), cpu.reg("rsp"));
    assert!(cpu.cr[3] != 0 && cpu.idt.base >> 40 != 0 && cpu.kernel_gs_base.is_some());
    let found = find_vmcoreinfo(&kdump).unwrap();
    assert_eq!(found.text(), elf.vmcoreinfo().unwrap().text());
}

/// The same stopped machine, as QEMU dumps it, as it migrates it, and as it saves it in a disk image
/// (`out/formats-qemu/{elf,stream,s.qcow2}`).
fn qemu_streams_hold_what_the_dump_holds() {
    let Some(lab) = std::env::var_os("NECROPSY_LAB").map(PathBuf::from) else {
        eprintln!("SKIPPED: no NECROPSY_LAB");
        return;
    };
    let folder = lab.join("out/formats-qemu");
    if !folder.join("stream").exists() {
        eprintln!("SKIPPED: no out/formats-qemu");
        return;
    }
    let open = |name: &str| Dump::open(&[folder.join(name)], OpenOptions::default()).unwrap();
    let dump = open("elf");
    for other in ["stream", "s.qcow2"].map(open) {
        assert!(!other.completeness().is_damaged(), "{}", other.completeness());
        assert_eq!(other.arch(), dump.arch());
        let pairs = dump.cpu_states().iter().zip(other.cpu_states());
        assert_eq!((pairs.len(), dump.cpu_states().len()), (2, 2));
        for (noted, sent) in pairs {
            assert_eq!((noted.rip, noted.general, noted.cr), (sent.rip, sent.general, sent.cr));
            assert_eq!((noted.idt.base, noted.gdt.base), (sent.idt.base, sent.gdt.base));
            assert_eq!(noted.segments.map(|s| s.base), sent.segments.map(|s| s.base));
            assert_eq!(noted.kernel_gs_base, sent.kernel_gs_base);
        }
        let mut different = 0;
        for pfn in 0..other.max_pfn() {
            // The window of the video card is in one and not in the other.
            let (Ok(a), Ok(b)) = (dump.page(pfn), other.page(pfn)) else { continue };
            different += usize::from(*a != *b);
        }
        // Devices go on writing when the machine stops: QEMU itself finds some pages changed.
        assert!(different < 64, "{different} pages differ");
        eprintln!("{}: {} frames, {different} differ", other.format(), other.max_pfn());
    }
}

necropsy_synth::data_tests! {
    every_form_reads_as_the_raw_dump: [Needs::Lab("out/k612-null/vmcore")],
    vmcoreinfo_is_found_in_memory: [Needs::Lab("out/k612-null/vmcore")],
    search_equals_a_plain_scan: [Needs::Lab("out/k612-null/vmcore")],
    a_recorder_knows_what_was_read: [Needs::Lab("out/k612-null/vmcore")],
    conversions_read_back: [Needs::Lab("out/k612-null/kdump-c")],
    qemu_writes_the_same_memory_both_ways: [Needs::Lab("out/k612-qemu/elf/vmcore")],
    qemu_streams_hold_what_the_dump_holds: [Needs::Lab("out/formats-qemu/stream")],
}
