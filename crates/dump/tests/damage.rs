//! Damaged files: whatever is in them, opening and reading ends, in bounded memory, without panic.

use necropsy_dump::{
    Dump, OpenOptions, PhysicalMemory, Presence, Reason, find_vmcoreinfo, search_bytes,
};
use necropsy_synth::{Codec, ElfCore, Kdump, Order, Segment, StoredPage, flatten};

/// A small generator with a fixed seed (Knuth's MMIX constants): failures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// Cuts, flips, overwrites or moves parts of the file, mostly near its beginning.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            let headers = [64, 512, 4608, 24576][self.below(4)].min(bytes.len());
            let at = self.below(headers);
            match self.below(7) {
                0 => bytes.truncate(self.below(bytes.len())),
                1 | 2 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                3 => {
                    let value = [0, 0xff, 0x7f, 0x80, 1][self.below(5)];
                    let end = (at + 1 + self.below(8)).min(bytes.len());
                    bytes[at..end].fill(value);
                }
                4 => {
                    let value = self.next().to_le_bytes();
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&value[..end - at]);
                }
                5 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let from = self.below(bytes.len().saturating_sub(64));
                    let piece = bytes[from..(from + end - at).min(bytes.len())].to_vec();
                    bytes[at..at + piece.len()].copy_from_slice(&piece);
                }
                _ => {
                    let at = self.below(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = self.next() as u8;
                    }
                }
            }
        }
    }
}

/// Frames looked at in each run: damaged sizes make runs of billions.
const FRAMES: u64 = 64;
const RUNS: usize = 64;

/// Does with the dump what a session does; how many pages could be read.
fn exercise(dump: &Dump) -> usize {
    let mut read = 0;
    let mut at = 0;
    for _ in 0..RUNS {
        let Some((first, end)) = dump.stored_run(at) else { break };
        assert!(first >= at && end > first, "run {first:#x}..{end:#x} from {at:#x}");
        for pfn in (first..end).take(FRAMES as usize) {
            assert_eq!(dump.presence(pfn), Presence::Stored, "pfn {pfn:#x}");
            match dump.page(pfn) {
                Ok(page) => {
                    assert_eq!(page.len() as u64, dump.page_size());
                    read += 1;
                }
                Err(fault) => assert!(fault.reason == Reason::Corrupt, "{fault}"),
            }
        }
        at = end;
    }
    for pfn in (0..FRAMES).chain([dump.max_pfn(), dump.max_pfn() / 2, 1 << 40, u64::MAX]) {
        let stored = dump.presence(pfn) == Presence::Stored;
        assert!(stored || dump.page(pfn).is_err(), "pfn {pfn:#x}");
    }
    let mut buffer = [0; 100];
    for address in [0, 4090, u64::MAX - 50, dump.max_pfn().wrapping_mul(4096)] {
        let _ = dump.read(address, &mut buffer);
    }
    let mut at = 0;
    for _ in 0..RUNS {
        let Some((first, end)) = dump.memory_run(at) else { break };
        assert!(first >= at && end > first);
        at = end;
    }
    let small = dump.files().iter().map(|file| file.size).sum::<u64>() < 1 << 20;
    if small && dump.stored_run(at).is_none() {
        search_bytes(dump, b"OSRELEASE", 0, 1 << 24);
        find_vmcoreinfo(dump);
    }
    for cpu in dump.prstatus() {
        assert!(cpu.registers().count() <= 64);
    }
    let _ = (dump.completeness().to_string(), dump.format().to_string(), dump.qemu_cpus().len());
    read
}

fn elf(order: Order, wide: bool) -> Vec<u8> {
    let info = b"OSRELEASE=5.0\nPAGESIZE=4096\nSYMBOL(a)=1\n".to_vec();
    let segments = [0x1000, 0x3000, 0x8000].map(|physical| Segment {
        physical,
        address: 0,
        data: vec![physical as u8 >> 4; 6000],
        memory_size: 0x2000,
    });
    let notes = vec![("CORE".into(), 1, vec![3; 336]), ("VMCOREINFO".into(), 0, info)];
    let notes = [notes, vec![("QEMU".into(), 0, vec![1; 440])]].concat();
    ElfCore { wide, order, machine: 62, notes, segments: segments.into(), extended_count: wide }
        .build()
}

