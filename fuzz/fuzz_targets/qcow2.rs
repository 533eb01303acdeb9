//! The saved state in a qcow2 image.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_synth::*;

fuzz_target!(|data: &[u8]| {
    let page = |pfn: u64| SentPage { block: 0, offset: pfn * 4096, data: Some(formats::page(pfn)) };
    let stream = QemuStream {
        machine: "pc-q35-7.2".into(),
        blocks: vec![("pc.ram".into(), 8 * 4096)],
        pages: (0..8).map(page).collect(),
    };
    let seed = qcow2_state(&stream.build());
    formats::over(&seed, data);
});
