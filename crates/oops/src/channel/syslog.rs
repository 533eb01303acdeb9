//! What syslog daemons and journald put between the date and the message:
//! host, facility, tag; and rsyslog's `#012` escapes.

use super::printk::{all_digits, dotted_priority};

/// What stands between a date and a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// The host that wrote the message.
    pub(super) host: Option<&'a str>,
    /// Level, where it is spelled out.
    pub(super) level: Option<u8>,
    /// Does the kernel speak? None when there is no tag that says so.
    pub(super) kernel: Option<bool>,
    /// Bytes taken.
    pub(super) length: usize,
}

/// Reads `host kernel: `, `host kern.warn kernel: `, `kernel: ` and the same
/// of other programs. `text` begins behind the date and its blanks. Another
/// program's tag is only believed of a host that `is_host` knows, since many a
/// kernel message reads like one (`usb 5-1: …`).
pub(super) fn tag<'a>(text: &'a str, is_host: impl Fn(&str) -> bool) -> Option<Tag<'a>> {
    let mut tag = Tag::default();
    let mut at = 0;
    for position in 0..3 {
        let rest = &text[at..];
        let word = rest.split(' ').next().unwrap_or_default();
        let start = at;
        at += word.len() + usize::from(rest.len() > word.len());
        if let Some(length) = kernel_tag(rest) {
            tag.kernel = Some(true);
            tag.length = start + length;
            return Some(tag);
        }
        if let Some(level) = dotted_priority(word) {
            tag.level = Some(level);
            continue;
        }
        if position == 0 && looks_like_host(word) {
            tag.host = Some(word);
            continue;
        }
        if tag.host.is_some_and(&is_host) {
            // The program's name stays: it is part of what the line says.
            tag.kernel = Some(false);
            tag.length = start;
            return Some(tag);
        }
        return None;
    }
    None
}

/// The line above each message that syslogd writes to all terminals: `Message from syslogd@host at
/// DATE ...`.
pub(super) fn is_broadcast(row: &str) -> bool {
    row.starts_with("Message from syslogd@") || row.starts_with("Broadcast message from ")
}

/// `kernel: `, `kernel[0]: `, `kernel:[ts]`: length with one blank behind it.
pub(super) fn kernel_tag(text: &str) -> Option<usize> {
    let mut rest = ["kernel", "vmunix", "klogd"].iter().find_map(|name| text.strip_prefix(name))?;
    if let Some(inner) = rest.strip_prefix('[') {
        let end =
            inner.find(']').filter(|&at| all_digits(&inner[..at]) || &inner[..at] == "kernel")?;
        rest = &inner[end + 1..];
    }
    rest = rest.strip_prefix(':')?;
    rest = rest.strip_prefix(' ').unwrap_or(rest);
    Some(text.len() - rest.len())
}

/// A host's name or address: no colon at the end, nothing odd in it.
fn looks_like_host(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 255
        && !word.ends_with(':')
        && word.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:/@".contains(&b))
}

/// The header of RFC 5424 behind `<N>`: `1 DATE HOST APP PROC MSGID SD `.
pub(super) fn rfc5424(text: &str) -> Option<(Option<u64>, Tag<'_>)> {
    let rest = text.strip_prefix("1 ")?;
    let mut at = 2;
    let mut fields = rest.splitn(6, ' ');
    let mut field = || {
        let word = fields.next()?;
        at += word.len() + 1;
        Some(word)
    };
    let (time, host, app) = (field()?, field()?, field()?);
    let (_process, _message_id) = (field()?, field()?);
    let moment = match time {
        "-" => None,
        _ => super::calendar::iso_date(time)?.0,
    };
    // Structured data: `-` or any number of `[…]`, quotes inside.
    let mut data = text.get(at..)?;
    if let Some(after) = data.strip_prefix('-') {
        data = after;
    } else {
        while data.starts_with('[') {
            let end = structured_data_end(data)?;
            data = &data[end..];
        }
    }
    data = data.strip_prefix(' ').unwrap_or(data);
    data = data.strip_prefix('\u{feff}').unwrap_or(data);
    let tag = Tag {
        host: (host != "-").then_some(host),
        level: None,
        kernel: Some(app == "kernel" || app == "-"),
        length: text.len() - data.len(),
    };
    Some((moment, tag))
}

/// Length of one `[…]` with its quoted values.
fn structured_data_end(data: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in data.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Undoes rsyslog's `#ooo` escapes of control characters; a line end among
/// them comes back as `\n`. None when there are none.
pub(super) fn unescape(text: &str) -> Option<String> {
    let escape = |at: usize| -> Option<char> {
        let digits = text.get(at + 1..at + 4)?;
        let code = u32::from_str_radix(digits, 8).ok()?;
        // `#177` would be a build number more often than a delete character.
        let control = code < 0x20 && all_digits(digits);
        control.then(|| char::from_u32(code)).flatten()
    };
    let first = memchr::memchr_iter(b'#', text.as_bytes()).find(|&at| escape(at).is_some())?;
    let mut out = String::from(&text[..first]);
    let mut rest = first;
    for at in memchr::memchr_iter(b'#', text.as_bytes()).skip_while(|&at| at < first) {
        if let Some(c) = escape(at) {
            out.push_str(&text[rest..at]);
            out.push(c);
            rest = at + 4;
        }
    }
    out.push_str(&text[rest..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let known = |host: &str| host == "host1";
        let read = |text| tag(text, known);
        let kernel = read("host1 kernel: BUG").unwrap();
        assert_eq!((kernel.host, kernel.kernel, kernel.length), (Some("host1"), Some(true), 14));
        let busybox = read("box kern.warn kernel: x").unwrap();
        assert_eq!((busybox.level, busybox.length), (Some(4), 22));
        assert_eq!(read("kernel:[ 1.0] x").unwrap().length, 7);
        let other = read("host1 systemd[1]: Started").unwrap();
        assert_eq!((other.kernel, other.length), (Some(false), 6));
        assert_eq!(read("usb 5-1: Direct firmware load"), None);
        assert_eq!(read("BUG: KASAN: x"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn the_header_of_rfc_5424() {
        let text = "1 2025-11-20T15:00:00.5Z h1 kernel - - [a b=\"]\"] BUG: x";
        let (time, tag) = rfc5424(text).unwrap();
        assert_eq!(time, Some(1_763_650_800_500_000_000));
        assert_eq!((tag.host, tag.kernel, &text[tag.length..]), (Some("h1"), Some(true), "BUG: x"));
        assert!(rfc5424("1 2 3").is_none());
    }

    #[test]
    fn rsyslog_escapes() {
        assert_eq!(unescape("a#012b#011c").as_deref(), Some("a\nb\tc"));
        assert_eq!(unescape("CPU#012"), Some("CPU\n".into()));
        assert_eq!(unescape("soft lockup - CPU#1 stuck, #99"), None);
    }
}