fn kdump(version: u32, codec: Codec, split: Option<(u64, u64)>) -> Vec<u8> {
    let mut kdump = Kdump { version, split, ..Kdump::x86_64(100) };
    kdump.existed = (0..60).collect();
    kdump.pages = (0..40)
        .map(|n| StoredPage { pfn: n * 3 / 2, data: vec![n as u8 / 4; 4096], codec })
        .collect();
    kdump.notes = vec![("CORE".into(), 1, vec![5; 336])];
    kdump.eraseinfo = b"erase\n".to_vec();
    kdump.build()
}

/// The most memory that this process ever used, in bytes; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

fn hurt(sets: &[Vec<Vec<u8>>], rounds: usize, seed: u64) {
    let mut random = Random(seed);
    let (mut opened, mut read) = (0, 0);
    for round in 0..rounds {
        let mut set = sets[round % sets.len()].clone();
        let victim = random.below(set.len());
        random.damage(&mut set[victim]);
        let files = set.into_iter().map(|bytes| ("damaged".into(), bytes)).collect();
        let options = OpenOptions { cache_bytes: 1 << 20, ..OpenOptions::default() };
        match Dump::from_bytes(files, options) {
            Ok(dump) => {
                opened += 1;
                read += exercise(&dump);
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
    eprintln!(
        "{rounds} damaged: {opened} opened, {read} pages read, peak {} MB",
        peak_memory() >> 20
    );
    assert!(opened > rounds / 4, "only {opened} of {rounds} open: the damage is too heavy to test");
    assert!(peak_memory() < 1 << 30);
}

#[test]
fn synthetic_files() {
    let plain = [
        elf(Order::Little, true),
        elf(Order::Big, true),
        elf(Order::Little, false),
        kdump(6, Codec::Zlib, None),
        kdump(3, Codec::Lzo, None),
        kdump(6, Codec::Zstd, None),
        kdump(1, Codec::Snappy, None),
        kdump(5, Codec::Raw, None),
    ];
    let mut sets: Vec<Vec<Vec<u8>>> = plain.iter().map(|file| vec![file.clone()]).collect();
    sets.extend(plain.iter().map(|file| vec![flatten(file, 700)]));
    sets.push(
        [(0, 20), (20, 40), (40, 100)].map(|range| kdump(6, Codec::Zlib, Some(range))).into(),
    );
    hurt(&sets, 6000, 1);
}

#[test]
fn files_of_the_corpus() {
    let Some(corpora) = std::env::var_os("NECROPSY_CORPORA") else {
        eprintln!("SKIPPED: NECROPSY_CORPORA does not name the corpora");
        return;
    };
    let dir = std::path::PathBuf::from(corpora).join("dump-formats");
    let mut sets: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.sort();
    sets.retain(|path| path.extension().is_some_and(|extension| extension == "dump"));
    let sets: Vec<_> = sets.iter().map(|path| vec![std::fs::read(path).unwrap()]).collect();
    hurt(&sets, 3000, 2);
}

#[test]
fn a_real_dump() {
    let lab = std::env::var_os("NECROPSY_LAB").map(std::path::PathBuf::from);
    let Some(file) = lab.and_then(|lab| std::fs::read(lab.join("out/k612-null/kdump-c")).ok())
    else {
        eprintln!("SKIPPED: no NECROPSY_LAB with out/k612-null/kdump-c");
        return;
    };
    // The head of the file is enough: the rest is beyond its end.
    let cut = file[..(4 << 20).min(file.len())].to_vec();
    hurt(&[vec![cut]], 300, 3);
}
