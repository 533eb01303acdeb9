//! Page tables of a paravirtual Xen guest hold the host's frames: walks end in the guest's.

use necropsy_dump::{Dump, OpenOptions};
use necropsy_machine::paging::PagingFormat;

const HOST: u64 = 1000;

/// A table whose entry for `index` leads to a frame of the guest, by the host's number.
fn table(index: usize, frame: u64) -> Vec<u8> {
    let mut page = vec![0; 4096];
    let entry = (HOST + frame) << 12 | 0x8000_0000_0000_0067;
    page[index * 8..index * 8 + 8].copy_from_slice(&entry.to_le_bytes());
    page
}

#[test]
fn walks_end_in_the_guest_s_frames() {
    let address: u64 = 0xffff_8880_1234_5678;
    let index = |level: u32| (address >> (12 + 9 * level) & 511) as usize;
    let mut pages: Vec<_> = (1..5)
        .map(|frame| {
            let level = 4 - frame as u32;
            (frame, HOST + frame, table(index(level), if frame == 4 { 7 } else { frame + 1 }))
        })
        .collect();
    pages.push((7, HOST + 7, vec![0x77; 4096]));
    let core = necropsy_synth::xen_core(true, &pages, 0);
    let dump = Dump::from_bytes(vec![("core".into(), core)], OpenOptions::default()).unwrap();
    let walk = PagingFormat::X86_64 { levels: 4, mask: 0 }.walk_memory(&dump, 0x1000, address);
    assert_eq!(walk.end.unwrap().physical, 0x7678);
}
