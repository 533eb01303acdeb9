//! Containers: read in place, and expanded.

use std::{fs, path::Path};

use necropsy_dump::{
    OpenError, OpenOptions, PhysicalMemory,
    illumos::{Codec, Container, ExpandError, IllumosDump, is_illumos},
};
use necropsy_synth::illumos::{Kernel, Options, Packing};

use super::{Session, device, open, vmdump};

const PACKINGS: [(Packing, Codec); 3] = [
    (Packing::Lzjb, Codec::Lzjb),
    (Packing::ParallelLzjb, Codec::ParallelLzjb),
    (Packing::Bzip2, Codec::Bzip2),
];

#[test]
fn every_container_and_codec_has_the_same_memory() {
    let made = Kernel::new(Options::default());
    let mut dumps = vec![open(made.dump.vmcore())];
    for (packing, codec) in PACKINGS {
        for (bytes, container) in [
            (vmdump(&made, packing), Container::Vmdump),
            (device(&made, packing), Container::Device),
        ] {
            let dump = open(bytes);
            assert_eq!((dump.codec(), dump.container()), (codec, container));
            dumps.push(dump);
        }
    }
    for dump in &dumps {
        assert_eq!(dump.problems(), Vec::<String>::new());
        assert_eq!(dump.ksyms().unwrap(), made.dump.ksyms);
        for (frame, bytes) in &made.dump.pages {
            assert_eq!(&dump.page(*frame).unwrap()[..], &bytes[..], "{frame:x}");
        }
        for &(space, address, frame) in &made.dump.translations {
            assert_eq!(dump.translate(space, address), Some(frame));
        }
        assert_eq!(dump.translate(made.dump.translations[0].0, 0x1000), None);
    }
}

#[test]
fn expanded_files_are_those_of_savecore() {
    let made = Kernel::new(Options::default());
    let wanted = made.dump.vmcore();
    for (packing, _) in PACKINGS {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vmdump.7");
        fs::write(&file, vmdump(&made, packing)).unwrap();
        let dump = IllumosDump::open(&[file], &OpenOptions::default()).unwrap();
        let done = dump.expand(dir.path(), &mut |_| {}).unwrap();
        assert_eq!(done.pages, done.expected);
        assert_eq!(fs::read(dir.path().join("unix.7")).unwrap(), made.dump.ksyms);
        assert!(fs::read(dir.path().join("vmcore.7")).unwrap() == wanted);
        let again = dump.expand(dir.path(), &mut |_| {});
        assert!(matches!(again, Err(ExpandError::Exists(_))));
    }
}

