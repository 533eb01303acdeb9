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
    /// `PID: 1`: more digits.
    Digits,
    /// Words that no message ends with, as mail programs break after them: a row of [`WORDS`].
    Words(usize),
}

/// How a row ends that a mail program has broken, what it must hold as well, and how the rest of
/// it begins. Each is a message that does not end so.
const WORDS: &[(&str, &str, Rest)] = &[
    ("at virtual", "nable to handle", Rest::Text("address ")),
    ("at virtual address", "nable to handle", Rest::Hex),
    ("address:", "BUG: ", Rest::Hex),
    ("virtual address:", "nable to handle", Rest::Hex),
    (" at", "WARNING: ", Rest::Source),
    ("RIP:", "", Rest::Text("0010:")),
    (">]", "RIP: 0010:[<", Rest::Symbol),
    (">]", " from [<", Rest::Text("(")),
    ("cause:", "badaddr: ", Rest::Hex),
    (" ?", "", Rest::Symbol),
    ("ot tainted", "", Rest::Release),
    ("Tainted:", "", Rest::Text("G ")),
    (",", "at virtual address ", Rest::Text("epc == ")),
    (",", "at virtual address ", Rest::Text("era == ")),
    ("TNPC:", "TSTATE: ", Rest::Hex),
    ("ret_pc:", "sp: ", Rest::Hex),
    ("", "INFO: task ", Rest::Text("blocked for more than")),
];

/// How the rest of a broken row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// With these words.
    Text(&'static str),
    /// With a number of eight digits or more.
    Hex,
    /// With a place in the source.
    Source,
    /// With a function and an offset.
    Symbol,
    /// With a kernel's release.
    Release,
}

impl Rest {
    fn begins(self, body: &str) -> bool {
        let first = body.split(' ').next().unwrap_or_default();
        match self {
            Rest::Text(text) => body.starts_with(text),
            Rest::Hex => {
                let bare = first.strip_prefix("0x").unwrap_or(first);
                bare.len() >= 8 && is_hex(bare)
            }
            Rest::Source => first.rsplit_once(':').is_some_and(|(file, line)| {
                file.contains('.') && !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
            }),
            Rest::Symbol => first.split_once("+0x").is_some_and(|(name, offset)| {
                !name.is_empty() && !name.contains(['[', '<', ':']) && offset.contains("/0x")
            }),
            Rest::Release => {
                first.split('.').take(2).filter(|part| part.parse::<u16>().is_ok()).count() == 2
            }
        }
    }
}

/// What a row lacks, if it may lack something.
pub(super) fn cut_of(row: &str) -> Option<Cut> {
    let row = row.trim_end();
    let last = *row.as_bytes().last()?;
    match last {
        b'/' if in_offset(row) => Some(Cut::Offset),
        b':' if ends_with_register(row) => Some(Cut::Value),
        b'0'..=b'9' if ends_in_task(row) => Some(Cut::Digits),
        b't' if row.ends_with("dereference at") || row.ends_with("request at") => Some(Cut::Value),
        b':' if ends_with_small_register(row) => Some(Cut::Value),
        b'0'..=b'9' if names_task(row) => Some(Cut::Words(WORDS.len() - 1)),
        b'l' | b's' | b':' | b't' | b']' | b'?' | b'd' | b',' => {
            let words = WORDS.iter().position(|(end, also, _)| {
                !end.is_empty() && row.ends_with(end) && (also.is_empty() || row.contains(also))
            });
            words.map(Cut::Words)
        }
        _ if row.len() >= SHORTEST_LIST && MODULES.find(row.as_bytes()).is_some() => {
            Some(Cut::Modules)
        }
        b'>' | b')' | b'0'..=b'9' | b'a'..=b'f' if CODE.find(row.as_bytes()).is_some() => {
            Some(Cut::Code)
        }
        _ => None,
    }
}

/// Does the row end in `PID: 12`?
fn ends_in_task(row: &str) -> bool {
    let before = row.trim_end_matches(|c: char| c.is_ascii_digit());
    before.ends_with(" PID: ") && before.contains("CPU: ")
}

/// Is the row `INFO: task a:12` and nothing more?
fn names_task(row: &str) -> bool {
    let before = row.trim_end_matches(|c: char| c.is_ascii_digit());
    before.ends_with(':') && row.contains("INFO: task ")
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

/// The same with the registers of sparc, whose names are small: `g1: 0000000000000000 g2:`.
fn ends_with_small_register(row: &str) -> bool {
    let Some((before, name)) = row[..row.len() - 1].rsplit_once(' ') else { return false };
    matches!(name.as_bytes(), [b'g' | b'o' | b'l' | b'i', b'0'..=b'7'])
        && before.split(' ').any(|word| word.len() == 16 && is_hex(word))
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
        Cut::Digits
            if body.starts_with(|c: char| c.is_ascii_digit()) && body.contains(" Comm: ") =>
        {
            ""
        }
        // broken within a byte
        Cut::Code if ends_in_half(row) && begins_with_half(body) => "",
        Cut::Code if are_code(body, code_width(row)) => " ",
        Cut::Modules if are_modules(body) => " ",
        Cut::Words(at) => {
            // two may end alike
            let (end, also, _) = WORDS[at];
            let fits = WORDS[at..]
                .iter()
                .take_while(|(same, with, _)| *same == end && *with == also)
                .any(|(_, _, rest)| rest.begins(body));
            if !fits {
                return false;
            }
            " "
        }
        _ => return false,
    };
    let end = row.trim_end().len();
    row.truncate(end);
    row.push_str(blank);
    row.push_str(body);
    true
}

/// Does the row end in one digit where two belong?
fn ends_in_half(row: &str) -> bool {
    row.split_whitespace().next_back().is_some_and(|word| word.len() == 1 && is_hex(word))
}

/// One digit, and bytes of code behind it.
fn begins_with_half(text: &str) -> bool {
    let mut words = text.split_whitespace();
    words.next().is_some_and(|word| word.len() == 1 && is_hex(word))
        && words.next().is_some_and(|word| unmarked(word).len() == 2 && is_hex(unmarked(word)))
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
    fn what_mail_has_broken_is_joined() {
        for (row, next) in [
            ("> Unable to handle kernel NULL pointer dereference at virtual", "address 00000028"),
            ("WARNING: CPU: 39 PID: 8844 at ", "fs/nfsd/state.c:4919 demo+0x170/0x190 [nfsd]"),
            ("[Mon Mar 11 14:12:05 2024] RIP: ", "0010:demo+0x170/0x190 [nfsd]"),
            ("RIP: 0010:[<ffffffff8025b017>]  [<ffffffff8025b017>]", "demo_state+0x1/0x5b"),
            ("Jun 26 12:23:15 h kernel: [87603.066238] ?", "demo_pos+0xe9/0x180 [demo]"),
            ("CPU: 59 PID: 1504 Comm: systemd-udevd Not tainted", "4.8.0-rc2+ #73"),
            ("g0: 0000000000b3f0e0 g1: 6b6b6b6b6b6b6b6b g2:", "00000000102f3ed8 g3: 0"),
            ("[87603.066176] INFO: task kworker/u16:9:7088", "blocked for more than 120 seconds."),
            (
                "Unable to handle kernel paging request at virtual address 00050040,",
                "epc == 88041e7c, ra == 880464e0",
            ),
        ] {
            assert!(joined(row, next).is_some(), "{row} | {next}");
        }
        assert_eq!(joined("the answer is not tainted", "by anything"), None);
        assert_eq!(joined("is it ?", "yes"), None);
        assert_eq!(joined("WARNING: look at", "this page"), None);
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
