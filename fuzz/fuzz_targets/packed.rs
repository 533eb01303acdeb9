//! Packed files of parts that unpack alone: where they lie, and their content.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_dump::{Dump, OpenOptions, UnpackCache};

fuzz_target!(|data: &[u8]| {
    let seed = necropsy_synth::lime(&[(0, formats::pages(0, 8))]);
    let packed = necropsy_synth::bgzf(&seed, 5000);
    // One file after the other: the folder is this process's.
    let folder = std::env::temp_dir().join(format!("necropsy-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("packed");
    let Some(file) = formats::damaged(&packed, data) else { return };
    std::fs::write(&path, file).unwrap();
    let cache = folder.join("cache");
    let options = OpenOptions { cache_dir: Some(cache.clone()), ..OpenOptions::default() };
    if let Ok(dump) = Dump::open(&[path], options) {
        formats::read(&dump);
    }
    let _ = UnpackCache::at(cache).clean();
});
