//! x86_64: 4 or 5 levels of 512 entries (Intel SDM 3A, 4.5; arch/x86/include/asm/pgtable_types.h).

use necropsy_dump::Reason;

use super::{Mapping, ReadEntry, Walk};
use crate::protection::Protection;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const PAGE_SIZE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Set instead of `PRESENT` in a PROT_NONE entry (_PAGE_PROTNONE = _PAGE_GLOBAL): the frame is valid.
const PROT_NONE: u64 = 1 << 8;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

pub(super) fn walk(levels: u8, mask: u64, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    let bits = 12 + 9 * u32::from(levels);
    let high = (address as i64) >> (bits - 1);
    if high != 0 && high != -1 {
        return walk;
    }
    let mut table = root & ADDRESS & !mask;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * u32::from(level - 1);
        let entry = table + ((address >> shift) & 0x1ff) * 8;
        let Ok(value) = read(entry, 8) else {
            walk.end = Err(Reason::NoTable { level });
            return walk;
        };
        walk.push(level, entry, value);
        let value = value & !mask;
        if value & PRESENT == 0 && !(level == 1 && value & PROT_NONE != 0) {
            walk.end = Err(absent(level, value));
            return walk;
        }
        let large = matches!(level, 2 | 3) && value & PAGE_SIZE != 0;
        if level == 1 || large {
            let size = 1u64 << shift;
            let base = frame(value) & !(size - 1);
            walk.end = Ok(Mapping {
                physical: base | (address & (size - 1)),
                page_size: size,
                entry: value,
            });
            return walk;
        }
        table = value & ADDRESS;
    }
    walk
}

/// The frame that a leaf maps. That of a non-present entry is stored inverted if bit 51 is set
/// (L1TF, arch/x86/include/asm/pgtable-invert.h).
fn frame(value: u64) -> u64 {
    let inverted = value & PRESENT == 0 && value & (1 << 51) != 0;
    if inverted { !value & ADDRESS } else { value & ADDRESS }
}

/// What all entries of a walk together allow. A kernel page that is not marked present is not
/// accessible, though its frame is named: bit 8 is PROT_NONE in user entries alone.
pub(super) fn protection(walk: &Walk) -> Option<Protection> {
    if let Err(Reason::NoTable { .. }) = walk.end {
        return None;
    }
    let all = |bit: u64| walk.steps().iter().all(|step| step.value & bit != 0);
    let any = |bit: u64| walk.steps().iter().any(|step| step.value & bit != 0);
    let present = !walk.steps().is_empty() && all(PRESENT);
    Some(Protection {
        present,
        writable: present && all(WRITABLE),
        executable: present && !any(NO_EXECUTE),
    })
}

pub(super) fn target(value: u64) -> Result<u64, Reason> {
    if value & (PRESENT | PROT_NONE) == 0 { Err(absent(1, value)) } else { Ok(frame(value)) }
}

pub(super) fn flags(value: u64, page_size: u64) -> Vec<&'static str> {
    let present = value & PRESENT != 0;
    let bit_7 = if page_size > 4096 { "PSE" } else { "PAT" };
    let bit_8 = if present { "GLOBAL" } else { "PROTNONE" };
    let names = [
        (0, "PRESENT"),
        (1, "RW"),
        (2, "USER"),
        (3, "PWT"),
        (4, "PCD"),
        (5, "ACCESSED"),
        (6, "DIRTY"),
        (7, bit_7),
        (8, bit_8),
        (63, "NX"),
    ];
    names.iter().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, name)| *name).collect()
}

/// A non-present leaf that is not zero holds a swap entry (arch/x86/include/asm/pgtable_64.h):
/// type in bits 59-63, offset inverted in bits 14-57.
fn absent(level: u8, value: u64) -> Reason {
    if level == 1 && value != 0 {
        let offset = (!value << 5) >> (5 + 14);
        Reason::Swapped { device: (value >> 59) as u8, offset }
    } else {
        Reason::NotMapped { level }
    }
}
