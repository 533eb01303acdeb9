//! Learning what a collector puts before messages from the messages themselves: what stands before
//! `Call Trace:`, `RIP:`, `Code:` and their like on rows of one shape is no part of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::column::{Part, part_of};

/// Texts that only begin messages of the kernel.
const ANCHORS: &[&str] = &[
    "Call Trace:",
    "Call trace:",
    "Code: ",
    "RIP: 0010:",
    "RIP: 0010",
    "RSP: 0018:",
    "RAX: ",
    "RDX: ",
    "RBP: ",
    "R10: ",
    "R13: ",
    "FS:  ",
    "CS:  0010",
    "CR2: ",
    "EIP: ",
    "EAX: ",
    "ESI: ",
    "#PF: ",
    "PGD ",
    "BUG: ",
    "WARNING: ",
    "INFO: task ",
    "Oops: ",
    "kernel BUG at ",
    "general protection fault",
    "Unable to handle kernel ",
    "Internal error: ",
    "Mem abort info:",
    "Data abort info:",
    "Kernel panic - not syncing",
    "CPU: ",
    "Hardware name: ",
    "Workqueue: ",
    "Modules linked in:",
    "Tainted: [",
    "pstate: ",
    "pc : ",
    "lr : ",
    "sp : ",
    "x29: ",
    "x26: ",
    "x23: ",
    "x20: ",
    "x17: ",
    "x14: ",
    "x11: ",
    "PC is at ",
    "LR is at ",
    "NIP:  ",
    "GPR00: ",
    "Krnl PSW : ",
    "Krnl GPRS: ",
    "---[ end trace",
    "------------[ cut here",
    "=====================",
    "Read of size ",
    "Write of size ",
    "Allocated by task ",
    "Freed by task ",
    "The buggy address belongs",
    "Kernel Offset: ",
    "epc : ",
    "status: 0",
    "TSTATE: ",
    "TPC: <",
    "g0: ",
    "g4: ",
    "o0: ",
    "o4: ",
    "l0: ",
    "l4: ",
    "i0: ",
    "i4: ",
    "RPC: <",
    "I7: <",
    "Cause : ",
    "epc   : ",
    "$ 0   : ",
    "$ 4   : ",
    "$12   : ",
];

static FIND: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(ANCHORS).ok()
});

/// Widest text learned, in bytes.
const WIDEST: usize = 160;

/// Rows of one shape that must agree.
const FEWEST_ROWS: usize = 2;

/// Shapes told apart.
const MAX_SHAPES: usize = 128;

/// The text before messages: its shape, and what its words have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inner {
    parts: Vec<Piece>,
    /// Blanks at the end: more belong to the message.
    blanks: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Mark(char),
    Blanks,
    Word(Kind),
}

/// What the words of one place have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Always the same.
    Same(String),
    /// Digits and nothing else.
    Digits,
    /// The same letters, then digits: `c2`, `T1234`.
    Numbered(String),
    /// Anything.
    Any,
}

impl Kind {
    fn of(word: &str) -> Kind {
        Kind::Same(word.to_owned())
    }

    /// What a kind and one more word have in common.
    fn with(self, word: &str) -> Kind {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
        match self {
            Kind::Same(same) if same == word => Kind::Same(same),
            Kind::Same(same) if digits(&same) && digits(word) => Kind::Digits,
            Kind::Same(same)
                if !letters.is_empty()
                    && letters.len() < word.len()
                    && same.trim_end_matches(|c: char| c.is_ascii_digit()) == letters =>
            {
                Kind::Numbered(letters.to_owned())
            }
            Kind::Digits if digits(word) => Kind::Digits,
            Kind::Numbered(same) if same == letters && letters.len() < word.len() => {
                Kind::Numbered(same)
            }
            _ => Kind::Any,
        }
    }

    fn fits(&self, word: &str) -> bool {
        match self {
            Kind::Same(same) => same == word,
            Kind::Digits => word.bytes().all(|b| b.is_ascii_digit()),
            Kind::Numbered(letters) => word
                .strip_prefix(letters.as_str())
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())),
            Kind::Any => true,
        }
    }
}

/// The runs of a text.
fn runs(text: &str) -> Vec<(Part, &str)> {
    let mut runs: Vec<(Part, &str)> = Vec::new();
    let mut start = 0;
    let mut current: Option<Part> = None;
    for (at, c) in text.char_indices() {
        let part = part_of(c);
        if let Some(last) = current
            && (last != part || matches!(part, Part::Mark(_)))
        {
            runs.push((last, &text[start..at]));
            start = at;
        }
        current = Some(part);
    }
    runs.extend(current.map(|part| (part, &text[start..])));
    runs
}

impl Inner {
    /// A number that was always the same on few rows need not be on the others: it may be a time's.
    fn with_any_number(mut self) -> Inner {
        for piece in &mut self.parts {
            if let Piece::Word(kind @ Kind::Same(_)) = piece
                && let Kind::Same(word) = &*kind
                && word.bytes().all(|byte| byte.is_ascii_digit())
            {
                *kind = Kind::Digits;
            }
        }
        self
    }

