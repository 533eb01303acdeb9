//! The stand-alone dump of s390.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_synth::*;

fuzz_target!(|data: &[u8]| {
    let seed = s390(&formats::pages(0, 4));
    formats::over(&seed, data);
});
