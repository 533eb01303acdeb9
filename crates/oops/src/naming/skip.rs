//! The skip classes: tables of names, loaded once.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

const TABLE: &str = include_str!("../tables/skip.txt");

/// The words that begin other words: where names are taken whole, what follows them must be of
/// this list or of their own kind.
const PREFIXES: &[&str] = &[
    "", "raw_", "do_raw_", "native_", "arch_", "queued_", "pv_", "x86_", "rt_", "ww_", "percpu_",
    "asm_", "do_", "sys_", "fast_", "slow_", "generic_", "nested_", "memcg_", "inline_",
];

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

    /// Does a function's name begin with one of the patterns, as a word of its own?
    fn contains_whole(&self, function: &str) -> bool {
        let bare = function.trim_start_matches('_');
        self.whole.contains(function)
            || self.begins.iter().any(|begin| function.starts_with(begin))
            || self.ends.iter().any(|end| function.ends_with(end))
            || self.parts.as_ref().is_some_and(|parts| {
                parts.find_overlapping_iter(function).any(|found| {
                    let start = function[..found.start()].trim_start_matches('_');
                    let before = if found.start() == 0 { "" } else { start };
                    let ends = function.as_bytes().get(found.end()).is_none_or(|next| {
                        *next == b'_'
                            || next.is_ascii_digit()
                            || function[..found.end()].ends_with('_')
                    });
                    PREFIXES.contains(&before) && ends && !bare.is_empty()
                })
            })
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
    anywhere: Names,
    classes: HashMap<&'static str, Names>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut always = Vec::new();
    let mut anywhere = Vec::new();
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
        // the well-known style finds such a word in any name, plain titles in none
        if let Some(word) = line.strip_prefix('~') {
            anywhere.push(word);
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
        anywhere: Names::new(&anywhere),
        classes: classes
            .into_iter()
            .map(|(class, patterns)| (class, Names::new(&patterns)))
            .collect(),
    }
});

/// Is the function never to blame, by the classes that always apply or by
/// one of `more`?
pub(crate) fn is_generic(function: &str, more: &[&str]) -> bool {
    TABLES.always.contains(function)
        || TABLES.anywhere.contains(function)
        || more.iter().any(|class| in_class(function, class))
}

/// Is the function never to blame, its name taken whole?
pub(crate) fn is_generic_whole(function: &str) -> bool {
    TABLES.always.contains_whole(function)
}

/// Classes of functions that only carry out what others asked for, wherever control is.
const CARRIERS: [&str; 3] = ["schedule", "work-runner", "hang"];

/// Is the function one that only carries out what its caller asked for, or reports it: of a stack,
/// the first that is not is to blame. Names are taken whole.
pub fn carries_out(function: &str) -> bool {
    // The compiler's parts of a function are the function.
    let bare = [".isra.", ".part.", ".constprop.", ".cold", ".llvm."]
        .iter()
        .fold(function, |name, part| name.find(part).map_or(name, |at| &name[..at]));
    is_generic_whole(bare)
        || CARRIERS
            .iter()
            .any(|class| TABLES.classes.get(class).is_some_and(|names| names.contains_whole(bare)))
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
