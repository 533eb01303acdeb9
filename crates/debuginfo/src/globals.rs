//! The C types of the kernel's global variables, which BTF does not tell but for per-CPU ones.
//!
//! `globals.txt` holds them as text, since the names of types stay the same from kernel to kernel
//! while their layout does not. It is made by the example program `globals` out of the DWARF of
//! several kernels: a line `name: type`, sorted by name; where kernels differ, the types stand
//! side by side (`name: type | type`), newest first, and the first whose names exist is meant.

use crate::{
    ctype::parse_type,
    types::{Kind, TypeId, Types},
};

const TABLE: &str = include_str!("globals.txt");

/// The type of the global variable `name`: from the debug information if it tells, else from the
/// shipped table. `None` when neither knows it.
pub fn global_type(types: &Types, name: &str) -> Option<TypeId> {
    types.find(Kind::Variable, name).or_else(|| {
        find_line(TABLE, name)?.split('|').find_map(|alternative| parse_type(types, alternative))
    })
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
