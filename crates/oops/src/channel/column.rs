//! Learning an unknown collector's column: if nearly all rows with a printk
//! time have text of one shape before it, that text is no message.

use std::collections::HashMap;

use super::{calendar, printk};

/// The shape of a column: runs of letters and digits, runs of blanks, and
/// punctuation as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Column {
    shape: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Letters and digits.
    Word,
    Blanks,
    Mark(char),
}

/// Longest column, in bytes.
const WIDEST: usize = 96;

/// Rows that must agree before a column is believed.
const FEWEST_ROWS: usize = 2;

impl Column {
    fn of(text: &str) -> Column {
        let mut shape = Vec::new();
        for c in text.chars() {
            let part = part_of(c);
            if shape.last() != Some(&part) || matches!(part, Part::Mark(_)) {
                shape.push(part);
            }
        }
        Column { shape }
    }

    /// Takes the column off a row: its length, and the words in it that can
    /// name an origin.
    pub(super) fn strip(&self, row: &str) -> Option<(usize, Option<String>)> {
        let mut rest = row;
        let mut words: Vec<&str> = Vec::new();
        for (index, part) in self.shape.iter().enumerate() {
            let length = match part {
                Part::Mark(mark) => {
                    if !rest.starts_with(*mark) {
                        return None;
                    }
                    mark.len_utf8()
                }
                // The last blank belongs to the column, more to the message.
                Part::Blanks
                    if index + 1 == self.shape.len()
                        && printk::stamp(rest.trim_start()).is_none() =>
                {
                    usize::from(rest.starts_with([' ', '\t']))
                }
                _ => rest.find(|c| part_of(c) != *part).unwrap_or(rest.len()),
            };
            if length == 0 {
                return None;
            }
            let (piece, tail) = rest.split_at(length);
            if *part == Part::Word
                && piece.starts_with(|c: char| c.is_ascii_alphabetic())
                && !calendar::is_date_word(piece)
            {
                words.push(piece);
            }
            rest = tail;
        }
        let origin = (!words.is_empty()).then(|| words.join(" "));
        Some((row.len() - rest.len(), origin))
    }
}

pub(super) fn part_of(c: char) -> Part {
    match c {
        ' ' | '\t' => Part::Blanks,
        // letters of scripts whose vowels are marks of their own
        c if c.is_alphanumeric() || !c.is_ascii() && !"•·›»│┃→‣◦▪–—…".contains(c) => {
            Part::Word
        }
        c => Part::Mark(c),
    }
}

/// Counts shapes over a sample.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    shapes: HashMap<Column, usize>,
    stamped: usize,
    rows: usize,
    /// What all rows begin with, where none has a time.
    common: Option<Vec<Part>>,
}

/// Rows without a time that must agree on a column.
const FEWEST_BARE_ROWS: usize = 6;

impl Ballot {
    /// Counts a row that no grammar has recognised, or that begins with a time.
    pub(super) fn count(&mut self, row: &str) {
        self.rows += 1;
        self.agree(row);
        let Some(at) = find_stamp(row, 0) else { return };
        self.stamped += 1;
        let before = &row[..at];
        if at == 0 || at > WIDEST || before.trim().is_empty() || before.ends_with("login: ") {
            return;
        }
        // A level belongs to printk, not to the column.
        let before = match before.ends_with('>') {
            true => before.rfind('<').map_or(before, |open| &before[..open]),
            false => before,
        };
        if self.shapes.len() < 256 {
            *self.shapes.entry(Column::of(before)).or_default() += 1;
        }
    }

    /// Counts a row whose prefixes a grammar knows, time included.
    pub(super) fn known(&mut self) {
        self.rows += 1;
        self.stamped += 1;
    }

    /// Cuts what all rows have in common down to what this row has of it.
    fn agree(&mut self, row: &str) {
        let end = row.char_indices().nth(WIDEST).map_or(row.len(), |(at, _)| at);
        let shape = Column::of(&row[..end]).shape;
        let common = self.common.get_or_insert_with(|| shape.clone());
        let same = common.iter().zip(&shape).take_while(|(a, b)| a == b).count();
        // A row may be empty but for the column, its last blank trimmed.
        if same < shape.len() {
            common.truncate(same);
        }
    }

    /// What all rows begin with, up to its last blank, if that has a mark of a
    /// column in it: `|`, `#` or `>`.
    fn bare(self) -> Option<Column> {
        let mut shape = self.common?;
        let end = shape.iter().rposition(|part| *part == Part::Blanks)? + 1;
        shape.truncate(end);
        // `#3  f+0x1/0x2` of a debugger is numbered, not marked
        if let [Part::Mark('#'), Part::Word, ..] = shape.as_slice() {
            return None;
        }
        let marked = shape.windows(2).any(|pair| {
            matches!(pair, [Part::Mark('|' | '#'), _] | [Part::Mark('>'), Part::Blanks])
        });
        (self.rows >= FEWEST_BARE_ROWS && marked).then_some(Column { shape })
    }

    /// The shape of at least 80 % of the rows that have a time.
    pub(super) fn winner(self) -> Option<Column> {
        if self.stamped == 0 {
            return self.bare();
        }
        let (column, votes) = self.shapes.into_iter().max_by_key(|(_, votes)| *votes)?;
        (votes >= FEWEST_ROWS && votes * 5 >= self.stamped * 4 && !column.shape.is_empty())
            .then_some(column)
    }
}

/// Where the next `[   12.345678]` at or behind `from` begins.
pub(super) fn find_stamp(text: &str, from: usize) -> Option<usize> {
    memchr::memchr_iter(b'[', text.as_bytes().get(from..).unwrap_or_default())
        .map(|at| from + at)
        .find(|&at| printk::plain_stamp(&text[at..]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(rows: &[&str]) -> Option<Column> {
        let mut ballot = Ballot::default();
        rows.iter().for_each(|row| ballot.count(row));
        ballot.winner()
    }

    #[test]
    fn a_column_of_most_rows() {
        let rows = [
            "ttyS0 | 00:01 # [    1.000000] a",
            "ttyS0 | 00:01 # [    1.000001] b",
            "ttyS0 | 00:02 # [    1.000002] c",
            "ttyS0 | 00:02 # [    1.000003] d",
        ];
        let column = learn(&rows).unwrap();
        assert_eq!(column.strip(rows[3]), Some((16, Some("ttyS0".into()))));
        // A row without a time loses the column as well, but not its blanks.
        assert_eq!(column.strip("ttyS0 | 00:02 #  dump_stack+0x1/0x2").unwrap().0, 16);
        assert_eq!(column.strip("BUG: x"), None);
    }

    #[test]
    fn a_column_before_bare_rows() {
        let rows =
            ["# BUG: x", "# Call Trace:", "#  a+0x1/0x2", "#  b+0x1/0x2", "# RIP: 0010:c", "#  d"];
        assert_eq!(learn(&rows).unwrap().strip(rows[2]), Some((2, None)));
        assert_eq!(learn(&[" [<ffffffff81844c6b>] a+0x1/0x2"; 8]), None);
    }

    #[test]
    fn glued_records_are_no_column() {
        assert_eq!(
            learn(&[
                "[    1.000000] a",
                "[    1.000001] b",
                "[    1.000002] ffff8801a32576d8[    1.000003] binder: x",
                "syzkaller login: [    1.000004] c",
            ]),
            None
        );
    }
}
