//! Cutting a capture into rows: what stands between two line ends, with the
//! terminal's control sequences taken out.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Longest row handed on in one piece, in bytes. A longer one is cut, so that
/// a capture without line ends costs no more memory than one with them.
pub(super) const MAX_ROW: usize = 64 * 1024;

/// What stands between two line ends.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    /// The row without its line end and without control sequences.
    pub(super) text: Cow<'a, str>,
    /// Number of the line in the input, from 1.
    pub(super) number: usize,
    /// Offset of the row in the input, in bytes.
    pub(super) offset: u64,
}

impl Row<'_> {
    /// The same row, owning its text.
    pub(super) fn into_owned(self) -> Row<'static> {
        Row { text: Cow::Owned(self.text.into_owned()), number: self.number, offset: self.offset }
    }
}

/// The rows of a piece of input.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    rest: &'a [u8],
    /// Number of the line that `rest` begins in.
    pub(super) number: usize,
    /// Offset of `rest` in the input, in bytes.
    pub(super) offset: u64,
}

impl<'a> Rows<'a> {
    /// Rows of `input`, which begins at line `number` and byte `offset`.
    pub(super) fn new(input: &'a [u8], number: usize, offset: u64) -> Self {
        Rows { rest: input, number, offset }
    }

    /// Takes `length` bytes and `end` bytes of line end behind them.
    fn take(&mut self, length: usize, end: usize) -> (&'a [u8], usize, u64) {
        let (row, rest) = self.rest.split_at(length);
        let place = (row, self.number, self.offset);
        let end_bytes = &rest[..end];
        self.number += memchr::memchr_iter(b'\n', end_bytes).count();
        self.rest = &rest[end..];
        self.offset += (length + end) as u64;
        place
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        while !self.rest.is_empty() {
            let window = &self.rest[..self.rest.len().min(MAX_ROW)];
            let (length, end) = match memchr2(b'\n', b'\r', window) {
                None => (window.len(), 0),
                Some(at) => (at, line_end(&self.rest[at..])),
            };
            let bare_return = end > 0 && memchr(b'\n', &self.rest[length..length + end]).is_none();
            let (bytes, number, offset) = self.take(length, end);
            // A carriage return alone starts the row again; it makes no line.
            if bare_return && bytes.is_empty() {
                continue;
            }
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(bytes),
            };
            let text = terminal_text(text);
            let text = without_padding(text);
            // some terminal programs draw line ends
            let text = match text.ends_with(['\u{240a}', '\u{240d}']) {
                true => Cow::Owned(text.trim_end_matches(['\u{240a}', '\u{240d}']).to_owned()),
                false => text,
            };
            return Some(Row { text, number, offset });
        }
        None
    }
}

/// Blanks that no kernel prints so many of: a terminal has filled a broken row with them, within a
/// word or not.
const PADDING: &str = "                                                                ";

/// A row without what a terminal has filled it with.
fn without_padding(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= PADDING.len() + 2 || !text.contains(PADDING) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find(PADDING) {
        out.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(' ');
        // what leads a row is no padding
        if out.trim_end().is_empty() {
            return text;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Length of the line end that `bytes` begins with: `\r`* `\n`?.
fn line_end(bytes: &[u8]) -> usize {
    let returns = bytes.iter().take_while(|&&b| b == b'\r').count();
    returns + usize::from(bytes.get(returns) == Some(&b'\n'))
}

/// Text as a terminal would have shown it: escape sequences, backspaces and
/// other control characters applied or dropped. Tabs stay.
pub(super) fn terminal_text(text: Cow<'_, str>) -> Cow<'_, str> {
    let controls = |b: &u8| (*b < 0x20 && *b != b'\t') || *b == 0x7f;
    let has_caret = memchr(b'^', text.as_bytes())
        .is_some_and(|at| text[at + 1..].starts_with('[') || text.ends_with("^M"));
    // No early end: so the loop becomes vector instructions.
    let has_controls = text.as_bytes().iter().fold(false, |found, b| found | controls(b));
    if !has_caret && !has_controls {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        // `cat -v` and some loggers spell the escape character out.
        if c == '\u{1b}' || (rest.starts_with("^[[") && caret_sequence(rest)) {
            let skipped = if c == '\u{1b}' { 1 } else { 2 };
            rest = &rest[skipped..];
            rest = &rest[escape_length(rest)..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\u{8}' => drop(out.pop()),
            '^' if rest == "M" => break,
            c if c.is_ascii() && controls(&(c as u8)) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Does `rest`, which begins with `^[[`, go on as a whole colour sequence?
fn caret_sequence(rest: &str) -> bool {
    let tail = rest[3..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
    tail.starts_with(['m', 'K', 'H', 'J'])
}

/// Length of an escape sequence, its first character already taken, in bytes.
fn escape_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes.first() {
        Some(b'[') => {
            let body = bytes[1..].iter().take_while(|b| (0x20..0x40).contains(*b)).count();
            let last = bytes.get(1 + body).is_some_and(|b| (0x40..0x7f).contains(b));
            1 + body + usize::from(last)
        }
        Some(b']') => {
            let body = &bytes[..bytes.len().min(512)];
            match memchr2(0x07, 0x1b, body) {
                Some(at) if body[at] == 0x07 => at + 1,
                Some(at) if body.get(at + 1) == Some(&b'\\') => at + 2,
                _ => 1,
            }
        }
        Some(b'(' | b')' | b'#' | b'%') => {
            (1 + usize::from(rest.len() > 1 && bytes[1].is_ascii())).min(rest.len())
        }
        Some(b) if b.is_ascii() && *b >= 0x20 => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(input: &[u8]) -> Vec<(String, usize, u64)> {
        Rows::new(input, 1, 0).map(|r| (r.text.into_owned(), r.number, r.offset)).collect()
    }

    #[test]
    fn every_kind_of_line_end() {
        assert_eq!(
            rows(b"a\nb\r\nc\r\r\n\nd"),
            [
                ("a".into(), 1, 0),
                ("b".into(), 2, 2),
                ("c".into(), 3, 5),
                (String::new(), 4, 9),
                ("d".into(), 5, 10),
            ]
        );
    }

    #[test]
    fn a_bare_return_splits_without_counting() {
        assert_eq!(
            rows(b"login: \r[ 1.0] x\ny"),
            [("login: ".into(), 1, 0), ("[ 1.0] x".into(), 1, 8), ("y".into(), 2, 17),]
        );
    }

    #[test]
    fn terminal_sequences_vanish() {
        let shown = |s: &str| terminal_text(Cow::Borrowed(s)).into_owned();
        assert_eq!(shown("\u{1b}c\u{1b}[?7l\u{1b}[2J\u{1b}[0mSeaBIOS"), "SeaBIOS");
        assert_eq!(shown("\u{1b}[1;31mBUG\u{1b}[0m: x\0"), "BUG: x");
        assert_eq!(shown("\u{1b}]0;title\u{7}BUG"), "BUG");
        assert_eq!(shown("ab\u{8}c"), "ac");
        assert_eq!(shown("^[[1mBUG^[[0m^M"), "BUG");
        assert_eq!(shown("\u{1b}[12"), "");
        assert_eq!(shown("\u{1b}(ü"), "ü");
        assert_eq!(shown("a^b"), "a^b");
    }

    #[test]
    fn a_row_without_end_is_cut() {
        let long = vec![b'x'; 3 * MAX_ROW + 5];
        let cut: Vec<usize> = Rows::new(&long, 1, 0).map(|r| r.text.len()).collect();
        assert_eq!(cut, [MAX_ROW, MAX_ROW, MAX_ROW, 5]);
    }
}
