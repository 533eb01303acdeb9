//! VMware's saved state.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_synth::*;

fuzz_target!(|data: &[u8]| {
    let memory = Some(formats::pages(0, 8));
    let regions = vec![(0, 0, 3), (3, 16, 5)];
    let seed = VmwareState { regions, memory, ..VmwareState::default() }.build();
    formats::over(&seed, data);
});
