//! The type name that the well-known style gives to a title.

/// Title prefixes and their types; the longest prefix that fits decides.
const TABLE: &str = include_str!("../tables/types.txt");

/// The type of a title in the well-known style; none where that style has
/// no type for it.
pub fn type_of(title: &str) -> Option<&'static str> {
    let mut best: Option<(&str, &str)> = None;
    for line in TABLE.lines() {
        let Some((kind, prefix)) = line.split_once(" | ") else {
            continue;
        };
        if title.starts_with(prefix) && best.is_none_or(|(longest, _)| prefix.len() > longest.len())
        {
            best = Some((prefix, kind));
        }
    }
    best.map(|(_, kind)| kind).filter(|kind| *kind != "-")
}
