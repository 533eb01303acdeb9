//! Names one typing error away from a word that names nothing.

/// The name that is one insertion, deletion, replacement or swap of neighbours away.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fits = |name: &&str| name.len() > 1 && word.len() > 1;
    let mut names = names.into_iter().filter(fits);
    names.find(|name| one_edit_apart(word.as_bytes(), name.as_bytes()))
}

/// ` (did you mean task_struct?)`, or nothing.
pub(crate) fn hint<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, names).map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// Whether one insertion, deletion, replacement or swap of neighbours makes `a` into `b`.
fn one_edit_apart(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let (short, long) = (&short[same..], &long[same..]);
    match long.len() - short.len() {
        0 => {
            short.get(1..) == long.get(1..)
                || (short.len() > 1
                    && short[0] == long[1]
                    && short[1] == long[0]
                    && short[2..] == long[2..])
        }
        1 => short == &long[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_forgiven() {
        let names = ["task_struct", "mm_struct", "p"];
        for word in ["task_strct", "task_struuct", "tsak_struct", "tazk_struct"] {
            assert_eq!(nearest(word, names), Some("task_struct"), "{word}");
        }
        assert_eq!(nearest("taskstrct", names), None);
        assert_eq!(nearest("x", names), None, "one letter is like any other");
        assert_eq!(hint("mm_strucct", names), " (did you mean mm_struct?)");
    }
}
