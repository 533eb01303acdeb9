//! Debug information that is hurt: commands answer with what is left of it, or with the dump alone,
//! and nothing panics or hangs. `NECROPSY_DAMAGE=2000` tries more ways, `NECROPSY_DAMAGE=158..159`
//! repeats one.

use std::{
    env, fs,
    ops::Range,
    path::{Path, PathBuf},
};

use necropsy::{language::run_captured, opening::Request, render::Capture};
use object::{Object, ObjectSection};

/// Ways that are tried unless more are asked for.
const CASES: u64 = 24;

const LINES: &[&str] = &[
    "bt -lv",
    "bt --json -v",
    "frame 3",
    "locals",
    "explain",
    "dis -rl do_exit+40",
    "sym do_exit+4",
    "whatis file_systems",
    "mod",
];

fn cases() -> Range<u64> {
    let Ok(text) = env::var("NECROPSY_DAMAGE") else { return 0..CASES };
    match text.split_once("..") {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

/// xorshift: the same case hurts the same bytes on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

fn unpack(path: &Path) -> Vec<u8> {
    zstd::decode_all(&*fs::read(path).unwrap()).unwrap()
}

/// The parts of the debug sections that are no zeros: most of a file here is.
fn places(file: &[u8]) -> Vec<Range<usize>> {
    let elf = object::File::parse(file).unwrap();
    let mut places = Vec::new();
    for section in elf.sections() {
        let (Ok(name), Some((offset, size))) = (section.name(), section.file_range()) else {
            continue;
        };
        if !name.starts_with(".debug") {
            continue;
        }
        let bytes = &file[offset as usize..(offset + size) as usize];
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
        places.push(offset as usize + first..offset as usize + bytes.len());
    }
    places
}

/// A file, hurt in one way. Flips are near each other and where there is something to hurt.
fn hurt(file: &[u8], places: &[Range<usize>], case: u64) -> Vec<u8> {
    let mut chance = Chance(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        chance.below(2);
    }
    let mut bytes = file.to_vec();
    let place = &places[chance.below(places.len() as u64) as usize];
    match case % 6 {
        // Cut.
        0 => bytes.truncate(chance.below(file.len() as u64) as usize),
        // A section of nothing but ones, or of noise.
        1 => {
            let from = place.start + chance.below(place.len() as u64) as usize;
            let end = (from + 4096).min(place.end);
            bytes[from..end].fill(0xff);
        }
        2 => {
            let from = place.start + chance.below(place.len() as u64) as usize;
            let end = (from + 4096).min(place.end);
            bytes[from..end].iter_mut().for_each(|byte| *byte = chance.below(256) as u8);
        }
        // A few bytes where there are any.
        _ => {
            for _ in 0..1 + chance.below(40) {
                let mut at = place.start + chance.below(place.len() as u64) as usize;
                while at < place.end && bytes[at] == 0 {
                    at += 1;
                }
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = chance.below(256) as u8;
                }
            }
        }
    }
    bytes
}

#[test]
fn hurt_debug_information_costs_no_more_than_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let vmlinux = unpack(&root.join("debug/linux-7.2-null/vmlinux.zst"));
    let module = unpack(&root.join("debug/linux-7.2-null/crashme.ko.zst"));
    let (kernel_places, module_places) = (places(&vmlinux), places(&module));
    let files: Vec<PathBuf> =
        ["vmlinux", "crashme.ko"].map(|name| folder.path().join(name)).to_vec();
    let dump = root.join("dumps/linux-7.2-null.kdump");
    let mut answered = 0;
    for case in cases() {
        eprintln!("case {case}");
        fs::write(&files[0], hurt(&vmlinux, &kernel_places, case)).unwrap();
        fs::write(&files[1], hurt(&module, &module_places, case ^ 1)).unwrap();
        let request = Request {
            files: vec![dump.clone()],
            symbols: files.clone(),
            any_build_id: true,
            ..Request::default()
        };
        let mut session = request.session().unwrap();
        for line in LINES {
            let capture = Capture::default();
            run_captured(&mut session, line, &capture);
            let text = capture.take();
            // The dump alone tells this much.
            if line.starts_with("bt -l") {
                assert!(text.contains("crashme_run"), "case {case}: {text}");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, cases().count());
}
