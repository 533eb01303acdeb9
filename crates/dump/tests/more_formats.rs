//! Formats beside kdump and ELF, containers and packings, from files built by another hand.

use std::{fs, io::Write, os::unix::fs::MetadataExt, path::Path};

use necropsy_dump::{
    Arch, Dump, FormatKind, OpenError, OpenOptions, PhysicalMemory, Presence, Reason, is_dump,
};
use necropsy_synth::{
    ElfCore, Order, QemuStream, Sadump, Segment, SentPage, VmwareState, avml, flatten,
    libvirt_save, lime, qcow2_state, s390, tar, xen_core, xen_host, zip,
};

const PAGE: usize = 4096;

fn content(pfn: u64) -> Vec<u8> {
    // It compresses somewhat: packed files have to be longer than a block of their packing.
    let mut state = pfn;
    let mut next = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as u8
    };
    (0..PAGE).map(|at| if at % 4 == 0 { 7 } else { next() }).collect()
}

fn pages(first: u64, end: u64) -> Vec<u8> {
    (first..end).flat_map(content).collect()
}

fn try_open(files: &[(&str, &[u8])]) -> Result<Dump, OpenError> {
    let files = files.iter().map(|(name, bytes)| (name.into(), bytes.to_vec())).collect();
    Dump::from_bytes(files, OpenOptions::default())
}

fn open(bytes: &[u8]) -> Dump {
    try_open(&[("file", bytes)]).unwrap_or_else(|error| panic!("{error}"))
}

fn stored(dump: &Dump) -> Vec<u64> {
    let mut at = 0;
    std::iter::from_fn(|| dump.stored_run(at).inspect(|run| at = run.1))
        .flat_map(|(first, end)| first..end)
        .collect()
}

/// These frames are there with their content, and no others.
fn check(dump: &Dump, frames: &[u64]) {
    assert_eq!(stored(dump), frames, "{}", dump.format());
    for &pfn in frames {
        assert!(*dump.page(pfn).unwrap() == content(pfn)[..], "{}: frame {pfn}", dump.format());
        assert_eq!(dump.presence(pfn), Presence::Stored);
    }
    let beyond = frames.last().map_or(0, |last| last + 1);
    assert_eq!(dump.page(beyond).unwrap_err().reason, Reason::NotSaved);
    assert!(!dump.completeness().is_damaged(), "{}", dump.completeness());
}

fn is_cut(dump: &Dump) -> bool {
    assert!(dump.completeness().to_string().starts_with("truncated: "));
    dump.completeness().is_damaged()
}

#[test]
fn lime_and_avml() {
    let ranges = [(0x1000, pages(1, 4)), (0x10_0000, pages(256, 300))];
    let frames: Vec<u64> = (1..4).chain(256..300).collect();
    for bytes in [lime(&ranges), avml(&ranges)] {
        check(&open(&bytes), &frames);
        let cut = open(&bytes[..bytes.len() * 2 / 3]);
        assert!(is_cut(&cut));
        assert!(*cut.page(2).unwrap() == content(2)[..]);
        let left = stored(&cut).len();
        assert!(left > 3 && left < frames.len(), "{left}");
    }
    // Ranges of an odd size make pages that lie across two snappy frames.
    let odd = [(0x1800, pages(1, 40)[0x800..].to_vec())];
    let dump = open(&avml(&odd));
    assert_eq!(stored(&dump), (2..40).collect::<Vec<_>>());
    assert!((2..40).all(|pfn| *dump.page(pfn).unwrap() == content(pfn)[..]));
}

#[test]
fn s390_stand_alone() {
    let bytes = s390(&pages(0, 5));
    let dump = open(&bytes);
    check(&dump, &[0, 1, 2, 3, 4]);
    assert_eq!((dump.arch(), dump.big_endian()), (Some(Arch::S390x), true));
    let cut = open(&bytes[..4096 + 4 * PAGE + 100]);
    assert!(is_cut(&cut));
    assert_eq!(cut.presence(4), Presence::Truncated);
}

