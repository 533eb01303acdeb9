//! Records of pstore (`fs/pstore/platform.c`): what their heads and names say,
//! and the order that they belong in.

use std::borrow::Cow;

/// The head of a record: `Panic#2 Part1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Number of the dump since boot.
    count: u64,
    /// Part of the dump; part 1 holds the newest text.
    part: u64,
}

/// One part of a dump.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) head: Head,
    pub(super) text: Cow<'a, [u8]>,
    pub(super) notes: Vec<String>,
}

const REASONS: [&str; 10] = [
    "Panic",
    "Oops",
    "Emergency",
    "Emerg",
    "Shutdown",
    "Restart",
    "Halt",
    "Poweroff",
    "MCE",
    "Unknown",
];

/// Bytes in which a text must show its first head.
const HEAD_WINDOW: usize = 4096;

/// Reads the head in a row of its own.
fn head(row: &[u8]) -> Option<Head> {
    let row = std::str::from_utf8(row).ok()?.trim_end();
    if row.len() > 64 {
        return None;
    }
    let (reason, rest) = row.split_once('#')?;
    if !REASONS.contains(&reason) {
        return None;
    }
    let (count, part) = rest.split_once(" Part")?;
    Some(Head { count: count.parse().ok()?, part: part.parse().ok()? })
}

/// Takes a text apart at its heads; None when there are none. Text of several
/// records in one file comes from `cat` or from systemd-pstore's `dmesg.txt`.
pub(super) fn parts<'a>(name: &str, text: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let window = &text[..text.len().min(HEAD_WINDOW)];
    if !window.split(|&b| b == b'\n').any(|row| head(row).is_some()) {
        return None;
    }
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut start = 0;
    let mut current: Option<Head> = None;
    let mut at = 0;
    let mut close = |head: Option<Head>, from: usize, to: usize| {
        if let Some(head) = head {
            parts.push(Part {
                name: name.to_owned(),
                head,
                text: Cow::Borrowed(without_notice(&text[from..to])),
                notes: Vec::new(),
            });
        }
    };
    while at < text.len() {
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n + 1);
        if text[at].is_ascii_uppercase()
            && let Some(found) = head(&text[at..end])
        {
            close(current, start, at);
            current = Some(found);
            start = end;
        }
        at = end;
    }
    close(current, start, text.len());
    Some(parts)
}

/// Cuts what systemd and the error correction of ramoops put at a record's end.
fn without_notice(text: &[u8]) -> &[u8] {
    let mut text = text;
    loop {
        let body = text.trim_ascii_end();
        let row = memchr::memrchr(b'\n', body).map_or(0, |at| at + 1);
        let last = &body[row..];
        let separator = last.starts_with(b"dmesg-") && last.ends_with(b":");
        let correction = last.ends_with(b"No errors detected")
            || (memchr::memmem::find(last, b"Corrected bytes").is_some()
                && last.ends_with(b"unrecoverable blocks"));
        if row == 0 || !(separator || correction) {
            return text;
        }
        text = &text[..row];
    }
}

/// What a record's file name tells when it carries no head: the mounted id
/// (`dmesg-efi-155741337601001`: `(epoch · 100 + part) · 1000 + count`) or the
/// variable's name (`dump-type0-1-1-1557413376-C-cfc8fc79-…`).
pub(super) fn head_of_name(name: &str) -> Option<Head> {
    let base = name.rsplit('/').next()?;
    if let Some(rest) = base.strip_prefix("dump-type") {
        let numbers: Vec<u64> = rest.split('-').map_while(|n| n.parse().ok()).collect();
        return match numbers[..] {
            [_, part, count, _, ..] => Some(Head { count, part }),
            [_, part, _] => Some(Head { count: 1, part }),
            _ => None,
        };
    }
    let id = base.strip_prefix("dmesg-efi")?.trim_start_matches(['-', '_']).split('.').next()?;
    let id: u64 = id.parse().ok().filter(|id| *id > 10_000_000_000_000)?;
    Some(Head { count: id % 1000, part: id / 1000 % 100 })
}

/// Is this the name of a record that pstore keeps?
pub(super) fn is_record_name(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    base.starts_with("dmesg-") || base.starts_with("dump-type")
}

/// Whole dumps, oldest first: the parts of each joined, the highest number
/// (the oldest text) first.
pub(super) fn assemble(mut parts: Vec<Part<'_>>) -> Vec<(String, Vec<u8>, Vec<String>)> {
    let directory = |name: &str| name.rfind('/').map_or(String::new(), |at| name[..at].to_owned());
    parts.sort_by_key(|p| (directory(&p.name), p.head.count, std::cmp::Reverse(p.head.part)));
    let mut dumps: Vec<(String, Vec<u8>, Vec<String>)> = Vec::new();
    let mut last: Option<(String, Head)> = None;
    for part in parts {
        let place = directory(&part.name);
        let same = last.as_ref().is_some_and(|(dir, head)| {
            *dir == place && head.count == part.head.count && head.part != part.head.part
        });
        last = Some((place, part.head));
        match dumps.last_mut() {
            Some((_, text, notes)) if same => {
                // A part that begins with a record of its own ends the last.
                if text.last().is_some_and(|&b| b != b'\n') && part.text.starts_with(b"<") {
                    text.push(b'\n');
                }
                text.extend_from_slice(&part.text);
                notes.extend(part.notes);
            }
            _ => dumps.push((part.name, part.text.into_owned(), part.notes)),
        }
    }
    dumps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> Vec<String> {
        assemble(parts("x", text.as_bytes()).unwrap())
            .into_iter()
            .map(|(_, text, _)| String::from_utf8(text).unwrap())
            .collect()
    }

    #[test]
    fn part_one_is_the_newest() {
        let text = "Panic#2 Part1\n<4>c\n<4>d\nPanic#2 Part2\n<4>a\n<4>b\nOops#1 Part1\n<4>x\n";
        assert_eq!(joined(text), ["<4>x\n", "<4>a\n<4>b\n<4>c\n<4>d\n"]);
    }

    #[test]
    fn notices_are_cut() {
        let text = "dmesg-efi-155741337602001:\nPanic#1 Part1\n<4>b\n\nNo errors detected\ndmesg-efi-155741337601001:\nPanic#1 Part2\n<4>a\n";
        assert_eq!(joined(text), ["<4>a\n<4>b\n\n"]);
    }

    #[test]
    fn names() {
        let efi = head_of_name("/sys/fs/pstore/dmesg-efi-155741337603002").unwrap();
        assert_eq!((efi.part, efi.count), (3, 2));
        let variable =
            head_of_name("dump-type0-7-1-1557413376-C-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0")
                .unwrap();
        assert_eq!((variable.part, variable.count), (7, 1));
        assert_eq!(head_of_name("dmesg-ramoops-0"), None);
        assert!(parts("x", b"[ 1.0] Panic#1 Party\n").is_none());
    }
}
