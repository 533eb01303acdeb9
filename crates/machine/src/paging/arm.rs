//! arm short descriptors: 4096 first-level entries of 1 MiB (Arm ARM B3.5;
//! arch/arm/include/asm/pgtable-2level-hwdef.h).

use super::{ReadEntry, Walk};

pub(super) fn walk(root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    if address >> 32 != 0 {
        return walk;
    }
    let Some(first) = walk.read(2, root + (address >> 20) * 4, 4, read) else { return walk };
    match first & 3 {
        0 => walk.stop(2),
        1 => {
            let entry = (first & 0xffff_fc00) + ((address >> 12) & 0xff) * 4;
            let Some(second) = walk.read(1, entry, 4, read) else { return walk };
            match second & 3 {
                0 => walk.stop(1),
                1 => walk.map(second & 0xffff_0000, 16, address, second),
                _ => walk.map(second & 0xffff_f000, 12, address, second),
            }
        }
        // A supersection of 16 MiB carries physical bits 35:32 and 39:36 apart.
        _ if first & (1 << 18) != 0 => {
            let base =
                (first & 0xff00_0000) | ((first >> 20) & 0xf) << 32 | ((first >> 5) & 0xf) << 36;
            walk.map(base, 24, address, first)
        }
        _ => walk.map(first & 0xfff0_0000, 20, address, first),
    }
}
