//! Wall-clock dates as log collectors write them, turned into ns since the
//! epoch where they name a year.

use super::printk::all_digits;

/// A moment, where the date is complete, and the bytes it takes.
pub(super) type Moment = (Option<u64>, usize);

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Any date that `text` begins with.
pub(super) fn date(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'[' => {
            let (moment, used) = date(&text[1..]).filter(|(_, used)| *used >= 8)?;
            text[1 + used..].starts_with(']').then_some((moment, used + 2))
        }
        b'0'..=b'9' => iso_date(text)
            .or_else(|| slash_date(text))
            .or_else(|| logcat_date(text))
            .or_else(|| epoch(text))
            .or_else(|| bare_time(text)),
        b'A'..=b'Z' => month_date(text).or_else(|| weekday_date(text)),
        _ => None,
    }
}

/// Reads fields off the front of a text.
struct Cursor<'a> {
    rest: &'a str,
    length: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Cursor { rest: text, length: text.len() }
    }

    fn used(&self) -> usize {
        self.length - self.rest.len()
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u64> {
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return None;
        }
        let (value, rest) = self.rest.split_at(digits);
        self.rest = rest;
        value.parse().ok()
    }

    fn one_of(&mut self, choices: &str) -> Option<char> {
        let found = self.rest.chars().next().filter(|c| choices.contains(*c))?;
        self.rest = &self.rest[found.len_utf8()..];
        Some(found)
    }

    fn name(&mut self, names: &[&str]) -> Option<u64> {
        let word = self.rest.get(..3)?;
        let index = names.iter().position(|n| *n == word)?;
        self.rest = &self.rest[3..];
        Some(index as u64 + 1)
    }

    fn blanks(&mut self) -> Option<()> {
        self.one_of(" ")?;
        self.rest = self.rest.trim_start_matches(' ');
        Some(())
    }

    /// `hh:mm:ss[.fraction]` as ns of the day.
    fn clock(&mut self) -> Option<u64> {
        let hours = self.number(2, 2)?;
        self.one_of(":")?;
        let minutes = self.number(2, 2)?;
        self.one_of(":")?;
        let seconds = self.number(2, 2)?;
        if hours > 24 || minutes > 59 || seconds > 60 {
            return None;
        }
        let whole = (hours * 3600 + minutes * 60 + seconds) * 1_000_000_000;
        let digits_follow = self.rest.get(1..2).is_some_and(all_digits);
        if digits_follow && self.one_of(".,").is_some() {
            let before = self.rest.len();
            let fraction = self.number(1, 9)?;
            let digits = (before - self.rest.len()) as u32;
            return Some(whole + fraction * 10u64.pow(9 - digits));
        }
        Some(whole)
    }

    /// A zone: `Z`, `+01:00`, `+0100`, ` UTC`, ` CEST`; offset in seconds.
    fn zone(&mut self) -> i64 {
        let before = self.rest;
        if self.one_of("Z").is_some() {
            return 0;
        }
        if let Some(sign) = self.one_of("+-") {
            let offset = self.number(2, 2).and_then(|hours| {
                self.one_of(":");
                Some((hours * 3600 + self.number(2, 2)? * 60) as i64)
            });
            if let Some(offset) = offset {
                return if sign == '-' { -offset } else { offset };
            }
        } else if let Some(rest) = self.rest.strip_prefix(' ') {
            let letters = rest.bytes().take_while(u8::is_ascii_uppercase).count();
            let name = &rest[..letters];
            let ends = matches!(rest.as_bytes().get(letters), None | Some(b' ' | b']'));
            if ends && (name == "UTC" || name == "GMT" || (letters > 2 && name.ends_with('T'))) {
                self.rest = &rest[letters..];
                return 0;
            }
        }
        self.rest = before;
        0
    }
}

