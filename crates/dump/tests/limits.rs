//! Damaged headers in real files, some of them with holes as long as the header claims: opening and
//! reading keep within 512 MB of address space beyond the mapped file, and within two seconds.
//!
//! A hundred on every run; `NECROPSY_MUTATIONS=5000` for more. One dump at a time, in a process of
//! their own: the limit is the process's.

mod common;

use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use common::{Random, exercise, flattened, main_formats, other_formats};
use necropsy_dump::{Dump, OpenOptions, PhysicalMemory};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

/// Address space that opening may take of its own.
const ROOM: u64 = 512 << 20;
const TIME: Duration = Duration::from_secs(2);
/// Tests run side by side, and there is one limit.
static ALONE: Mutex<()> = Mutex::new(());

/// Time that this process was computing: the machine may be busy with other things.
fn computing() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// Lets the process have `bytes` more than it has now.
fn allow(bytes: u64) {
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(address_space() + bytes);
    setrlimit(Resource::As, Rlimit { current, maximum }).unwrap();
}

fn try_one(path: &Path, file_size: u64) -> bool {
    within(path, file_size, ROOM, TIME, exercise)
}

/// Opens and uses with so much address space beyond the mapped file, in so much time.
fn within<T>(
    path: &Path,
    file_size: u64,
    room: u64,
    time: Duration,
    using: impl FnOnce(&Dump) -> T,
) -> bool {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    allow(file_size + room);
    let before = computing();
    let cache_dir = path.parent().map(|folder| folder.join("cache"));
    let options = OpenOptions { cache_bytes: 1 << 20, cache_dir, ..OpenOptions::default() };
    let opened = match Dump::open(&[path.to_path_buf()], options) {
        Ok(dump) => {
            using(&dump);
            true
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            false
        }
    };
    let took = computing() - before;
    eprintln!("took {took:?}");
    assert!(took < time, "{took:?}");
    opened
}

#[test]
fn damaged_headers_keep_within_limits() {
    let count: usize =
        std::env::var("NECROPSY_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    // The threads that search memory have stacks: they are not the dump's.
    rayon::join(|| (), || ());
    let mut seeds = [main_formats(), flattened(), other_formats()].concat();
    // Packed in parts, too: their sizes are claims like any other.
    let packed = [
        necropsy_synth::bgzf(&seeds[0], 1000),
        seeds[1].chunks(3000).flat_map(|part| zstd::bulk::compress(part, 1).unwrap()).collect(),
        necropsy_synth::tar(&[("vmcore", &seeds[2])]),
    ];
    seeds.extend(packed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    let mut random = Random(20_261_127);
    let (mut opened, mut sparse) = (0, 0);
    for round in 0..count {
        let mut bytes = seeds[round % seeds.len()].clone();
        random.damage(&mut bytes);
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&bytes).unwrap();
        // A hole behind it, up to a terabyte: what a header claims may be "there".
        let mut size = bytes.len() as u64;
        if random.below(3) == 0 {
            size = 1 << (20 + random.below(21));
            file.set_len(size.max(bytes.len() as u64)).unwrap();
            sparse += 1;
        }
        drop(file);
        eprintln!("{round}: {} bytes, seed {}", size, round % seeds.len());
        opened += usize::from(try_one(&path, size));
    }
    eprintln!("{count} damaged headers, {sparse} of them sparse: {opened} opened");
    assert!(opened > count / 4);
}

/// A sparse kdump whose header claims 2^43 frames, in a file as long as their bitmaps.
#[test]
fn a_claim_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claim");
    let mut header = vec![0u8; 8192];
    header[..8].copy_from_slice(b"KDUMP   ");
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(8, &6u32.to_le_bytes());
    put(12, b"Linux");
    put(272, b"x86_64");
    for (at, value) in
        [(424, 1u32), (428, 4096), (432, 1), (436, 0x1000_0000), (440, u32::MAX), (460, 1)]
    {
        put(at, &value.to_le_bytes());
    }
    put(4096 + 96, &(1u64 << 43).to_le_bytes());
    fs::write(&path, &header).unwrap();
    let size = (1u64 << 40) + 8192;
    fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
    assert!(try_one(&path, size));
}

