//! ppc64 Linux with the hash MMU before 4.6 (arch/powerpc/include/asm/book3s/64/hash.h): directories hold
//! kernel virtual addresses, page entries a frame number from bit 30 on.

use super::{Fields, ReadEntry, Walk};

/// A directory entry with its top bit clear points to a table of huge pages; the low six bits are
/// log2 of their size.
const HUGE_SHIFT: u64 = 0x3f;
const POINTER: u64 = 1 << 63;
/// Flags that software keeps in the low bits of a directory pointer.
const DIRECTORY_FLAGS: u64 = 0x1ff;
/// Either bit set in a directory entry: the entry maps a huge page itself.
const LEAF: u64 = 3;

pub(super) fn walk(fields: &Fields, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    let page_shift = fields.shift(1);
    let physical = |pte: u64| (pte >> 30) << page_shift;
    let mut table = root;
    for level in (1..=fields.levels()).rev() {
        let entry = table.wrapping_add(fields.index(level, address) * 8);
        let Some(value) = walk.read(level, entry, 8, read) else { return walk };
        if value == 0 {
            return walk.stop(level);
        }
        if level == 1 {
            return walk.map(physical(value), page_shift, address, value);
        }
        let shift = fields.shift(level);
        if value & LEAF != 0 && value & POINTER != 0 {
            return walk.map(physical(value), shift, address, value);
        }
        if value & POINTER == 0 {
            let huge = (value & HUGE_SHIFT) as u32;
            if huge < page_shift || huge > shift.max(40) || huge >= 63 {
                return walk.stop(level);
            }
            let index = (address & ((1 << shift) - 1)) >> huge;
            let entry = ((value & !HUGE_SHIFT) | POINTER).wrapping_add(index * 8);
            let Some(pte) = walk.read(level - 1, entry, 8, read) else { return walk };
            if pte == 0 {
                return walk.stop(level - 1);
            }
            return walk.map(physical(pte), huge, address, pte);
        }
        table = value & !DIRECTORY_FLAGS;
    }
    walk
}
