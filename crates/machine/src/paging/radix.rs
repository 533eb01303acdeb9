//! ppc64 Linux with the radix MMU (Power ISA 3.0, book III 6.7.10;
//! arch/powerpc/include/asm/book3s/64/radix.h). Entries are big-endian in any kernel.

use necropsy_dump::Reason;

use super::{Fields, ReadEntry, Walk};

const VALID: u64 = 1 << 63;
/// The entry maps memory itself.
const LEAF: u64 = 1 << 62;
/// The address of a page (PTE_RPN_MASK).
const PAGE: u64 = 0x01ff_ffff_ffff_f000;
/// The address of the next table (NLB).
const TABLE: u64 = 0x0fff_ffff_ffff_ff00;
/// The quadrant: addresses of the kernel have both bits set, those of processes neither.
const QUADRANT: u64 = 3 << 62;

pub(super) fn walk(fields: &Fields, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    let within = address & !QUADRANT;
    if !matches!(address & QUADRANT, 0 | QUADRANT) || within >> fields.total().min(63) != 0 {
        return walk;
    }
    let mut table = root;
    for level in (1..=fields.levels()).rev() {
        let entry = table.wrapping_add(fields.index(level, within) * 8);
        let Some(value) = walk.read(level, entry, 8, read) else { return walk };
        if value & VALID == 0 {
            return walk.stop(level);
        }
        if value & LEAF != 0 {
            return walk.map(value & PAGE, fields.shift(level), address, value);
        }
        table = value & TABLE;
    }
    walk.stop(1)
}

/// What a leaf maps.
pub(super) fn target(value: u64) -> Result<u64, Reason> {
    match value & VALID != 0 && value & LEAF != 0 {
        true => Ok(value & PAGE),
        false => Err(Reason::NotMapped { level: 1 }),
    }
}

/// arch/powerpc/include/asm/book3s/64/pgtable.h
pub(super) fn flags(value: u64) -> Vec<&'static str> {
    let names = [
        (63, "PRESENT"),
        (62, "LEAF"),
        (0, "EXEC"),
        (1, "WRITE"),
        (2, "READ"),
        (3, "PRIVILEGED"),
        (7, "DIRTY"),
        (8, "ACCESSED"),
    ];
    names.iter().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, name)| *name).collect()
}
