//! Rejoining rows that a terminal or a mail program has broken at a fixed
//! width.

use super::rows::Row;

/// Widths that terminals have: few broken rows suffice to believe in them, the
/// fewest for the first two.
const COMMON: [usize; 6] = [80, 132, 100, 120, 128, 160];

/// Longest line put together again, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// Gathers what a sample tells about a break at a fixed width.
#[derive(Debug, Default)]
pub(super) struct Ruler {
    /// Widest row, in characters.
    widest: usize,
    /// Rows that can be the rest of a row as wide as the widest.
    rests: usize,
    /// Rows behind one as wide as the widest that begin like a line.
    fresh: usize,
    /// Rows behind one as wide as the widest that begin with a prefix.
    records: usize,
    /// Rows without prefix behind a narrower row.
    strays: usize,
    previous_width: usize,
    rows: usize,
    starts: usize,
}

impl Ruler {
    /// Counts a row. `starts` tells whether it begins with a prefix.
    pub(super) fn measure(&mut self, row: &str, starts: bool) {
        let width = width_of(row);
        if !starts && goes_on(row) {
            match self.previous_width == self.widest {
                true if !begins_anew(row) => self.rests += 1,
                full => {
                    self.fresh += usize::from(full);
                    self.strays += 1;
                }
            }
        }
        self.records += usize::from(starts && self.previous_width == self.widest);
        if width > self.widest {
            self.widest = width;
            self.strays += self.rests;
            self.rests = 0;
            self.fresh = 0;
            self.records = 0;
        }
        self.previous_width = width;
        self.rows += 1;
        self.starts += usize::from(starts);
    }

    /// The width at which rows were broken, and whether most lines of the
    /// capture begin with a prefix.
    pub(super) fn width(&self) -> Option<Wrap> {
        let stamped = self.starts * 4 >= self.rows && self.starts > 0;
        let common = COMMON.contains(&self.widest);
        // In a capture with prefixes nearly all that has none is a rest.
        let believed = match (stamped, common) {
            // programs that print past the kernel make strays, but no row of the full width that
            // always has a rest
            (true, true) if self.rests > 0 && self.rests >= self.records * 4 => true,
            (true, true) => self.rests > 0 && self.strays <= self.rests * 8,
            (true, false) => self.rests >= 3 && self.strays <= self.rests,
            (false, true) => {
                let first_two = COMMON[..2].contains(&self.widest);
                self.rests >= if first_two { 1 } else { 2 } && self.rests > self.fresh
            }
            (false, false) => false,
        };
        (believed && self.widest >= 40).then_some(Wrap { width: self.widest, stamped })
    }
}

/// Can this row be the rest of a broken one? A rule of dashes cannot.
fn goes_on(row: &str) -> bool {
    !row.is_empty() && !is_rule(row)
}

fn is_rule(row: &str) -> bool {
    let row = row.trim_end();
    row.len() >= 20
        && row.bytes().all(|b| b == row.as_bytes()[0])
        && b"=-*".contains(&row.as_bytes()[0])
}

/// Rows are broken at `width` characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrap {
    width: usize,
    stamped: bool,
}

impl Wrap {
    /// Is `next` the rest of `broken`? `starts` tells whether `next` begins with
    /// a prefix.
    pub(super) fn continues(&self, broken: &Broken<'_>, next: &str, starts: bool) -> bool {
        let Broken { row, piece, starts: row_starts } = broken;
        let (piece, row_starts) = (*piece, *row_starts);
        // A rule can only be the rest of a rule that a prefix stands before.
        let rule_goes_on = is_rule(next) && row_starts && row.text.ends_with(&next[..1]);
        if starts || !(goes_on(next) || rule_goes_on) || row.text.len() + next.len() > MAX_LINE {
            return false;
        }
        // A blank at the break may have been trimmed away.
        let trimmed = self.stamped && row_starts && piece + 1 == self.width;
        if !(piece == self.width || trimmed) || is_rule(&row.text) {
            return false;
        }
        (self.stamped && row_starts) || !(begins_anew(next) || ends_frame(&row.text))
    }

