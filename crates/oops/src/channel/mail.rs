//! Mails whose text is quoted-printable.

use std::ops::Range;

/// How far the first declaration of an encoding is looked for, and how much of a text without one
/// is judged, in bytes.
const HEAD: usize = 64 << 10;

/// The text with what is quoted-printable decoded, if anything is: the bodies that say so in their
/// heads, or a body that has lost its head.
pub(super) fn quoted_printable(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = &bytes[..bytes.len().min(HEAD)];
    if !declares(head) {
        return reads_as_quoted_printable(head).then(|| decode(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for body in bodies(bytes) {
        // a browser shows the head and has decoded the body
        if encoded(&bytes[body.clone()]) {
            out.extend_from_slice(&bytes[done..body.start]);
            out.extend(decode(&bytes[body.clone()]));
            done = body.end;
        }
    }
    (done > 0).then(|| [&out, &bytes[done..]].concat())
}

fn declares(head: &[u8]) -> bool {
    memchr::memmem::find(&head.to_ascii_lowercase(), b"quoted-printable").is_some()
}

/// The bodies below heads that declare the encoding: up to the boundary that stands above the
/// head, or to the next mail of a mailbox.
fn bodies(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // a body's start, the rule above its head, and whether that head declares the encoding
    let (mut body, mut rule, mut declared) = (None, None, false);
    let mut at = 0;
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let row = line.trim_ascii_end();
        let next_mail = row.starts_with(b"From ") && row.contains(&b'@');
        let over = next_mail
            || rule.is_some_and(|rule: &[u8]| row.strip_suffix(b"--").unwrap_or(row) == rule);
        if let Some(start) = body.filter(|_| over) {
            found.push(start..at);
            body = None;
        }
        if body.is_none() {
            match row {
                [] if declared => (body, declared) = (Some(at + line.len()), false),
                [b'-', b'-', _, ..] => rule = Some(row),
                _ if next_mail => rule = None,
                _ => declared |= declares_row(row),
            }
        }
        at += line.len();
    }
    found.extend(body.map(|start| start..bytes.len()));
    found
}

fn declares_row(row: &[u8]) -> bool {
    const NAME: &[u8] = b"content-transfer-encoding:";
    row.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        && row[NAME.len()..].trim_ascii().eq_ignore_ascii_case(b"quoted-printable")
}

/// What stands behind a `=`.
enum Behind {
    /// The end of the row: the line goes on with the next one.
    Break(usize),
    Byte(u8),
    /// Neither: it stands for itself.
    Nothing,
}

fn behind(tail: &[u8]) -> Behind {
    let row = tail.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
    if tail.get(row) == Some(&b'\n') {
        return Behind::Break(row + 1);
    }
    let code = tail.get(..2).filter(|code| code.iter().all(u8::is_ascii_hexdigit));
    code.and_then(|code| std::str::from_utf8(code).ok())
        .and_then(|code| u8::from_str_radix(code, 16).ok())
        .map_or(Behind::Nothing, Behind::Byte)
}

/// Is what stands behind a `=` what an encoder writes? It has to for `=` itself, what is no ASCII,
/// and blanks at the end of a row; some do it for a row's first `From` and `.`.
fn written(tail: &[u8]) -> bool {
    let rest = tail.get(2..).unwrap_or(&[]);
    match behind(tail) {
        Behind::Break(_) => true,
        Behind::Byte(b' ' | b'\t' | b'\r') => rest.first().is_none_or(u8::is_ascii_whitespace),
        Behind::Byte(b'F') => rest.starts_with(b"rom "),
        Behind::Byte(byte) => !byte.is_ascii() || matches!(byte, b'=' | b'\n' | 0x1b | b'.'),
        Behind::Nothing => false,
    }
}

/// Is a body encoded: is what stands behind its `=` mostly what an encoder writes there?
fn encoded(body: &[u8]) -> bool {
    let marks = memchr::memchr_iter(b'=', body);
    let (right, wrong): (Vec<_>, Vec<_>) = marks.partition(|at| written(&body[at + 1..]));
    right.len() > wrong.len()
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        let tail = &rest[at + 1..];
        rest = match behind(tail) {
            Behind::Break(length) => &tail[length..],
            Behind::Byte(byte) => {
                out.push(byte);
                &tail[2..]
            }
            Behind::Nothing => {
                out.push(b'=');
                tail
            }
        };
    }
    out.extend_from_slice(rest);
    out
}

/// A mail's body without its head: rows end in `=` at the width that mail has, the next one goes
/// on in the middle of a line, and no `=` stands for itself.
fn reads_as_quoted_printable(head: &[u8]) -> bool {
    const WIDTH: std::ops::RangeInclusive<usize> = 40..=77;
    let mut soft = 0;
    let mut rows = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end).peekable();
    while let Some(row) = rows.next() {
        // a rule is no text, and the last row may be cut
        if !row.contains(&b'=') || row.ends_with(b"==") {
            continue;
        }
        let broken = row.ends_with(b"=");
        let body = if broken { &row[..row.len() - 1] } else { row };
        let small = |at: usize| body[at + 1..].iter().take(2).any(u8::is_ascii_lowercase);
        if !memchr::memchr_iter(b'=', body).all(|at| written(&body[at + 1..]) && !small(at)) {
            return false;
        }
        // rows that begin alike are lines of their own
        let own = broken && rows.peek().is_some_and(|next| alike(row, next));
        if own {
            return false;
        }
        soft += usize::from(broken && WIDTH.contains(&row.len()));
    }
    soft >= 2
}

/// Do two rows begin with characters of the same kinds, as lines with the same prefix do?
fn alike(one: &[u8], other: &[u8]) -> bool {
    const LOOK: usize = 4;
    let kind = |b: &u8| match b {
        b'0'..=b'9' => b'0',
        b if b.is_ascii_alphabetic() => b'a',
        b => *b,
    };
    one.iter().take(LOOK).map(kind).eq(other.iter().take(LOOK).map(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<String> {
        quoted_printable(text.as_bytes()).map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn only_the_bodies_that_say_so() {
        let mail = "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\n\
            Content-Transfer-Encoding: Quoted-Printable\n\nflags=3D0x10 an=\nd more\n--b\n\
            Content-Transfer-Encoding: 7bit\n\norder=00 mask=FF\n--b--\n";
        let out = decoded(mail).unwrap();
        assert!(out.contains("\nflags=0x10 and more\n"), "{out}");
        assert!(out.contains("\norder=00 mask=FF\n"), "{out}");
        assert_eq!(decoded(&out), None);
    }

    #[test]
    fn what_a_browser_has_decoded() {
        let page = "Content-Transfer-Encoding: quoted-printable\n\norder=20, mask=12, a=3D\n";
        assert_eq!(decoded(page), None);
    }

    #[test]
    fn numbers_behind_equal_signs() {
        let log = "[    1.0] plover: this message ends with a name and its =\n\
                   [    1.0] plover: this message ends with a name and its =\n\
                   [    1.1] plover: order=10 mask=FF\n";
        assert_eq!(decoded(log), None);
        assert_eq!(decoded("this one speaks of quoted-printable order=3D\n"), None);
    }
}
