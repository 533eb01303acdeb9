//! The core of a Xen guest.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;
use necropsy_synth::*;

fuzz_target!(|data: &[u8]| {
    let pages: Vec<XenPage> = [5, 1, 2].map(|pfn| (pfn, 1000 + pfn, formats::page(pfn))).into();
    let seed = xen_core(data.len() % 2 == 1, &pages, 1);
    formats::over(&seed, data);
});
