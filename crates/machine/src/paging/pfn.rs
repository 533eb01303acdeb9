//! Tables whose entries are nothing but page frame numbers.

use super::{Fields, ReadEntry, Walk};

pub(super) fn walk(
    fields: &Fields,
    entry_size: u32,
    root: u64,
    address: u64,
    read: ReadEntry<'_>,
) -> Walk {
    let mut walk = Walk::new();
    if fields.above(address) != 0 {
        return walk;
    }
    let page_shift = fields.shift(1);
    let mut table = root;
    for level in (1..=fields.levels()).rev() {
        let entry = table.wrapping_add(fields.index(level, address) * u64::from(entry_size));
        let Some(value) = walk.read(level, entry, entry_size, read) else { return walk };
        if value == 0 || value.leading_zeros() < page_shift {
            return walk.stop(level);
        }
        table = value << page_shift;
        if level == 1 {
            return walk.map(table, page_shift, address, value);
        }
    }
    walk
}
