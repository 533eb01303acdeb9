//! One format's reader: a small file of the format, with the fuzzer's bytes over it.

use necropsy_dump::{Dump, OpenOptions, PhysicalMemory, Presence};

/// The first four bytes say where in `seed` the rest goes; a set high bit cuts the file there.
pub fn over(seed: &[u8], data: &[u8]) {
    let Some(file) = damaged(seed, data) else { return };
    let options = OpenOptions { cache_bytes: 1 << 20, ..OpenOptions::default() };
    if let Ok(dump) = Dump::from_bytes(vec![("fuzz".into(), file)], options) {
        read(&dump);
    }
}

/// The file as [`over`] has it.
pub fn damaged(seed: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (place, rest) = data.split_first_chunk::<4>()?;
    let place = u32::from_le_bytes(*place);
    let at = (place & 0x7fff_ffff) as usize % seed.len();
    let mut file = seed.to_vec();
    let len = rest.len().min(file.len() - at);
    file[at..at + len].copy_from_slice(&rest[..len]);
    if place >> 31 == 1 {
        file.truncate(at + len);
    }
    Some(file)
}

/// Reads some of what is there, and some of what is not.
pub fn read(dump: &Dump) {
    let mut at = 0;
    for _ in 0..16 {
        let Some((first, end)) = dump.stored_run(at) else { break };
        assert!(first >= at && end > first);
        for pfn in (first..end).take(16) {
            assert_eq!(dump.presence(pfn), Presence::Stored);
            if let Ok(page) = dump.page(pfn) {
                assert_eq!(page.len() as u64, dump.page_size());
            }
        }
        at = end;
    }
    for pfn in [0, 1, dump.max_pfn(), u64::MAX] {
        assert!(dump.presence(pfn) == Presence::Stored || dump.page(pfn).is_err());
    }
}

/// A page of memory, different for each frame.
pub fn page(pfn: u64) -> Vec<u8> {
    vec![pfn as u8; 4096]
}

/// Pages of memory.
pub fn pages(first: u64, end: u64) -> Vec<u8> {
    (first..end).flat_map(page).collect()
}