#[test]
fn cut_dumps_open_and_say_what_is_gone() {
    let made = Kernel::new(Options::default());
    let whole = vmdump(&made, Packing::Lzjb);
    // The stream begins where a small dump's last third is.
    for part in [90, 75, 60] {
        let cut = whole[..whole.len() * part / 100].to_vec();
        let Ok(dump) = IllumosDump::from_bytes(Path::new("vmdump.0"), cut, &OpenOptions::default())
        else {
            continue;
        };
        assert!(!dump.problems().is_empty(), "{part}");
        let mut session = Session::on(dump);
        assert!(session.warnings("::status").contains("warning: "));
        assert!(!session.mdb.has_failed());
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let made = Kernel::new(Options::default());
    let whole = vmdump(&made, Packing::Lzjb);
    let end = (whole.len() - 65536) & !65535;
    let changed = |at: usize, value: u32| {
        let mut bytes = whole.clone();
        for start in [0, end] {
            bytes[start + at..start + at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let error = IllumosDump::from_bytes(Path::new("vmdump.0"), bytes, &OpenOptions::default());
        match error.unwrap_err() {
            OpenError::Unsupported { what, .. } => what,
            other => panic!("{other}"),
        }
    };
    assert!(changed(4, 9).contains("Solaris 8"));
    assert!(changed(4, 11).contains("Oracle"));
    assert!(changed(12, 32).contains("32-bit"));
    assert!(changed(8, 0x1001b).contains("encrypted"));
    assert!(changed(0, 0xedc8_fede).contains("big-endian"));
}

#[test]
fn either_header_is_enough() {
    let made = Kernel::new(Options::default());
    let whole = vmdump(&made, Packing::ParallelLzjb);
    let end = (whole.len() - 65536) & !65535;
    let mut first_gone = whole.clone();
    first_gone[..1912].fill(0);
    let mut last_gone = whole.clone();
    last_gone[end..].fill(0);
    for bytes in [first_gone, last_gone] {
        let dump = open(bytes);
        assert!(!dump.problems().is_empty());
        let mut session = Session::on(dump);
        assert_eq!(session.lines("::ps").len(), 5);
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

/// What a file has wrong, as it is told; `ps` still lists what is there.
fn told(bytes: Vec<u8>) -> (String, usize) {
    let dump = open(bytes);
    let problems = dump.problems().join("; ");
    let mut session = Session::on(dump);
    let all = [problems, session.kernel.problems().join("; ")].join("; ");
    (all, session.lines("::ps").len())
}

#[test]
fn each_fault_of_a_file_is_told() {
    let made = Kernel::new(Options::default());
    let (serial, parallel) = (vmdump(&made, Packing::Lzjb), vmdump(&made, Packing::ParallelLzjb));
    let (ksyms, map, data) = (word(&serial, 24), word(&serial, 40), word(&serial, 48));
    let end = (serial.len() - 65536) & !65535;

    // The kernel died while it wrote: DF_COMPLETE is clear.
    let mut unfinished = serial.clone();
    for at in [8, end + 8] {
        unfinished[at] &= !2;
    }
    let (problems, lines) = told(unfinished);
    assert!(problems.contains("did not finish writing"), "{problems}");
    assert_eq!(lines, 5);

    // The size of a page is impossible: the pages before it are there.
    let mut bad_size = serial.clone();
    let middle =
        data + 4 + (u32::from_le_bytes(serial[data..data + 4].try_into().unwrap()) as usize);
    bad_size[middle..middle + 4].copy_from_slice(&0xf_ffffu32.to_le_bytes());
    let (problems, _) = told(bad_size);
    assert!(problems.contains("1 of ") && problems.contains("pages are in the file"), "{problems}");

    // A stream's header is damaged.
    let mut bad_stream = parallel.clone();
    let at = bad_stream.windows(8).position(|bytes| bytes == b"StrmHdr\0").unwrap();
    bad_stream[at] = b'X';
    let (problems, _) = told(bad_stream);
    assert!(problems.contains("a damaged block of a stream"), "{problems}");

    // The symbols are gone; the table of translations is gone.
    let mut no_symbols = serial.clone();
    no_symbols[ksyms..ksyms + 64].fill(0);
    let (problems, _) = told(no_symbols);
    assert!(problems.contains("the symbol table is damaged"), "{problems}");
    let mut no_map = serial.clone();
    no_map[map..data].fill(0);
    let (_, lines) = told(no_map);
    assert!(lines <= 1, "{lines} lines of processes without kernel memory");
}

#[test]
fn hash_chains_that_run_round_end_and_zero_tails_are_zeros() {
    let made = Kernel::new(Options::default());
    let whole = made.dump.vmcore();
    let (map, data) = (word(&whole, 40), word(&whole, 48));
    // Every entry of every chain leads to itself.
    let mut ring = whole.clone();
    for at in (map..data).step_by(40).filter(|at| at + 40 <= data) {
        ring[at + 8..at + 16].copy_from_slice(&(at as u64).to_le_bytes());
    }
    let dump = open(ring);
    let (space, address, _) = made.dump.translations[0];
    assert!(dump.translate(space, address ^ 0x5000_0000).is_none());
    // Pages of zeros at the end of the file are left away.
    let mut zeros = made.dump.clone();
    let last = zeros.pages.last().unwrap().0 + 1;
    zeros.pages.push((last, vec![0; 4096]));
    let dump = open(zeros.vmcore());
    assert_eq!(&dump.page(last).unwrap()[..], &[0; 4096]);
    assert_eq!(dump.problems(), Vec::<String>::new());
}

#[test]
fn packed_dumps_and_folders_are_opened_too() {
    let made = Kernel::new(Options::default());
    let plain = vmdump(&made, Packing::Lzjb);
    let folder = tempfile::tempdir().unwrap();
    let crash = folder.path().join("crash");
    fs::create_dir(&crash).unwrap();
    let options =
        || OpenOptions { cache_dir: Some(folder.path().join("cache")), ..OpenOptions::default() };
    for (name, bytes) in [
        ("vmdump.3.gz", necropsy_synth::bgzf(&plain, 50_000)),
        ("crash.tar", necropsy_synth::tar(&[("volatile/vmdump.3", &plain), ("bounds", b"4\n")])),
    ] {
        let path = crash.join(name);
        fs::write(&path, bytes).unwrap();
        assert!(is_illumos(&path), "{name}");
        assert_eq!(necropsy_dump::dump_inside(&crash).unwrap(), std::slice::from_ref(&path));
        let dump = IllumosDump::open(std::slice::from_ref(&path), &options()).unwrap();
        assert_eq!(dump.problems(), Vec::<String>::new(), "{name}");
        assert_eq!(Session::on(dump).lines("::ps").len(), 5);
        fs::remove_file(path).unwrap();
    }
    fs::write(crash.join("vmdump.0"), &plain).unwrap();
    fs::write(crash.join("unix.0"), &made.dump.ksyms).unwrap();
    assert_eq!(necropsy_dump::dump_inside(&crash).unwrap(), [crash.join("vmdump.0")]);
    // It is a dump, but none of Linux.
    let error = necropsy_dump::Dump::open(&[crash.join("vmdump.0")], options()).unwrap_err();
    assert!(error.to_string().contains("illumos kernel dump"), "{error}");
}
