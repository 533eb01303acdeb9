//! The skip classes: tables of names, loaded once.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

const TABLE: &str = include_str!("../tables/skip.txt");

/// A set of name patterns: parts, begins, ends, whole names.
#[derive(Debug)]
pub(crate) struct Names {
    parts: Option<AhoCorasick>,
    begins: Vec<&'static str>,
    ends: Vec<&'static str>,
    whole: HashSet<&'static str>,
}

impl Names {
    fn new(patterns: &[&'static str]) -> Names {
        let mut parts = Vec::new();
        let mut begins = Vec::new();
        let mut ends = Vec::new();
        let mut whole = HashSet::new();
        for pattern in patterns {
            match (pattern.strip_prefix('^'), pattern.strip_suffix('$')) {
                (Some(begin), Some(_)) => {
                    whole.insert(begin.strip_suffix('$').unwrap_or(begin));
                }
                (Some(begin), None) => begins.push(begin),
                (None, Some(end)) => ends.push(end),
                (None, None) => parts.push(*pattern),
            }
        }
        Names { parts: AhoCorasick::new(parts).ok(), begins, ends, whole }
    }

    /// Does a function's name match one of the patterns?
    pub(crate) fn contains(&self, function: &str) -> bool {
        self.whole.contains(function)
            || self.begins.iter().any(|begin| function.starts_with(begin))
            || self.ends.iter().any(|end| function.ends_with(end))
            || self.parts.as_ref().is_some_and(|parts| parts.is_match(function))
    }
}

struct Tables {
    always: Names,
    classes: HashMap<&'static str, Names>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut always = Vec::new();
    let mut classes: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut class = "";
    let mut everywhere = false;
    for line in TABLE.lines() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            let mut words = head.split(' ');
            class = words.next().unwrap_or_default();
            everywhere = words.next() == Some("always");
            continue;
        }
        if everywhere {
            always.push(line);
        }
        if !everywhere {
            classes.entry(class).or_default().push(line);
        }
    }
    Tables {
        always: Names::new(&always),
        classes: classes
            .into_iter()
            .map(|(class, patterns)| (class, Names::new(&patterns)))
            .collect(),
    }
});

/// Is the function never to blame, by the classes that always apply or by
/// one of `more`?
pub(crate) fn is_generic(function: &str, more: &[&str]) -> bool {
    TABLES.always.contains(function) || more.iter().any(|class| in_class(function, class))
}

/// Does the function stand in a class that some rules add?
pub(crate) fn in_class(function: &str, class: &str) -> bool {
    TABLES.classes.get(class).is_some_and(|names| names.contains(function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::rules::{Frame, HEADERS};

    #[test]
    fn classes_asked_for_exist() {
        let frames = HEADERS
            .iter()
            .copied()
            .flatten()
            .flat_map(|header| header.rules)
            .flat_map(|rule| [rule.frame, rule.origin])
            .flatten();
        for Frame { skip, .. } in frames {
            for class in skip {
                assert!(TABLES.classes.contains_key(class), "no class {class}");
            }
        }
    }

    #[test]
    fn anchors() {
        assert!(is_generic("__kasan_report", &[]));
        assert!(is_generic("complete", &[]));
        assert!(!is_generic("complete_ring_exit", &[]));
        assert!(!is_generic("schedule_timeout_x", &[]));
        assert!(is_generic("schedule", &["schedule"]));
        assert!(!is_generic("snd_seq_queue_alloc", &[]));
    }
}
