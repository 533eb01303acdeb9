//! Records of /dev/kmsg and of extended netconsole
//! (`Documentation/ABI/testing/dev-kmsg`, `kernel/printk/printk.c`
//! `info_print_ext_header`, `drivers/net/netconsole.c`):
//! `[release,]priority,sequence,microseconds,flags[,key=value…];text`.

use std::borrow::Cow;

use super::printk::{all_digits, caller_id};
use crate::Context;

/// The header of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// Kernel release, which netconsole can put in front.
    pub(super) release: Option<&'a str>,
    /// Facility and level as one number.
    pub(super) priority: u16,
    pub(super) sequence: u64,
    pub(super) time_us: u64,
    /// `c`: a piece of a line; `+`: a further piece (kernels before 4.10).
    pub(super) flag: char,
    pub(super) caller: Option<Context>,
    /// `ncfrag=offset/total`, in bytes of the body.
    pub(super) fragment: Option<(usize, usize)>,
    /// Where the body begins in the row.
    pub(super) body: usize,
}

/// Reads a record's header.
pub(super) fn header(row: &str) -> Option<Header<'_>> {
    let first = row.as_bytes().first()?;
    if !first.is_ascii_digit() {
        return None;
    }
    let window = &row.as_bytes()[..row.len().min(512)];
    let body = memchr::memchr(b';', window)? + 1;
    let head = row.get(..body - 1)?;
    let mut fields = head.split(',').peekable();
    let release = fields.next_if(|field| !all_digits(field));
    if release.is_some_and(|name| name.contains([' ', ':', '['])) {
        return None;
    }
    let priority = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let time_us = fields.next()?.parse().ok()?;
    let flags = fields.next()?;
    let flag = flags.chars().next().filter(|c| "-c+".contains(*c) && flags.len() == 1)?;
    let mut header =
        Header { release, priority, sequence, time_us, flag, caller: None, fragment: None, body };
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        match key {
            "caller" => header.caller = caller_id(value),
            "ncfrag" => {
                header.fragment = value
                    .split_once('/')
                    .and_then(|(at, of)| Some((at.parse().ok()?, of.parse().ok()?)));
            }
            _ => {}
        }
    }
    Some(header)
}

/// Is this row a record's dictionary line, ` KEY=value`?
pub(super) fn is_dictionary(row: &str) -> bool {
    let Some((key, _)) = row.strip_prefix(' ').and_then(|rest| rest.split_once('=')) else {
        return false;
    };
    !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && key.bytes().any(|b| b.is_ascii_alphabetic())
}

/// Undoes `\xNN`. What is no escape stays as it is.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memmem::find(text.as_bytes(), b"\\x") else {
        return Cow::Borrowed(text);
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while at < bytes.len() {
        let code = (bytes[at] == b'\\' && bytes.get(at + 1) == Some(&b'x'))
            .then(|| text.get(at + 2..at + 4))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let plain = header("4,1234,55468844,-;BUG: x; y").unwrap();
        assert_eq!((plain.priority, plain.sequence, plain.time_us), (4, 1234, 55_468_844));
        assert_eq!((plain.flag, plain.body), ('-', 18));
        let long = header("6.9.0,6,416,1758426,-,caller=T1,ncfrag=0/33;the ").unwrap();
        assert_eq!(long.release, Some("6.9.0"));
        assert_eq!(long.caller, Some(Context::Task(1)));
        assert_eq!(long.fragment, Some((0, 33)));
        assert_eq!(header("4,x,5,-;a"), None);
        assert_eq!(header("12 things, and; more"), None);
        assert_eq!(header("2025-11-20T15:00:00 a,1,2,3,-;x"), None);
    }

    #[test]
    fn dictionaries_and_escapes() {
        assert!(is_dictionary(" SUBSYSTEM=acpi"));
        assert!(!is_dictionary(" dump_stack+0x194/0x257"));
        assert!(!is_dictionary("SUBSYSTEM=acpi"));
        assert_eq!(unescape("a\\x0ab\\x5cx\\xzz"), "a\nb\\x\\xzz");
        assert_eq!(unescape("\\xf0\\x9f\\xa6\\x80"), "🦀");
    }
}
