//! Which kernel speaks: systems other than Linux, told by their own words.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::line::Line;
use crate::naming::rules::{Header, foreign};

/// A system other than Linux.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    /// As people write it.
    pub(crate) label: &'static str,
    /// Any of these in the log and it is this system's.
    pub(crate) marks: &'static [&'static str],
    pub(crate) headers: &'static [Header],
    /// Its log breaks longer messages into pieces of so many bytes.
    pub(crate) line_bytes: Option<usize>,
}

impl System {
    /// The system that printed the lines; none for Linux.
    pub(crate) fn of(lines: &[Line<'_>]) -> Option<&'static System> {
        let found = foreign::SYSTEMS.iter().find(|system| {
            lines.iter().any(|line| system.marks.iter().any(|mark| line.text.contains(mark)))
        });
        // a guest's or a test program's words can stand in a Linux log
        found.filter(|_| !lines.iter().any(|line| is_linux(&line.text)))
    }

    /// Signs of these systems' crashes in raw text.
    pub(crate) fn signs() -> impl Iterator<Item = &'static str> {
        foreign::SYSTEMS.iter().flat_map(|system| system.headers).map(|header| header.text)
    }
}

/// Does only Linux write such lines?
fn is_linux(line: &str) -> bool {
    const WORDS: &[&str] = &[
        "Linux version ",
        "Modules linked in:",
        "Kernel panic - not syncing",
        "nable to handle kernel ",
        "INFO: task ",
        "WARNING: CPU: ",
        "WARNING: at ",
        "EIP is at ",
        "kernel BUG at ",
    ];
    static ANY: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(WORDS).ok());
    ANY.as_ref().is_some_and(|words| words.is_match(line))
        || line.contains("PID: ") && line.contains(" Comm: ")
        || line.contains("Pid: ") && line.contains(", comm: ")
}