#[test]
fn sadump_in_all_its_forms() {
    let frames = [1, 2, 5, 7];
    let sadump = |long_mode| Sadump {
        long_mode,
        existed: vec![3],
        pages: frames.iter().map(|&pfn| (pfn, content(pfn))).collect(),
    };
    for (long_mode, arch) in [(true, Arch::X86_64), (false, Arch::I386)] {
        let source = sadump(long_mode);
        let [one, two] = source.disk_set();
        let [single, backup, of_set] = [source.single(), source.backup(false), source.backup(true)];
        let sets: [Vec<(&str, &[u8])>; 5] = [
            vec![("single", &single)],
            vec![("one", &one), ("two", &two)],
            vec![("two", &two), ("one", &one)],
            vec![("backup", &backup)],
            vec![("backup of a set", &of_set)],
        ];
        for set in sets {
            let dump = try_open(&set).unwrap_or_else(|error| panic!("{}: {error}", set[0].0));
            check(&dump, &frames);
            assert_eq!(dump.arch(), Some(arch));
            assert_eq!(dump.page(3).unwrap_err().reason, Reason::Excluded);
        }
    }
}

#[test]
fn vmware_with_memory_inside_and_beside() {
    let regions = vec![(0, 0, 3), (3, 16, 5)];
    let frames = [0, 1, 2, 16, 17, 18, 19, 20];
    let memory: Vec<u8> = frames.iter().flat_map(|&pfn| content(pfn)).collect();
    let state =
        VmwareState { regions, rip: 0xffff_ffff_8100_0000, cr3: 0x5000, ..VmwareState::default() };
    let inside = VmwareState { memory: Some(memory.clone()), ..state.clone() }.build();
    let dump = open(&inside);
    check(&dump, &frames);
    let [cpu] = dump.cpu_states() else { panic!("one CPU") };
    assert_eq!((cpu.rip, cpu.cr[3], cpu.reg("rax")), (state.rip, 0x5000, Some(0x77)));
    assert_eq!(dump.arch(), Some(Arch::X86_64));

    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let open_at = |paths: &[&Path]| {
        let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
        Dump::open(&paths, OpenOptions::default())
    };
    let vmem = put("vm.vmem", &memory);
    let alone = open_at(&[&vmem]).unwrap_err().to_string();
    assert!(alone.contains(".vmss or .vmsn") && alone.contains("FILE@0"), "{alone}");
    let vmss = put("vm.vmss", &state.build());
    for set in [vec![&*vmss], vec![&*vmem], vec![&*vmss, &*vmem], vec![&*vmem, &*vmss]] {
        let dump = open_at(&set).unwrap_or_else(|error| panic!("{error}"));
        check(&dump, &frames);
        assert_eq!(dump.files().len(), 2);
        assert!(set.iter().all(|path| is_dump(path)));
    }
    fs::remove_file(&vmem).unwrap();
    let lost = open_at(&[&vmss]).unwrap_err().to_string();
    assert!(lost.contains(".vmem is not beside it"), "{lost}");
    let packed = VmwareState { memory: Some(memory), packed: true, ..state }.build();
    let packed = try_open(&[("packed", &packed)]).unwrap_err().to_string();
    assert!(packed.contains("compressed"), "{packed}");
}

fn stream() -> QemuStream {
    let page = |block, pfn: u64, data| SentPage { block, offset: pfn * 4096, data };
    let mut pages = vec![page(0, 9, None), page(0, 3, Some(vec![0xee; PAGE]))];
    pages.extend((0..9).map(|pfn| page(0, pfn, Some(content(pfn)))));
    pages.push(page(1, 0, Some(vec![0xdd; PAGE])));
    pages.extend((10..20).map(|pfn| page(0, pfn, Some(content(pfn)))));
    pages.push(page(0, 9, Some(content(9))));
    QemuStream {
        machine: "pc-q35-7.2".into(),
        blocks: vec![("pc.ram".into(), 20 * 4096), ("vga.vram".into(), 4096)],
        pages,
    }
}

