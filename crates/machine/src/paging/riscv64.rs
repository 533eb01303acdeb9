//! riscv64: Sv39, Sv48, Sv57 (Privileged Architecture, 12.4-12.6;
//! arch/riscv/include/asm/pgtable-64.h).

use necropsy_dump::Reason;

use super::{ReadEntry, Walk};

const VALID: u64 = 1 << 0;
/// Readable, writable or executable: a leaf.
const LEAF: u64 = 0b1110;

pub(super) fn walk(levels: u8, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    let top = address as i64 >> (12 + 9 * u32::from(levels) - 1).min(63);
    if top != 0 && top != -1 {
        return walk;
    }
    let mut table = root;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * u32::from(level - 1);
        let entry = table + ((address >> shift) & 0x1ff) * 8;
        let Some(value) = walk.read(level, entry, 8, read) else { return walk };
        if value & VALID == 0 {
            return walk.stop(level);
        }
        let base = ((value >> 10) & ((1 << 44) - 1)) << 12;
        if value & LEAF != 0 {
            return walk.map(base, shift, address, value);
        }
        table = base;
    }
    // The last level held a pointer to a further table.
    walk.stop(1)
}

/// What a leaf maps.
pub(super) fn target(value: u64) -> Result<u64, Reason> {
    match value & VALID != 0 && value & LEAF != 0 {
        true => Ok(((value >> 10) & ((1 << 44) - 1)) << 12),
        false => Err(Reason::NotMapped { level: 1 }),
    }
}

/// arch/riscv/include/asm/pgtable-bits.h
pub(super) fn flags(value: u64) -> Vec<&'static str> {
    let names =
        ["PRESENT", "READ", "WRITE", "EXEC", "USER", "GLOBAL", "ACCESSED", "DIRTY", "SPECIAL"];
    let set = names.iter().enumerate().filter(|(bit, _)| value >> bit & 1 == 1);
    set.map(|(_, name)| *name).collect()
}
