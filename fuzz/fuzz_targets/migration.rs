//! QEMU's migration stream, also with mapped-ram.
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
    let is_mapped = data.first().is_some_and(|byte| byte & 1 == 1);
    let seed = if is_mapped { stream.build_mapped() } else { stream.build() };
    formats::over(&seed, data);
});
