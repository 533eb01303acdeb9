//! Every form of every format, from files built by another hand (`necropsy-synth`).

use std::{fs, io::Write, path::PathBuf};

use necropsy_dump::{
    Arch, Compression, Dump, FormatKind, OpenError, OpenOptions, PhysicalMemory, Presence, Reason,
    Share, find_vmcoreinfo, is_dump, search_bytes,
};
use necropsy_synth::{Codec, ElfCore, Kdump, Order, Segment, StoredPage, flatten};

fn open(files: &[Vec<u8>]) -> Dump {
    try_open(files, OpenOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn try_open(files: &[Vec<u8>], options: OpenOptions) -> Result<Dump, OpenError> {
    let named = |(index, bytes): (usize, &Vec<u8>)| (format!("file.{index}").into(), bytes.clone());
    Dump::from_bytes(files.iter().enumerate().map(named).collect(), options)
}

/// A page that compresses, and is different for every frame.
fn content(pfn: u64, size: usize) -> Vec<u8> {
    (0..size).map(|at| (pfn as usize * 7 + at / 16) as u8).collect()
}

fn stored(memory: &dyn PhysicalMemory) -> Vec<u64> {
    let mut at = 0;
    std::iter::from_fn(|| memory.stored_run(at).inspect(|run| at = run.1))
        .flat_map(|(first, end)| first..end)
        .collect()
}

fn reason(dump: &Dump, pfn: u64) -> Option<Reason> {
    dump.page(pfn).err().map(|fault| {
        assert_eq!(fault.address, pfn * dump.page_size());
        fault.reason
    })
}

/// Frames 0-9 existed, 2, 3, 5, 8 and 9 are stored (5 and 9 all zero).
fn kdump(codec: Codec) -> Kdump {
    let mut kdump = Kdump::x86_64(12);
    kdump.existed = (0..10).collect();
    kdump.pages = [2, 3, 5, 8, 9].map(|pfn| page(pfn, 4096, codec)).into();
    kdump
}

fn page(pfn: u64, size: usize, codec: Codec) -> StoredPage {
    let data = if matches!(pfn, 5 | 9) { vec![0; size] } else { content(pfn, size) };
    StoredPage { pfn, data, codec }
}

fn check_kdump(dump: &Dump, block_size: usize) {
    assert_eq!(stored(dump), [2, 3, 5, 8, 9]);
    for pfn in [2, 3, 5, 8, 9] {
        assert!(*dump.page(pfn).unwrap() == page(pfn, block_size, Codec::Raw).data[..], "{pfn}");
    }
    assert_eq!(reason(dump, 4), Some(Reason::Excluded));
    assert_eq!(reason(dump, 10), Some(Reason::NotSaved));
    assert_eq!(reason(dump, 1 << 40), Some(Reason::NotSaved));
    assert_eq!(dump.presence(4), Presence::Excluded);
    let mut seam = [0; 32];
    dump.read(3 * block_size as u64 - 16, &mut seam).unwrap();
    assert_eq!(seam[..16], content(2, block_size)[block_size - 16..]);
    assert_eq!(seam[16..], content(3, block_size)[..16]);
    let fault = dump.read(4 * block_size as u64 - 16, &mut seam).unwrap_err();
    assert_eq!((fault.address, fault.reason), (4 * block_size as u64, Reason::Excluded));
}

#[test]
fn kdump_of_every_version_machine_and_codec() {
    let machines = [
        ("x86_64", Order::Little, true, false, 4096, Arch::X86_64),
        ("i686", Order::Little, false, true, 4096, Arch::I386),
        ("armv7l", Order::Little, false, false, 4096, Arch::Arm),
        ("ppc", Order::Big, false, false, 4096, Arch::Ppc),
        ("s390x", Order::Big, true, false, 4096, Arch::S390x),
        ("ppc64", Order::Big, true, false, 65536, Arch::Ppc64),
        ("aarch64", Order::Little, true, false, 65536, Arch::Aarch64),
    ];
    for codec in Codec::ALL {
        for (machine, order, wide, packed, block_size, arch) in machines {
            for version in 1..=6 {
                let mut source = kdump(codec);
                source.pages = [2, 3, 5, 8, 9].map(|pfn| page(pfn, block_size, codec)).into();
                source.uts[4] = machine.into();
                source.notes = vec![("CORE".into(), 4, b"task".to_vec())];
                source.eraseinfo = b"erase x\n".to_vec();
                let source = Kdump { version, order, wide, packed, block_size, ..source };
                let plain = source.build();
                for bytes in [flatten(&plain, 4096), flatten(&plain, 1000), plain] {
                    let dump = open(&[bytes]);
                    check_kdump(&dump, block_size);
                    assert_eq!(dump.arch(), Some(arch), "{machine} v{version}");
                    assert_eq!(dump.big_endian(), order == Order::Big);
                    assert_eq!(dump.pointer_size(), if wide { 8 } else { 4 });
                    let header = dump.header();
                    assert_eq!(header.phys_base, Some(0x100_0000), "{machine} v{version}");
                    assert_eq!(header.dump_level, Some(31));
                    assert_eq!(header.uts.as_ref().unwrap().nodename, "host");
                    let info = dump.vmcoreinfo().and_then(|info| info.get("OSRELEASE"));
                    assert_eq!(info, (version >= 3).then_some("6.1.0"), "{machine} v{version}");
                    assert_eq!(dump.notes().len(), usize::from(version >= 4));
                    assert_eq!(header.eraseinfo.is_some(), version >= 5);
                    assert_eq!(dump.max_pfn(), 12);
                    assert!(!dump.completeness().is_damaged(), "{}", dump.completeness());
                    let FormatKind::Kdump { compression, .. } = dump.format().kind else {
                        panic!("{}", dump.format())
                    };
                    assert_eq!(compression.is_none(), codec == Codec::Raw);
                    assert!(codec != Codec::Zstd || compression == Some(Compression::Zstd));
                }
            }
        }
    }
}

#[test]
fn excluded_pages_as_zeros() {
    let options = OpenOptions { zero_excluded: true, ..OpenOptions::default() };
    let dump = try_open(&[kdump(Codec::Zlib).build()], options).unwrap();
    assert_eq!(*dump.page(4).unwrap(), [0; 4096]);
    assert_eq!(reason(&dump, 10), Some(Reason::NotSaved), "no memory, no zeros");
    assert_eq!(stored(&dump), [2, 3, 5, 8, 9]);
}

fn split(ranges: &[(u64, u64)]) -> Vec<Vec<u8>> {
    let part = |&range| Kdump { split: Some(range), ..kdump(Codec::Lzo) }.build();
    ranges.iter().map(part).collect()
}

#[test]
fn split_sets_in_any_order_mixed_and_with_parts_missing() {
    let [a, b, c] = &split(&[(0, 3), (3, 6), (6, 12)])[..] else { panic!() };
    for set in [[a, b, c], [c, b, a], [b, c, a]] {
        let mut files: Vec<Vec<u8>> = set.into_iter().cloned().collect();
        check_kdump(&open(&files), 4096);
        files[1] = flatten(&files[1], 512);
        let dump = open(&files);
        check_kdump(&dump, 4096);
        assert!(dump.format().split);
        assert_eq!(dump.format().flattened, Share::Some);
        assert_eq!(dump.format().description(), "Mixed Compressed KDUMP");
        assert_eq!(
            dump.files().iter().map(|f| f.pfns).collect::<Vec<_>>(),
            [(0, 3), (3, 6), (6, 12)]
        );
    }
    let dump = open(&[c.clone(), a.clone()]);
    assert_eq!(stored(&dump), [2, 8, 9]);
    assert_eq!(reason(&dump, 3), Some(Reason::NotSaved));
    assert_eq!(reason(&dump, 4), Some(Reason::Excluded));
    assert_eq!(dump.completeness().missing_parts, [(3, 6)]);
    assert!(dump.completeness().is_damaged());
    assert!(dump.completeness().to_string().contains("missing part"));

    let mut other = kdump(Codec::Lzo);
    other.vmcoreinfo.extend(b"CRASHTIME=1\n");
    let other = Kdump { split: Some((3, 6)), ..other }.build();
    let whole = kdump(Codec::Lzo).build();
    let elf = elf(true, Order::Little).build();
    for files in [[a.clone(), other], [a.clone(), a.clone()], [a.clone(), whole], [a.clone(), elf]]
    {
        let error = try_open(&files, OpenOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::NotOneDump { .. }), "{error}");
    }
}

#[test]
fn cut_kdump_files_open_and_tell_what_is_gone() {
    let whole = kdump(Codec::Raw).build();
    let cut = open(&[whole[..whole.len() - 5000].to_vec()]);
    // Raw pages: 2, 3, one of zeros for 5 and 9, 8; the cut takes 8 and a part of the zeros.
    assert_eq!(stored(&cut), [2, 3]);
    assert_eq!(reason(&cut, 8), Some(Reason::Truncated));
    assert_eq!(cut.presence(9), Presence::Truncated);
    assert_eq!(reason(&cut, 4), Some(Reason::Excluded));
    assert!(cut.files()[0].truncated);
    let [truncation] = &cut.completeness().truncated[..] else { panic!() };
    assert_eq!(
        (truncation.expected, truncation.actual),
        (Some(whole.len() as u64), whole.len() as u64 - 5000)
    );
    // Cut in the bitmaps: nothing is known of any frame.
    let cut = open(&[whole[..4 * 4096].to_vec()]);
    assert_eq!(stored(&cut), []);
    assert_eq!(reason(&cut, 2), Some(Reason::Truncated));
    // A flattened stream that stops: what comes after is missing, and not zero.
    let flat = flatten(&whole, 512);
    let cut = open(&[flat[..flat.len() - 3000].to_vec()]);
    assert_eq!(stored(&cut), [2, 3], "the page of zeros may be a hole, or missing");
    assert_eq!(reason(&cut, 5), Some(Reason::Truncated));
    assert_eq!(reason(&cut, 8), Some(Reason::Truncated));
    assert!(cut.completeness().is_damaged() && cut.files()[0].truncated);
    let incomplete = open(&[Kdump { status: 8, ..kdump(Codec::Raw) }.build()]);
    assert!(incomplete.completeness().incomplete);
}

#[test]
fn a_page_that_does_not_decompress_is_corrupt() {
    for codec in [Codec::Zlib, Codec::Lzo, Codec::Snappy, Codec::Zstd] {
        let mut bytes = kdump(codec).build();
        let data = 4096 * 5 + 24 * 5;
        bytes[data + 2..data + 40].fill(0xfe);
        let dump = open(&[bytes]);
        assert_eq!(reason(&dump, 2), Some(Reason::Corrupt), "{codec:?}");
        assert!(dump.page(3).is_ok(), "{codec:?}");
    }
}

/// 0x1000-0x4000 stored, 0x4000-0x6000 filtered; 0x8000-0x8800 stored (half a page).
fn elf(wide: bool, order: Order) -> ElfCore {
    let data: Vec<u8> = (1..4).flat_map(|pfn| content(pfn, 4096)).collect();
    ElfCore {
        wide,
        order,
        machine: 3,
        notes: vec![("VMCOREINFO".into(), 0, b"OSRELEASE=5.0\nPAGESIZE=4096\n".to_vec())],
        segments: vec![
            Segment { physical: 0x8000, address: 0, data: vec![7; 2048], memory_size: 2048 },
            Segment { physical: 0x1000, address: 0xc000_1000, data, memory_size: 0x5000 },
        ],
        extended_count: false,
    }
}

#[test]
fn elf_of_both_classes_and_byte_orders() {
    for (wide, order, extended_count) in [
        (true, Order::Little, false),
        (true, Order::Big, true),
        (false, Order::Little, true),
        (false, Order::Big, false),
    ] {
        let plain = ElfCore { extended_count, ..elf(wide, order) }.build();
        for bytes in [flatten(&plain, 1024), plain.clone()] {
            let dump = open(&[bytes]);
            assert_eq!(stored(&dump), [1, 2, 3, 8]);
            for pfn in 1..4 {
                assert!(*dump.page(pfn).unwrap() == content(pfn, 4096)[..]);
            }
            let half = dump.page(8).unwrap();
            assert!(half[..2048] == [7; 2048] && half[2048..] == [0; 2048]);
            assert_eq!(reason(&dump, 4), Some(Reason::NotSaved));
            assert_eq!(reason(&dump, 0), Some(Reason::NotSaved));
            assert_eq!(dump.memory_run(0), Some((1, 6)));
            assert_eq!(dump.arch(), Some(Arch::I386));
            assert_eq!(dump.pointer_size(), 4);
            assert_eq!(dump.vmcoreinfo().unwrap().get("OSRELEASE"), Some("5.0"));
            assert_eq!(dump.header().segments[1].virtual_address, 0xc000_1000);
            assert!(!dump.completeness().is_damaged());
        }
        let options = OpenOptions { zero_excluded: true, ..OpenOptions::default() };
        let zeros = try_open(std::slice::from_ref(&plain), options).unwrap();
        assert_eq!(*zeros.page(4).unwrap(), [0; 4096]);
        assert_eq!(reason(&zeros, 6), Some(Reason::NotSaved));

        let cut = open(&[plain[..plain.len() - 5000].to_vec()]);
        assert_eq!(stored(&cut), [1, 8]);
        assert_eq!(reason(&cut, 3), Some(Reason::Truncated));
        let fault = cut.page(2).unwrap_err();
        assert_eq!((fault.reason, fault.address), (Reason::Truncated, 0x4000 - 5000));
        assert_eq!(cut.completeness().truncated.len(), 1);
    }
}

#[test]
fn vmcoreinfo_and_bytes_are_found_across_pages() {
    let text = "OSRELEASE=6.2.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\nCRASHTIME=17\n";
    let copy = "OSRELEASE=6.2.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\n";
    let mut memory = vec![0; 4 * 4096];
    memory[4090..4090 + text.len()].copy_from_slice(text.as_bytes());
    memory[0..copy.len()].copy_from_slice(copy.as_bytes());
    memory[3 * 4096..3 * 4096 + 9].copy_from_slice(b"OSRELEASE");
    let segments =
        vec![Segment { physical: 0x4000, address: 0, data: memory, memory_size: 0x4000 }];
    let dump = open(&[ElfCore { segments, notes: vec![], ..elf(true, Order::Little) }.build()]);
    assert_eq!(find_vmcoreinfo(&dump).unwrap().text(), text);
    assert_eq!(search_bytes(&dump, b"OSRELEASE", 0, u64::MAX), [0x4000, 0x4ffa, 0x7000]);
    assert_eq!(search_bytes(&dump, b"OSRELEASE", 0x4001, 0x7000), [0x4ffa]);
    assert_eq!(search_bytes(&dump, b"absent", 0, u64::MAX), []);
}

#[test]
fn packed_dumps_are_unpacked_once() {
    let dir = tempfile::tempdir().unwrap();
    let plain = kdump(Codec::Raw).build();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let packed =
        [("gz", gzip.finish().unwrap()), ("zst", zstd::stream::encode_all(&plain[..], 1).unwrap())];
    for (name, bytes) in packed {
        let path = dir.path().join(format!("vmcore.{name}"));
        fs::write(&path, &bytes).unwrap();
        let cache = dir.path().join(name);
        let reports = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        for round in 0..2 {
            let seen = reports.clone();
            let options = OpenOptions {
                cache_dir: Some(cache.clone()),
                progress: Some(Box::new(move |done, total| {
                    assert!(done <= total);
                    seen.store(done, std::sync::atomic::Ordering::Relaxed);
                })),
                ..OpenOptions::default()
            };
            reports.store(0, std::sync::atomic::Ordering::Relaxed);
            check_kdump(&Dump::open(std::slice::from_ref(&path), options).unwrap(), 4096);
            let done = reports.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(done, if round == 0 { bytes.len() as u64 } else { 0 });
        }
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
        // Of a packed file that is cut, what could be unpacked is used.
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let options = OpenOptions { cache_dir: Some(cache.clone()), ..OpenOptions::default() };
        let dump = match Dump::open(std::slice::from_ref(&path), options) {
            Ok(dump) => dump,
            // zstd unpacks whole blocks: of less than one there is nothing.
            Err(error) => {
                assert_eq!(name, "zst", "{error}");
                continue;
            }
        };
        let said = dump.completeness().to_string();
        assert!(said.contains("the packed file is cut: only the first"), "{said}");
        assert!(dump.files()[0].truncated);
        assert!(is_dump(&path));
    }
}

#[test]
fn what_is_no_dump_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut kernel = elf(true, Order::Little).build();
    kernel[16] = 2;
    let strange = [0xa5, 0, 0x17, 0xff].repeat(2000);
    for (name, bytes) in
        [("kernel", &kernel[..]), ("text", b"hello"), ("empty", b""), ("?", &strange)]
    {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert!(!is_dump(&path), "{name}");
        let error = Dump::open(&[path], OpenOptions::default()).unwrap_err();
        let is_known = matches!(error, OpenError::Refused { .. });
        assert_eq!(is_known, name != "?", "{error}");
    }
    let missing = [dir.path().join("missing")];
    let error = Dump::open(&missing, OpenOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(matches!(Dump::open(&[], OpenOptions::default()), Err(OpenError::NoFile)));
}

#[test]
fn raw_images_at_their_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, address: &str| {
        PathBuf::from(format!("{}@{address}", dir.path().join(name).display()))
    };
    fs::write(dir.path().join("low"), [1; 8192]).unwrap();
    fs::write(dir.path().join("high"), [2; 5000]).unwrap();
    let files = [at("high", "0x100000"), at("low", "0")];
    let dump = Dump::open(&files, OpenOptions::default()).unwrap();
    assert_eq!(stored(&dump), [0, 1, 0x100]);
    assert_eq!(dump.page(0x100).unwrap()[0], 2);
    assert_eq!(reason(&dump, 0x101), Some(Reason::NotSaved), "half a page is none");
    for bad in [[at("low", "0x10"), at("high", "0")], [at("low", "0"), at("high", "0x1000")]] {
        assert!(Dump::open(&bad, OpenOptions::default()).is_err());
    }
}
