//! s390x: region, segment and page tables (z/Architecture Principles of Operation, chapter 3;
//! arch/s390/include/asm/pgtable.h).

use necropsy_dump::Reason;

use super::{ReadEntry, Walk};

/// Invalid bit of region and segment entries.
const REGION_INVALID: u64 = 0x20;
/// Invalid bit of page entries.
const PAGE_INVALID: u64 = 0x400;
/// A region-third or segment entry that maps memory itself.
const LARGE: u64 = 0x400;

pub(super) fn walk(levels: u8, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    let shift_of = |level: u8| if level == 1 { 12 } else { 20 + 11 * u32::from(level - 2) };
    let total = 20 + 11 * u32::from(levels.saturating_sub(1));
    if !(2..=5).contains(&levels) || total < 64 && address >> total != 0 {
        return walk;
    }
    let mut table = root;
    // The parent's table offset and length, in quarters of the table.
    let mut limits = (0, 3);
    for level in (2..=levels).rev() {
        let shift = shift_of(level);
        let index = (address >> shift) & 0x7ff;
        if !(limits.0..=limits.1).contains(&(index >> 9)) {
            return walk.stop(level);
        }
        let Some(value) = walk.read(level, table + index * 8, 8, read) else { return walk };
        // Table-type bits: 0 segment, 1 to 3 region third to first.
        if value & REGION_INVALID != 0 || (value >> 2) & 3 != u64::from(level - 2) {
            return walk.stop(level);
        }
        if level <= 3 && value & LARGE != 0 {
            return walk.map(value, shift, address, value);
        }
        limits = ((value >> 6) & 3, value & 3);
        table = value & if level == 2 { !0x7ff } else { !0xfff };
    }
    let entry = table + ((address >> 12) & 0xff) * 8;
    let Some(value) = walk.read(1, entry, 8, read) else { return walk };
    if value & PAGE_INVALID != 0 {
        return walk.stop(1);
    }
    walk.map(value, 12, address, value)
}

/// What a page's entry maps.
pub(super) fn target(value: u64) -> Result<u64, Reason> {
    match value & PAGE_INVALID {
        0 => Ok(value & !0xfff),
        _ => Err(Reason::NotMapped { level: 1 }),
    }
}

/// arch/s390/include/asm/pgtable.h
pub(super) fn flags(value: u64) -> Vec<&'static str> {
    let names = [
        (10, "INVALID"),
        (9, "PROTECT"),
        (8, "NOEXEC"),
        (0, "PRESENT"),
        (2, "YOUNG"),
        (3, "DIRTY"),
        (4, "READ"),
        (5, "WRITE"),
        (6, "SPECIAL"),
        (7, "UNUSED"),
    ];
    names.iter().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, name)| *name).collect()
}
