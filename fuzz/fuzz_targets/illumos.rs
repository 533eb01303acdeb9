//! An illumos dump: headers, the page stream with its codecs (LZJB, bzip2), translations.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use necropsy_dump::{OpenOptions, PhysicalMemory, illumos::IllumosDump};

fuzz_target!(|data: &[u8]| {
    let options = OpenOptions::default();
    let Ok(dump) = IllumosDump::from_bytes(Path::new("vmdump.0"), data.to_vec(), &options) else {
        return;
    };
    dump.problems();
    let _ = dump.ksyms();
    let mut at = 0;
    for _ in 0..64 {
        let Some((first, end)) = dump.stored_run(at) else { break };
        let _ = dump.page(first);
        at = end;
    }
    for (space, _) in dump.address_spaces() {
        for mapping in dump.mappings(space).iter().take(64) {
            dump.translate(space, mapping.page << 12);
        }
    }
});
