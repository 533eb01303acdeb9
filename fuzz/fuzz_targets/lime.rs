//! LiME.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_synth::*;

fuzz_target!(|data: &[u8]| {
    let seed = lime(&[(0x1000, formats::pages(1, 4)), (0x10_0000, formats::pages(256, 260))]);
    formats::over(&seed, data);
});