/// Nanoseconds since the epoch, by the proleptic Gregorian calendar.
fn moment(year: u64, month: u64, day: u64, clock: u64, zone: i64) -> Option<u64> {
    if !(1970..=2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let days_before_month = (153 * ((month + 9) % 12) + 2) / 5;
    let days =
        365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + days_before_month + day;
    let since_epoch = days.checked_sub(719_469)? as i64;
    let seconds = since_epoch * 86_400 - zone;
    Some((seconds as u64).checked_mul(1_000_000_000)? + clock)
}

/// `2025-11-20T15:00:00.123456+00:00` with its relatives.
pub(super) fn iso_date(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    let year = at.number(4, 4)?;
    at.one_of("-")?;
    let month = at.number(2, 2)?;
    at.one_of("-")?;
    let day = at.number(2, 2)?;
    at.one_of("T _")?;
    let clock = at.clock()?;
    let zone = at.zone();
    Some((moment(year, month, day, clock, zone), at.used()))
}

/// `2018/01/09 14:28:48`.
fn slash_date(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    let year = at.number(4, 4)?;
    at.one_of("/")?;
    let month = at.number(2, 2)?;
    at.one_of("/")?;
    let day = at.number(2, 2)?;
    at.blanks()?;
    let clock = at.clock()?;
    Some((moment(year, month, day, clock, 0), at.used()))
}

/// `11-20 15:00:00.123`.
fn logcat_date(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    at.number(2, 2)?;
    at.one_of("-")?;
    at.number(2, 2)?;
    at.blanks()?;
    at.clock()?;
    Some((None, at.used()))
}

/// `1763650800.123456`, then a blank.
fn epoch(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    let seconds = at.number(10, 10)?;
    at.one_of(".")?;
    let before = at.rest.len();
    let fraction = at.number(3, 9)?;
    let digits = (before - at.rest.len()) as u32;
    at.rest.starts_with(' ').then_some(())?;
    let nanoseconds = seconds * 1_000_000_000 + fraction * 10u64.pow(9 - digits);
    Some((Some(nanoseconds), at.used()))
}

/// `15:00:00` or `15:00:00.123`, then a blank or the end of a bracket.
fn bare_time(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    at.clock()?;
    at.rest.starts_with([' ', ']']).then_some((None, at.used()))
}

/// `Nov 20 15:00:00`, with a fraction or a year behind it.
fn month_date(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    let month = at.name(&MONTHS)?;
    at.blanks()?;
    let day = at.number(1, 2)?;
    at.blanks()?;
    // Cisco and some syslog-ng templates put the year here.
    let mut year = None;
    if at.rest.as_bytes().get(4) == Some(&b' ') {
        year = at.number(4, 4);
        at.blanks()?;
    }
    let clock = at.clock()?;
    Some((year.and_then(|y| moment(y, month, day, clock, 0)), at.used()))
}

/// `Thu Nov 20 15:00:00 2025`, `Thu 2025-11-20 15:00:00 UTC`.
pub(super) fn weekday_date(text: &str) -> Option<Moment> {
    let mut at = Cursor::new(text);
    at.name(&DAYS)?;
    at.blanks()?;
    let start = at.used();
    if let Some((moment, used)) = iso_date(at.rest) {
        return Some((moment, start + used));
    }
    let month = at.name(&MONTHS)?;
    at.blanks()?;
    let day = at.number(1, 2)?;
    at.blanks()?;
    let clock = at.clock()?;
    at.zone();
    let before_year = at.used();
    if at.blanks().is_some()
        && let Some(year) = at.number(4, 4)
    {
        return Some((moment(year, month, day, clock, 0), at.used()));
    }
    Some((None, before_year))
}

/// `Nov20 15:00`, the minute mark of `dmesg -e`.
pub(super) fn short_stamp(text: &str) -> bool {
    let mut at = Cursor::new(text);
    let mut read = || {
        at.name(&MONTHS)?;
        at.rest = at.rest.trim_start_matches(' ');
        at.number(1, 2)?;
        at.blanks()?;
        at.number(2, 2)?;
        at.one_of(":")?;
        at.number(2, 2)
    };
    read().is_some() && at.rest.is_empty()
}

/// Is this word a part of a date and no name of a host?
pub(super) fn is_date_word(word: &str) -> bool {
    MONTHS.contains(&word) || DAYS.contains(&word) || matches!(word, "T" | "Z" | "UTC" | "GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_763_650_800_000_000_000;

    #[test]
    fn dates_of_many_collectors() {
        for (text, time, used) in [
            ("2025-11-20T15:00:00+00:00 host", Some(NOON), 25),
            ("2025-11-20T16:00:00.5+0100 host", Some(NOON + 500_000_000), 26),
            ("2025-11-20 15:00:00 UTC host", Some(NOON), 23),
            ("2025-11-20T15:00:00  [ts]", Some(NOON), 19),
            ("2025-11-20T15:00:00,123456+00:00 x", Some(NOON + 123_456_000), 32),
            ("2025/11/20 15:00:00 BUG", Some(NOON), 19),
            ("Nov 20 15:00:00 host", None, 15),
            ("Nov  2 15:00:00.123 host", None, 19),
            ("Nov 20 2025 15:00:00 host", Some(NOON), 20),
            ("Thu Nov 20 15:00:00 2025 kern", Some(NOON), 24),
            ("Thu Nov 20 15:00:00 UTC 2025 kern", Some(NOON), 28),
            ("Thu 2025-11-20 15:00:00 UTC host", Some(NOON), 27),
            ("[2025-11-20T15:00:00.000Z] x", Some(NOON), 26),
            ("[15:00:00] x", None, 10),
            ("15:00:00.123 x", None, 12),
            ("11-20 15:00:00.123 x", None, 18),
            ("1763650800.000000 host", Some(NOON), 17),
        ] {
            assert_eq!(date(text), Some((time, used)), "{text}");
        }
        for text in ["[   12.345678] x", "0010:foo", "Nov", "Monday", "BUG: x", "Modules linked in"]
        {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
