//! aarch64: VMSAv8-64 descriptors (Arm ARM D8.3; arch/arm64/include/asm/pgtable-hwdef.h).

use necropsy_dump::Reason;

use super::{Fields, Lpa, ReadEntry, Walk};

const VALID: u64 = 1 << 0;
/// A table, or a page at the last level; clear = block.
const TABLE: u64 = 1 << 1;

pub(super) fn walk(
    fields: &Fields,
    lpa: Lpa,
    root: u64,
    address: u64,
    read: ReadEntry<'_>,
) -> Walk {
    let mut walk = Walk::new();
    // Kernel addresses have all ones above, user addresses all zeros.
    if !matches!(fields.above(address), 0 | -1) {
        return walk;
    }
    let granule = fields.shift(1);
    let physical = |value: u64| physical(granule, lpa, value);
    // Blocks exist where the architecture names them, and one level higher with wide addresses.
    let largest_block = match (granule, lpa) {
        (12, Lpa::None) => 3,
        (12, _) => 4,
        (_, Lpa::None) => 2,
        _ => 3,
    };
    let mut table = root;
    for level in (1..=fields.levels()).rev() {
        let Some(value) = walk.read(level, table + fields.index(level, address) * 8, 8, read)
        else {
            return walk;
        };
        if value & VALID == 0 {
            return walk.stop(level);
        }
        let is_table = value & TABLE != 0;
        if level == 1 {
            if !is_table {
                return walk.stop(level);
            }
            return walk.map(physical(value), granule, address, value);
        }
        if !is_table {
            if level > largest_block {
                return walk.stop(level);
            }
            return walk.map(physical(value), fields.shift(level), address, value);
        }
        table = physical(value);
    }
    walk
}

/// The address in a descriptor.
fn physical(granule: u32, lpa: Lpa, value: u64) -> u64 {
    let low = value & 0x0000_ffff_ffff_ffff & !((1 << granule) - 1);
    match lpa {
        Lpa::None => low,
        Lpa::Lpa => low | ((value >> 12) & 0xf) << 48,
        Lpa::Lpa2 => {
            (value & 0x0003_ffff_ffff_ffff & !((1 << granule) - 1)) | ((value >> 8) & 3) << 50
        }
    }
}

/// What a last-level descriptor maps.
pub(super) fn target(fields: &Fields, lpa: Lpa, value: u64) -> Result<u64, Reason> {
    match value & (VALID | TABLE) {
        0b11 => Ok(physical(fields.shift(1), lpa, value)),
        _ => Err(Reason::NotMapped { level: 1 }),
    }
}

/// As crash names them (arch/arm64/include/asm/pgtable-hwdef.h, pgtable-prot.h).
pub(super) fn flags(lpa: Lpa, value: u64) -> Vec<&'static str> {
    let names = [
        (0, "VALID"),
        (6, "USER"),
        (7, "RDONLY"),
        (8, "SHARED"),
        (10, "AF"),
        (11, "NG"),
        (50, "GP"),
        (51, "DBM"),
        (52, "CONT"),
        (53, "PXN"),
        (54, "UXN"),
        (55, "DIRTY"),
        (56, "SPECIAL"),
    ];
    // Wide addresses take the bits of the shareability.
    let means = |bit: u32| bit != 8 || lpa != Lpa::Lpa2;
    let set = names.iter().filter(|(bit, _)| value >> bit & 1 == 1 && means(*bit));
    set.map(|(_, name)| *name).collect()
}