#[test]
fn qemu_streams_and_what_carries_them() {
    let plain = stream().build();
    let frames: Vec<u64> = (0..20).collect();
    let mapped = QemuStream { pages: stream().pages.split_off(2), ..stream() }.build_mapped();
    let files = [plain.clone(), mapped, libvirt_save(&plain, 0), qcow2_state(&plain)];
    for bytes in files {
        let dump = open(&bytes);
        check(&dump, &frames);
        assert_eq!(dump.format().to_string(), "QEMU migration stream");
        assert_eq!(dump.arch(), Some(Arch::X86_64));
    }
    let cut = open(&plain[..plain.len() / 2]);
    assert!(is_cut(&cut));
    assert_eq!(cut.page(19).unwrap_err().reason, Reason::Truncated);
    assert!(*cut.page(2).unwrap() == content(2)[..]);
    for (name, bytes) in
        [("save", libvirt_save(b"", 0)), ("disk", qcow2_state(b"QEVX")[..4096].to_vec())]
    {
        let error = try_open(&[(name, &bytes)]).unwrap_err();
        assert!(matches!(error, OpenError::Refused { .. }), "{error}");
    }
}

#[test]
fn xen_guests() {
    let pages: Vec<_> = [5, 1, 2, 9].map(|pfn| (pfn, 1000 + pfn, content(pfn))).into();
    for paravirtual in [false, true] {
        let dump = open(&xen_core(paravirtual, &pages, 0xffff_ffff_8123_4567));
        check(&dump, &[1, 2, 5, 9]);
        assert_eq!(dump.format().kind, FormatKind::Xen { paravirtual });
        assert_eq!(dump.frame_of_entry(1005), if paravirtual { 5 } else { 1005 });
        assert_eq!(dump.cpu_states()[0].rip, 0xffff_ffff_8123_4567);
        assert_eq!(dump.cpu_states()[0].cr[3], 0x1234_5000);
    }
}

#[test]
fn the_dom0_of_a_xen_host() {
    let pages: Vec<_> = (0..20).map(|pfn| (pfn, 200 - 3 * pfn, content(pfn))).collect();
    let dump = open(&xen_host(&pages));
    assert_eq!(dump.format().kind, FormatKind::XenHost);
    check(&dump, &(0..20).collect::<Vec<_>>());
    assert_eq!(dump.frame_of_entry(200 - 9), 3);
    // A frame that is the host's own is none of dom0's.
    assert!(dump.page(dump.frame_of_entry(2)).is_err());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut packer = snap::write::FrameEncoder::new(Vec::new());
    packer.write_all(bytes).unwrap();
    packer.into_inner().unwrap()
}

fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut packer = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Opens a file in a folder of its own, with a cache of its own.
fn open_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<Dump, OpenError> {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    let cache_dir = Some(folder.join("cache"));
    Dump::open(&[path], OpenOptions { cache_dir, ..OpenOptions::default() })
}

#[test]
fn every_packing_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let plain = lime(&[(0, pages(0, 120))]);
    let frames: Vec<u64> = (0..120).collect();
    let other: &[u8] = b"dmesg";
    let zst = zstd::stream::encode_all(&plain[..], 1).unwrap();
    let packed = [
        ("d.gz", gzip(&plain)),
        ("d.xz", xz(&plain)),
        ("d.zst", zst),
        ("d.bz2", bzip2(&plain)),
        ("twice.bz2", [bzip2(&plain[..50_000]), bzip2(&plain[50_000..])].concat()),
        ("d.lz4", lz4(&plain)),
        ("d.lzma", lzma(&plain)),
        ("d.sz", snappy(&plain)),
        ("d.tar", tar(&[("var/crash/dmesg.txt", other), ("var/crash/vmcore", &plain)])),
        ("d.tar.gz", gzip(&tar(&[("a/vmcore", &plain), ("a/vmcore-dmesg.txt", other)]))),
        ("stored.zip", zip(&[("notes.txt", other), ("vmcore", &plain)], false)),
        ("deflated.zip", zip(&[("notes.txt", other), ("vmcore", &plain)], true)),
        ("inner.zip", zip(&[("vmcore.gz", &gzip(&plain))], true)),
        ("save.gz", gzip(&libvirt_save(&gzip(&stream().build()), 1))),
    ];
    for (name, bytes) in packed {
        let dump = open_file(folder.path(), name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        let frames = if name == "save.gz" { &frames[..20] } else { &frames };
        check(&dump, frames);
        let shown = dump.files()[0].path.display().to_string();
        assert!(shown.starts_with(&folder.path().join(name).display().to_string()), "{shown}");
        let cut = &bytes[..bytes.len() * 3 / 5];
        match open_file(folder.path(), name, cut) {
            Ok(dump) => assert!(is_cut(&dump), "{name}"),
            // A zip ends with its directory, and the lz4 file is one block.
            Err(error) => assert!(name.contains("zip") || name.contains("lz4"), "{name}: {error}"),
        }
    }
    let two = tar(&[("a/vmcore", &plain), ("b/vmcore", &plain)]);
    let error = open_file(folder.path(), "two.tar", &two).unwrap_err().to_string();
    assert!(error.contains("2 dumps are inside") && error.contains("b/vmcore"), "{error}");
    let none = gzip(&tar(&[("readme", other)]));
    let error = open_file(folder.path(), "none.tar.gz", &none).unwrap_err().to_string();
    assert!(
        error.contains("gzip of tar: no dump is inside") && error.contains("readme"),
        "{error}"
    );
    let error = open_file(folder.path(), "text.gz", &gzip(b"hello\n")).unwrap_err().to_string();
    assert!(error.contains("gzip of text"), "{error}");
}

