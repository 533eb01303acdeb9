//! SADUMP, as a backup of a disk set.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_synth::*;

fuzz_target!(|data: &[u8]| {
    let pages = [1, 2, 5].map(|pfn| (pfn, formats::page(pfn))).into();
    let seed = Sadump { long_mode: true, existed: vec![3], pages }.backup(true);
    formats::over(&seed, data);
});
