//! i386: two levels of 4-byte entries, or three of 8 bytes with PAE (Intel SDM 3A, 4.3 and 4.4).

use super::{ReadEntry, Walk};

const PRESENT: u64 = 1 << 0;
const PAGE_SIZE: u64 = 1 << 7;
const PAE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

pub(super) fn walk(root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    if address >> 32 != 0 {
        return walk;
    }
    let Some(pde) = walk.read(2, root + (address >> 22) * 4, 4, read) else { return walk };
    if pde & PRESENT == 0 {
        return walk.stop(2);
    }
    if pde & PAGE_SIZE != 0 {
        // PSE-36: physical bits 39:32 lie in bits 20:13.
        let base = (pde & 0xffc0_0000) | ((pde >> 13) & 0xff) << 32;
        return walk.map(base, 22, address, pde);
    }
    let entry = (pde & 0xffff_f000) + ((address >> 12) & 0x3ff) * 4;
    let Some(pte) = walk.read(1, entry, 4, read) else { return walk };
    if pte & PRESENT == 0 {
        return walk.stop(1);
    }
    walk.map(pte & 0xffff_f000, 12, address, pte)
}

pub(super) fn walk_pae(root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    if address >> 32 != 0 {
        return walk;
    }
    let mut table = root;
    for (level, shift, mask) in [(3, 30, 3), (2, 21, 0x1ff), (1, 12, 0x1ff)] {
        let entry = table + ((address >> shift) & mask) * 8;
        let Some(value) = walk.read(level, entry, 8, read) else { return walk };
        if value & PRESENT == 0 {
            return walk.stop(level);
        }
        if level == 1 || level == 2 && value & PAGE_SIZE != 0 {
            return walk.map(value & PAE_ADDRESS, shift, address, value);
        }
        table = value & PAE_ADDRESS;
    }
    walk
}
