//! A dump file of any format. Small dumps make good seeds: those that the tests build, cut ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_dump::{Dump, OpenOptions, PhysicalMemory, Presence, Reason};

fuzz_target!(|data: &[u8]| {
    let options = OpenOptions { cache_bytes: 1 << 20, ..OpenOptions::default() };
    let Ok(dump) = Dump::from_bytes(vec![("fuzz".into(), data.to_vec())], options) else { return };
    let mut at = 0;
    for _ in 0..16 {
        let Some((first, end)) = dump.stored_run(at) else { break };
        assert!(first >= at && end > first);
        for pfn in (first..end).take(16) {
            assert_eq!(dump.presence(pfn), Presence::Stored);
            match dump.page(pfn) {
                Ok(page) => assert_eq!(page.len() as u64, dump.page_size()),
                Err(fault) => assert_eq!(fault.reason, Reason::Corrupt),
            }
        }
        at = end;
    }
    for pfn in [0, 1, dump.max_pfn(), u64::MAX] {
        assert!(dump.presence(pfn) == Presence::Stored || dump.page(pfn).is_err());
    }
    for cpu in dump.prstatus() {
        cpu.registers().count();
    }
});