fn xz_of_blocks(bytes: &[u8], size: u64) -> Vec<u8> {
    let mut options = lzma_rust2::XzOptions::with_preset(0);
    options.lzma_options.dict_size = 4096;
    options.set_block_size(std::num::NonZeroU64::new(size));
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// What is packed in parts that unpack alone is unpacked where it is read.
#[test]
fn packed_in_parts_only_what_is_read_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let plain = lime(&[(0, pages(0, 600))]);
    let frames: Vec<u64> = (0..600).collect();
    let zstd = |part: &[u8]| {
        let mut packer = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        packer.include_checksum(true).unwrap();
        packer.set_pledged_src_size(Some(part.len() as u64)).unwrap();
        packer.write_all(part).unwrap();
        packer.finish().unwrap()
    };
    // A skippable frame, as the seekable format has at its end.
    let table = b"\x5e\x2a\x4d\x18\x04\0\0\0abcd".to_vec();
    let frames_of = |size| plain.chunks(size).map(zstd).chain([table.clone()]).collect::<Vec<_>>();
    let packed = [
        ("d.xz", xz_of_blocks(&plain, 1 << 18)),
        // Two streams, with four zeros between.
        ("two.xz", [xz(&plain[..1 << 18]), vec![0; 4], xz(&plain[1 << 18..])].concat()),
        ("d.zst", frames_of(1 << 18).concat()),
        ("d.gz", necropsy_synth::bgzf(&plain, 50_000)),
        ("d.tar.xz", xz_of_blocks(&tar(&[("a/vmcore", &plain), ("b", b"text")]), 1 << 18)),
        ("flat.xz", xz_of_blocks(&flatten(&plain, 4096), 1 << 18)),
    ];
    let on_disk = |cache: &Path| -> u64 {
        fs::read_dir(cache).unwrap().map(|e| e.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    for (name, bytes) in packed {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        let dump = open_file(&folder, name, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let cache = folder.join("cache");
        assert!(*dump.page(3).unwrap() == content(3)[..], "{name}");
        let parts = name.starts_with("d.");
        assert!(!parts || on_disk(&cache) < plain.len() as u64 / 2, "{name}: {}", on_disk(&cache));
        check(&dump, &frames);
        drop(dump);
        // Again, from what is there now.
        let options = OpenOptions { cache_dir: Some(cache.clone()), ..OpenOptions::default() };
        check(&Dump::open(&[folder.join(name)], options).unwrap(), &frames);
        assert!(on_disk(&cache) < 3 * plain.len() as u64 / 2, "{name}: {}", on_disk(&cache));
        // A part in the middle is damaged: what lies in it cannot be had, all else can.
        let mut hurt = bytes.clone();
        let middle = hurt.len() / 2;
        hurt[middle..middle + 64].fill(0x55);
        let Ok(dump) = open_file(&folder, &format!("hurt-{name}"), &hurt) else { continue };
        let (mut right, mut gone) = (0, 0);
        for &pfn in &frames {
            match dump.page(pfn) {
                Ok(page) => {
                    assert!(*page == content(pfn)[..], "{name}: frame {pfn}");
                    right += 1;
                }
                Err(_) => gone += 1,
            }
        }
        assert!(gone > 0 && right > 50, "{name}: {right} right, {gone} gone");
    }
    let cache = necropsy_dump::UnpackCache::at(folder.path().join("d.xz/cache"));
    assert!(cache.files().len() >= 2);
    cache.clean().unwrap();
    assert_eq!(fs::read_dir(cache.dir()).unwrap().count(), 0);
}

#[test]
fn packed_memory_at_an_address_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let memory = pages(0, 4);
    for (name, bytes) in
        [("raw", memory.clone()), ("raw.gz", gzip(&memory)), ("raw.bz2", bzip2(&memory))]
    {
        fs::write(folder.path().join(name), bytes).unwrap();
        let path = folder.path().join(format!("{name}@0"));
        let cache_dir = Some(folder.path().join("cache"));
        let dump = Dump::open(&[path], OpenOptions { cache_dir, ..OpenOptions::default() });
        check(&dump.unwrap_or_else(|error| panic!("{error}")), &[0, 1, 2, 3]);
    }
    fs::write(folder.path().join("dump"), lime(&[(0, memory)])).unwrap();
    let path = folder.path().join("dump@0");
    let error = Dump::open(&[path], OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("without an address"), "{error}");
}

#[test]
fn other_files_are_refused_by_name() {
    let mut iso = vec![0; 0x9000];
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    let mut disk = vec![0; 0x9000];
    disk[510..512].copy_from_slice(b"\x55\xaa");
    disk[0x1c2] = 0x83;
    let mut process = ElfCore {
        wide: true,
        order: Order::Little,
        machine: 62,
        notes: Vec::new(),
        segments: vec![Segment {
            physical: 0,
            address: 0x40_0000,
            data: vec![1; PAGE],
            memory_size: PAGE as u64,
        }],
        extended_count: false,
    };
    let mut info = vec![0; 136];
    info[40..44].copy_from_slice(b"nano");
    info[56..68].copy_from_slice(b"nano /etc/mt");
    process.notes = vec![("CORE".into(), 1, vec![0; 336]), ("CORE".into(), 3, info)];
    let cases: [(&[u8], &str); 14] = [
        (b"", "empty file"),
        (b"MDMP\x93\xa7\0\0", "WinDbg"),
        (b"PAGEDU64", "WinDbg"),
        (b"minidump FreeBSD/amd64\0", "kgdb"),
        (b"\x14\x20\x28\x01\0\0\0\0", "Hyper-V"),
        (b"QFI\xfb\0\0\0\x03", "guestmount"),
        (b"KDMV\x01\0\0\0", "disk image"),
        (&iso, "ISO 9660"),
        (&disk, "file systems are not read"),
        (&process.build(), "gdb nano"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x04\0\0\0", "lldb"),
        (b"[    0.000000] Linux version 6.12\n", "necropsy oops"),
        (&[0; 9000], "nothing but zeros"),
        (b"\x7fELF\x02", "cut or damaged"),
    ];
    for (bytes, words) in cases {
        let error = try_open(&[("file", bytes)]).unwrap_err();
        let text = error.to_string();
        let known = formats_text();
        assert!(text.contains(words) || known.contains(words), "{text}");
        assert!(matches!(error, OpenError::Refused { .. }), "{text}");
        assert!(!text.contains('\n') && text.starts_with("file: "), "{text}");
    }
    let error = try_open(&[("half", b"KDUMP   \x06\0\0\0Linux")]).unwrap_err().to_string();
    assert!(error.contains("cut within its header"), "{error}");
}

fn formats_text() -> String {
    necropsy_dump::formats().map(|row| row.about).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_given_twice_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump");
    fs::write(&path, lime(&[(0, pages(0, 4))])).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for other in [&path, &link] {
        let error = Dump::open(&[path.clone(), other.clone()], OpenOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::Twice { .. }), "{error}");
    }
}
