//! Rows broken anywhere, as people and slides break them: joined only where
//! the next row parses as what the first one lacks.

use std::sync::LazyLock;

use memchr::memmem::Finder;

static CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Code: "));
static MODULES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Modules linked in:"));

/// A list of modules that is shorter, in bytes, has not been broken.
const SHORTEST_LIST: usize = 60;

/// What a row ends in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// `Code: 48 89`: more bytes.
    Code,
    /// `Modules linked in: a b`: more names.
    Modules,
    /// `f+0x16f/`: the size.
    Offset,
    /// `knlGS:`, `dereference at`: a value.
    Value,
}

/// What a row lacks, if it may lack something.
pub(super) fn cut_of(row: &str) -> Option<Cut> {
    let row = row.trim_end();
    let last = *row.as_bytes().last()?;
    match last {
        b'/' if in_offset(row) => Some(Cut::Offset),
        b':' if ends_with_register(row) => Some(Cut::Value),
        b't' if row.ends_with("dereference at") || row.ends_with("request at") => Some(Cut::Value),
        _ if row.len() >= SHORTEST_LIST && MODULES.find(row.as_bytes()).is_some() => {
            Some(Cut::Modules)
        }
        b'>' | b')' | b'0'..=b'9' | b'a'..=b'f' if CODE.find(row.as_bytes()).is_some() => {
            Some(Cut::Code)
        }
        _ => None,
    }
}

/// Does the row end in `+0x16f/`?
fn in_offset(row: &str) -> bool {
    let body = &row[..row.len() - 1];
    body.rsplit_once("+0x").is_some_and(|(_, hex)| is_hex(hex))
}

/// Does the row end in the name of a register and a colon, behind others?
fn ends_with_register(row: &str) -> bool {
    let Some((before, name)) = row[..row.len() - 1].rsplit_once(' ') else { return false };
    matches!(name.len(), 2..=5)
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
        && name.bytes().any(|b| b.is_ascii_uppercase())
        && before.contains(':')
        && before.split(' ').any(|word| word.len() >= 8 && is_hex(word.trim_end_matches("(0000)")))
}

fn is_hex(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Joins `next` to `row` where it is what `cut` lacks; false where it is not.
pub(super) fn join(row: &mut String, cut: Cut, next: &str) -> bool {
    let body = next.trim();
    let first = body.split(' ').next().unwrap_or_default();
    let blank = match cut {
        Cut::Offset if first.strip_prefix("0x").is_some_and(is_hex) => "",
        Cut::Value if first == "(null)" || (first.len() >= 8 && is_hex(first)) => " ",
        Cut::Code if are_code(body, code_width(row)) => " ",
        Cut::Modules if are_modules(body) => " ",
        _ => return false,
    };
    let end = row.trim_end().len();
    row.truncate(end);
    row.push_str(blank);
    row.push_str(body);
    true
}

/// Digits of a word of the code.
fn code_width(row: &str) -> usize {
    row.split_whitespace().next_back().map_or(2, |word| unmarked(word).len())
}

fn unmarked(word: &str) -> &str {
    word.trim_matches(['<', '>', '(', ')'])
}

/// Words of code of the same width, and nothing else. A misread digit may be
/// among them.
fn are_code(text: &str, width: usize) -> bool {
    let digit = |b: u8| b.is_ascii_hexdigit() || b"OolSBt".contains(&b);
    !text.is_empty()
        && matches!(width, 2 | 4 | 8)
        && text.split_whitespace().all(|word| {
            let word = unmarked(word);
            word.len() == width && word.bytes().all(digit)
        })
        && text.split_whitespace().any(|word| is_hex(unmarked(word)))
}

/// Names of modules with their flags, and nothing else.
fn are_modules(text: &str) -> bool {
    let name = |word: &str| {
        let (name, flags) = word.split_once('(').unwrap_or((word, ")"));
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
            && name.bytes().any(|b| b.is_ascii_lowercase())
            && flags.ends_with(')')
    };
    let mut words = text.split_whitespace().peekable();
    if words.peek().is_none() {
        return false;
    }
    // `[last unloaded: x]` may end the list.
    words.all(|word| {
        name(word)
            || word == "[last"
            || word == "unloaded:"
            || word.ends_with(']')
            || word == "<...>"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(row: &str, next: &str) -> Option<String> {
        let mut out = row.to_owned();
        join(&mut out, cut_of(row)?, next).then_some(out)
    }

    #[test]
    fn what_is_lacking_is_joined() {
        assert_eq!(
            joined("Code: 4c 89 <c6> c7  ", "05 18 f6 of  ").as_deref(),
            Some("Code: 4c 89 <c6> c7 05 18 f6 of")
        );
        assert_eq!(
            joined("RIP: 0010:[<ffffffffa028117f>] crash_ioctl+0x16f/", "0x197 [crash]").as_deref(),
            Some("RIP: 0010:[<ffffffffa028117f>] crash_ioctl+0x16f/0x197 [crash]")
        );
        assert_eq!(
            joined(
                "FS: 00007f2a5c894740(0000) GS:ffff88007fc20000(0000) R13: 0000000000000000 knlGS:",
                "0000000000000000"
            )
            .as_deref(),
            Some(
                "FS: 00007f2a5c894740(0000) GS:ffff88007fc20000(0000) R13: 0000000000000000 knlGS: 0000000000000000"
            )
        );
        assert_eq!(
            joined("BUG: unable to handle kernel NULL pointer dereference at", "    (null)")
                .as_deref(),
            Some("BUG: unable to handle kernel NULL pointer dereference at (null)")
        );
        assert_eq!(
            joined(&format!("Modules linked in: {}", "igb ".repeat(15)), "irqbypass pclmul(O+)")
                .as_deref(),
            Some(&*format!("Modules linked in: {}irqbypass pclmul(O+)", "igb ".repeat(15)))
        );
    }

    #[test]
    fn what_is_not_stays() {
        assert_eq!(joined("Code: 4c 89", "RSP: 0018:ffff88003668fec8"), None);
        assert_eq!(joined("Code: 4c 89", ""), None);
        assert_eq!(joined("Modules linked in:", "CPU: 1 PID: 2 Comm: x"), None);
        assert_eq!(joined("Call Trace:", " dump_stack+0x1/0x2"), None);
        assert_eq!(joined("mounted /dev/", "0x10"), None);
        assert_eq!(joined("kernel NULL pointer dereference at", "IP: f+0x1/0x2"), None);
    }
}