    /// Appends `next` to `broken`.
    pub(super) fn join(&self, broken: &mut Broken<'_>, next: &str) {
        let text = broken.row.text.to_mut();
        if broken.piece < self.width {
            text.push(' ');
        }
        text.push_str(next);
        broken.piece = width_of(next);
    }
}

/// A row that may go on in the next.
#[derive(Debug)]
pub(super) struct Broken<'a> {
    pub(super) row: Row<'a>,
    /// Width of its last piece, in characters.
    piece: usize,
    /// Does it begin with a prefix?
    starts: bool,
}

impl<'a> Broken<'a> {
    /// The first piece of a row.
    pub(super) fn new(row: Row<'a>, starts: bool) -> Self {
        Broken { piece: width_of(&row.text), row, starts }
    }
}

/// Without prefixes, a row that begins like a line of a report is one.
fn begins_anew(row: &str) -> bool {
    const HEADS: [&str; 8] = [
        "Modules linked in",
        "Hardware name:",
        "Kernel panic",
        "---[ end",
        "------------[",
        " <",
        "[<",
        "caller is ",
    ];
    let body = row.trim_start();
    let word = body.split(' ').next().unwrap_or_default();
    // `RIP:`, `Call Trace:`, `VFS:`, `R13:`, `r7:be7e10c0`
    let label = word.len() > 2
        && word.ends_with(':')
        && word.starts_with(|c: char| c.is_ascii_alphabetic());
    let register = matches!(body.as_bytes(), [b'r', _, b':', ..] | [b'r', _, _, b':', ..]);
    let trace = body.starts_with("Call ");
    let frame = row.starts_with(' ')
        && body.split_once("+0x").is_some_and(|(name, rest)| {
            !name.contains("+0x") && rest.contains("/0x") && rest.len() < 40
        });
    label || register || trace || frame || HEADS.iter().any(|head| row.starts_with(head))
}

/// Is the row a whole frame of an arm trace, `(f) from (g+0x1/0x2)`?
fn ends_frame(row: &str) -> bool {
    row.ends_with(')') && row.contains("/0x")
}

fn width_of(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn break_at(width: usize, lines: &[&str]) -> Vec<String> {
        let cut = |line: &&str| -> Vec<String> {
            let letters: Vec<char> = line.chars().collect();
            letters.chunks(width).map(|piece| piece.iter().collect()).collect()
        };
        lines.iter().flat_map(cut).collect()
    }

    fn rejoin(rows: &[String]) -> Vec<String> {
        let starts = |row: &str| row.starts_with('[');
        let mut ruler = Ruler::default();
        rows.iter().for_each(|row| ruler.measure(row, starts(row)));
        let Some(wrap) = ruler.width() else {
            return rows.to_vec();
        };
        let mut out: Vec<Broken<'static>> = Vec::new();
        for text in rows {
            let next = Row { text: Cow::Owned(text.clone()), number: 1, offset: 0 };
            match out.last_mut() {
                Some(broken) if wrap.continues(broken, text, starts(text)) => {
                    wrap.join(broken, text);
                }
                _ => out.push(Broken::new(next, starts(text))),
            }
        }
        out.into_iter().map(|broken| broken.row.text.into_owned()).collect()
    }

    #[test]
    fn rows_broken_at_80_come_together() {
        let lines = [
            "[   55.468844] BUG: KASAN: use-after-free in consume_skb+0x39f/0x530 at addr ffff8801cbeda574",
            "[   55.484627] Read of size 4 by task syz-executor2/4676",
            "[   55.490296] Hardware name: Google Google Compute Engine/Google Compute Engine, BIOS Google 01/01/2011",
            "[   55.484627] Call Trace:",
            "[   55.484627]  dump_stack+0x194/0x257",
        ];
        assert_eq!(rejoin(&break_at(80, &lines)), lines);
    }

    #[test]
    fn rows_that_were_never_broken_stay() {
        let lines = [
            "[   55.468844] a line of some length that ends where it ends",
            "a line from elsewhere",
            "[   55.484627] Call Trace:",
        ]
        .map(String::from);
        assert_eq!(rejoin(&lines), lines);
    }
}
