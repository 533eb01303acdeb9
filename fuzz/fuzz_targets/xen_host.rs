//! Cores of Xen hosts, of which dom0's memory is read.
#![no_main]

#[allow(dead_code)]
mod formats;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let pages: Vec<_> = (0..6).map(|pfn| (pfn, 20 - 2 * pfn, formats::page(pfn))).collect();
    formats::over(&necropsy_synth::xen_host(&pages), data);
});
