//! Taking out of a title what differs between two sightings of one bug.

use std::sync::LazyLock;

use regex::Regex;

use super::pattern::compile;

/// Longest title, in characters.
const LONGEST: usize = 120;

static STEPS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // process names of the well-known fuzzer
        (r"syzkaller[0-9]+((?:/|:)[0-9]+)?", "syzkaller"),
        (r"syz-executor\.?[0-9]+((?:/|:)[0-9]+)?", "syz-executor"),
        (r"syz\.[0-9]+\.[0-9]+((?:/|:)[0-9]+)?", "syz"),
        (r"([^a-zA-Z0-9])(?:0x)?[0-9a-f]{6,}", "${1}ADDR"),
        (r"^(?:0x)[0-9a-f]{6,}", "ADDR"),
        (r"([^a-zA-Z0-9])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", "${1}IP"),
        (r"([a-zA-Z0-9_\-./]+\.[a-zA-Z]+):[0-9]+(?::[0-9]+)?", "${1}:LINE"),
        (r"([a-zA-Z][a-zA-Z0-9_.]+)\+0x[0-9a-z]+/0x[0-9a-z]+", "${1}"),
        (r"CPU#[0-9]+", "CPU"),
        (r"([^a-zA-Z0-9])(?:0x)?[0-9]+([^a-zA-Z0-9]|$)", "${1}NUM${2}"),
        (r"[0-9]{7,}", "NUM"),
    ]
    .into_iter()
    .map(|(pattern, with)| (compile(pattern), with))
    .collect()
});

/// The title with numbers, addresses and names of the day replaced.
pub(crate) fn sanitize(title: &str) -> String {
    let mut title = title.trim().to_owned();
    for (pattern, with) in STEPS.iter() {
        // a replacement can make room for the next: repeat until stable,
        // bounded by the title's length
        for _ in 0..title.len() {
            let next = pattern.replace_all(&title, *with);
            if next == title {
                break;
            }
            title = next.into_owned();
        }
    }
    let mut clean = String::with_capacity(title.len());
    for char in title.chars() {
        let char = if char == '\t' { ' ' } else { char };
        if (char == ' ' && clean.ends_with(' ')) || !(' '..='~').contains(&char) {
            continue;
        }
        clean.push(char);
    }
    clean.truncate(LONGEST);
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn numbers_and_addresses() {
        for (raw, clean) in [
            ("at 0xffffffff81000000 in foo", "at ADDR in foo"),
            ("foo.c:123 bar", "foo.c:LINE bar"),
            ("in foo+0x12/0x40", "in foo"),
            ("on CPU#3 of 12", "on CPU of NUM"),
            ("host 10.0.0.1 gone", "host IP gone"),
            ("a\tb  c", "a b c"),
            ("syz-executor4/1234 blocked", "syz-executor blocked"),
            ("(errno 12)", "(errno NUM)"),
        ] {
            assert_eq!(sanitize(raw), clean, "{raw}");
        }
    }

    #[test]
    fn bounded() {
        assert_eq!(sanitize(&"x".repeat(500)).len(), 120);
    }
}
