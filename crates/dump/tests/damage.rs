//! Damaged files: whatever is in them, opening and reading ends, in bounded memory, without panic.

mod common;

use common::{Random, exercise, flattened, kdump, main_formats, other_formats};
use necropsy_dump::{Dump, OpenOptions};
use necropsy_synth::{Codec, Needs};

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

fn synthetic_files() {
    let files = [main_formats(), flattened(), other_formats()].concat();
    let mut sets: Vec<Vec<Vec<u8>>> = files.into_iter().map(|file| vec![file]).collect();
    sets.push(
        [(0, 20), (20, 40), (40, 100)].map(|range| kdump(6, Codec::Zlib, Some(range))).into(),
    );
    hurt(&sets, 6000, 1);
}

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

necropsy_synth::data_tests! {
    synthetic_files: [],
    files_of_the_corpus: [Needs::Corpora("dump-formats")],
    a_real_dump: [Needs::Lab("out/k612-null/kdump-c")],
}
