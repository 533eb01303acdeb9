//! The C types of the kernel's global variables, which BTF does not tell but for per-CPU ones.
//!
//! `globals.txt` holds them as text, since the names of types stay the same from kernel to kernel
//! while their layout does not. It is made by the example program `globals` out of the DWARF of
//! several kernels: a line `name: type`, sorted by name; where kernels differ, the types stand
//! side by side (`name: type | type`), newest first, and the first whose names exist is meant.

use crate::{
    ctype::parse_type,
    types::{Kind, Type, TypeId, Types},
};

const TABLE: &str = include_str!("globals.txt");

/// The type of the global variable `name`: from the debug information if it tells, else from the
/// shipped table. `None` when neither knows it.
///
/// An array of the table can have another length in the kernel at hand; where the distance to the
/// next symbol is known, [`global_type_within`] is right about it.
pub fn global_type(types: &Types, name: &str) -> Option<TypeId> {
    global_type_within(types, name, 0)
}

/// [`global_type`] for a variable of at most `extent` bytes (the `size` of its symbol; 0 unknown):
/// of several types the largest that fits is meant, and an array that is too long for it is cut.
/// It is not made longer, unless its bounds are unknown: what follows may belong to a variable
/// without a symbol.
pub fn global_type_within(types: &Types, name: &str, extent: u64) -> Option<TypeId> {
    if let Some(known) = types.find(Kind::Variable, name) {
        return Some(known);
    }
    let size = |ty: TypeId| types.size_of(ty).unwrap_or(0);
    let mut alternatives =
        find_line(TABLE, name)?.split(" | ").filter_map(|ty| parse_type(types, ty));
    if extent == 0 {
        return alternatives.next();
    }
    let alternatives: Vec<TypeId> = alternatives.collect();
    let fitting = alternatives.iter().copied().filter(|&ty| size(ty) <= extent);
    // The first of equal ones: the newest.
    let best = fitting.reduce(|best, ty| if size(ty) > size(best) { ty } else { best });
    best.filter(|&best| size(best) > 0).or_else(|| {
        alternatives.iter().find_map(|&ty| {
            let Type::Array { element, .. } = *types.get(ty) else { return best };
            let count = extent.checked_div(size(element))?;
            (count > 0).then(|| types.array_of(element, count))
        })
    })
}

/// The variables of the table, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter_map(|line| line.split(':').next())
}

/// What stands after `name:` in a sorted table.
fn find_line<'a>(table: &'a str, name: &str) -> Option<&'a str> {
    let (mut low, mut high) = (0, table.len());
    while low < high {
        let middle = (low + high) / 2;
        let start = table[..middle].rfind('\n').map_or(0, |at| at + 1);
        let end = table[middle..].find('\n').map_or(table.len(), |at| middle + at);
        let (found, ty) = table[start..end].split_once(':')?;
        match found.cmp(name) {
            std::cmp::Ordering::Equal => return Some(ty),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found() {
        let mut last = "";
        for line in TABLE.lines() {
            let (name, ty) = line.split_once(':').unwrap();
            assert!(last < name, "{last} {name}");
            assert_eq!(find_line(TABLE, name), Some(ty));
            last = name;
        }
        for name in ["", "\u{10ffff}", "a", "zzz", "init_task "] {
            assert_eq!(find_line(TABLE, name), None);
        }
    }
}