/// Overlapping segments are sorted once, not each against all others.
#[test]
fn overlapping_segments_are_quick() {
    let segment = |index: u64| necropsy_synth::Segment {
        physical: index * 4096,
        address: 0,
        data: Vec::new(),
        memory_size: 1 << 40,
    };
    let core = necropsy_synth::ElfCore {
        wide: true,
        order: necropsy_synth::Order::Little,
        machine: 62,
        notes: Vec::new(),
        segments: (0..65_000).map(segment).collect(),
        extended_count: true,
    };
    let mut bytes = core.build();
    // Each as large in the file as in memory, all from the same place on.
    for index in 1..=65_000 {
        bytes.copy_within(64 + index * 56 + 40..64 + index * 56 + 48, 64 + index * 56 + 32);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segments");
    fs::write(&path, &bytes).unwrap();
    assert!(try_one(&path, bytes.len() as u64));
}

/// A machine of 12 TB, filtered to one page in 64: bitmaps of 400 MB each. A sixteenth of it on every
/// run; `NECROPSY_LARGE=1` for all of it.
#[test]
fn a_machine_of_twelve_terabytes_opens_at_once() {
    let scale = if std::env::var_os("NECROPSY_LARGE").is_some() { 1 } else { 16 };
    let frames = (12u64 << 40) / 4096 / scale;
    let bitmap = (frames / 8).next_multiple_of(4096);
    let mut header = vec![0u8; 8192];
    header[..8].copy_from_slice(b"KDUMP   ");
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(8, &6u32.to_le_bytes());
    put(12, b"Linux");
    put(272, b"x86_64");
    let blocks = (2 * bitmap / 4096) as u32;
    for (at, value) in [(428, 4096), (432, 1), (436, blocks), (440, u32::MAX), (460, 1)] {
        put(at, &value.to_le_bytes());
    }
    put(4096 + 96, &frames.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    file.write_all(&header).unwrap();
    let (all, some) = (vec![0xff; 1 << 20], [1, 0, 0, 0, 0, 0, 0, 0].repeat(1 << 17));
    for content in [all, some] {
        let mut left = bitmap as usize;
        while left > 0 {
            let n = left.min(content.len());
            file.write_all(&content[..n]).unwrap();
            left -= n;
        }
    }
    let file = file.into_inner().unwrap();
    let size = 8192 + 2 * bitmap + frames / 64 * 24;
    file.set_len(size).unwrap();
    drop(file);
    let using = |dump: &Dump| {
        assert_eq!(dump.memory_run(0), Some((0, frames)));
        assert_eq!(dump.presence(frames - 1), necropsy_dump::Presence::Excluded);
        assert!(dump.page(frames - 64).is_err());
    };
    assert!(within(&path, size, 200 << 20, Duration::from_secs(1), using));
}

/// Packed dumps at the start of a disk: what is behind them is zeros, which are empty blocks to zstd
/// and padding to xz.
#[test]
fn zeros_behind_a_packed_dump_are_not_gone_through() {
    let folder = tempfile::tempdir().unwrap();
    let plain = necropsy_synth::lime(&[(0, vec![7; 100 * 4096])]);
    let frames: Vec<u8> =
        plain.chunks(100_000).flat_map(|part| zstd::bulk::compress(part, 1).unwrap()).collect();
    // The last frame's last block is cut away, so that zeros follow where a block should.
    let mut cut = frames.clone();
    cut.truncate(frames.len() - 4);
    for (name, bytes, opens) in [
        ("frames", frames, true),
        ("cut", cut, true),
        ("bgzf", necropsy_synth::bgzf(&plain, 50_000), true),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let size = 1u64 << 40;
        fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
        assert_eq!(try_one(&path, size), opens, "{name}");
    }
}
