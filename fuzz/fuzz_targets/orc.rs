//! The two tables of ORC, in every format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::{Orc, OrcFormat, orc_format};

fuzz_target!(|data: &[u8]| {
    let (ips, entries) = data.split_at(data.len() / 10 * 4);
    let probed = orc_format(None, entries);
    for format in [probed, OrcFormat::V1, OrcFormat::V2, OrcFormat::V3, OrcFormat::V4] {
        for address in [0, 0xffff_ffff_8289_2a34, u64::MAX] {
            let Ok(orc) = Orc::parse(ips, address, entries, format) else { return };
            for (ip, _) in orc.iter().take(64) {
                assert!(orc.lookup(ip).is_some());
                orc.lookup(ip.wrapping_sub(1));
            }
        }
    }
});