    /// How much of a row it takes, in bytes.
    pub(super) fn strip(&self, row: &str) -> Option<usize> {
        let mut rest = row;
        for (index, piece) in self.parts.iter().enumerate() {
            let last = index + 1 == self.parts.len();
            let length = match piece {
                Piece::Mark(mark) => rest.starts_with(*mark).then(|| mark.len_utf8())?,
                Piece::Blanks if last => {
                    let there = rest.len() - rest.trim_start_matches([' ', '\t']).len();
                    // an empty message has lost the blanks before it
                    if there == 0 && !rest.is_empty() {
                        return None;
                    }
                    there.min(self.blanks)
                }
                Piece::Blanks => {
                    let there = rest.len() - rest.trim_start_matches([' ', '\t']).len();
                    (there > 0).then_some(there)?
                }
                Piece::Word(kind) => {
                    let end = rest.find(|c| part_of(c) != Part::Word).unwrap_or(rest.len());
                    (end > 0 && kind.fits(&rest[..end])).then_some(end)?
                }
            };
            rest = &rest[length..];
        }
        Some(row.len() - rest.len())
    }
}

/// Counts what stands before anchors over a sample.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    shapes: HashMap<Vec<Part>, Seen>,
    anchored: usize,
}

/// What was seen of one shape.
#[derive(Debug)]
struct Seen {
    rows: usize,
    /// The anchor it was first seen before, and whether there was another: a driver names its
    /// device before each of its warnings, but not before the kernel's registers.
    anchor: usize,
    others: bool,
    inner: Inner,
}

impl Ballot {
    /// Counts a row, the prefixes that are known taken off.
    pub(super) fn count(&mut self, row: &str) {
        let Some(found) = FIND.as_ref().and_then(|find| find.find(row)) else { return };
        self.anchored += 1;
        let before = &row[..found.start()];
        if before.is_empty() || before.len() > WIDEST {
            return;
        }
        let runs = runs(before);
        let shape: Vec<Part> = runs.iter().map(|(part, _)| *part).collect();
        let blanks = before.len() - before.trim_end_matches([' ', '\t']).len();
        let room = self.shapes.len() < MAX_SHAPES;
        let anchor = found.pattern().as_usize();
        match self.shapes.get_mut(&shape) {
            Some(Seen { rows, anchor: first, others, inner }) => {
                *rows += 1;
                *others |= *first != anchor;
                inner.blanks = inner.blanks.min(blanks);
                for (piece, (_, word)) in inner.parts.iter_mut().zip(&runs) {
                    if let Piece::Word(kind) = piece {
                        *kind = std::mem::replace(kind, Kind::Any).with(word);
                    }
                }
            }
            None if room => {
                let parts = runs
                    .iter()
                    .map(|(part, text)| match part {
                        Part::Mark(mark) => Piece::Mark(*mark),
                        Part::Blanks => Piece::Blanks,
                        Part::Word => Piece::Word(Kind::of(text)),
                    })
                    .collect();
                let inner = Inner { parts, blanks };
                self.shapes.insert(shape, Seen { rows: 1, anchor, others: false, inner });
            }
            None => {}
        }
    }

    /// What most anchored rows have before the anchor.
    pub(super) fn winner(self) -> Option<Inner> {
        let anchored = self.anchored;
        let best = self.shapes.into_values().max_by_key(|seen| seen.rows)?;
        let believed = best.rows >= FEWEST_ROWS && best.others && best.rows * 5 >= anchored * 3;
        believed.then(|| best.inner.with_any_number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(rows: &[&str]) -> Option<Inner> {
        let mut ballot = Ballot::default();
        rows.iter().for_each(|row| ballot.count(row));
        ballot.winner()
    }

    #[test]
    fn what_stands_before_anchors() {
        let rows = ["c2 Call Trace:", "c2 RIP: 0010:f+0x1/0x2", "c0 Code: 00 11"];
        let inner = learn(&rows).unwrap();
        assert_eq!(inner.strip("c3  [<ffff>] f+0x1/0x2"), Some(3));
        assert_eq!(inner.strip("Modules linked in: a"), None);
        let rows =
            ["[Mi Nov 25 10:00:00 2026] Call Trace:", "[Do Nov 26 10:00:01 2026] RIP: 0010:f"];
        let inner = learn(&rows).unwrap();
        assert_eq!(inner.strip("[Do Nov 26 10:00:01 2026]  <TASK>"), Some(26));
        assert_eq!(inner.strip("[Do Nov 26 10:00:01 2026]"), Some(25));
    }

    #[test]
    fn messages_that_hold_an_anchor_are_left_alone() {
        assert_eq!(
            learn(&["watchdog: BUG: soft lockup", "Call Trace:", "RIP: 0010:f", "Code: 00"]),
            None
        );
        assert_eq!(learn(&["Call Trace:", "RIP: 0010:f"]), None);
    }
}
