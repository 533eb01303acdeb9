//! LZJB: any bytes, into a page and into less; and what was packed comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_dump::illumos::lzjb::decompress;
use necropsy_synth::illumos::compress;

fuzz_target!(|data: &[u8]| {
    for size in [0, 1, 7, data.len() + 1, 2 * data.len(), 4096] {
        decompress(data, &mut vec![0; size]);
    }
    if let Some(packed) = compress(data) {
        let mut back = vec![0; data.len()];
        assert_eq!(decompress(&packed, &mut back), Some(()));
        assert_eq!(back, data);
    }
});
