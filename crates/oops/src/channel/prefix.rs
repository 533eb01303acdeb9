//! One grammar for everything that can stand before a message: each layer is
//! tried in turn until none fits.

use super::column::Column;
use super::inner::Inner;
use super::{calendar, printk, syslog};
use crate::{Context, LineKind};

/// What the prefixes of one row said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// Time of the record, in ns since boot, else since the epoch.
    pub(super) time_ns: Option<u64>,
    pub(super) level: Option<u8>,
    pub(super) context: Context,
    pub(super) kind: LineKind,
    /// Host, domain or column that names the origin.
    pub(super) origin: Option<String>,
    /// Did a layer say that this is a record of the log?
    pub(super) recognised: bool,
}

/// What must be known of the whole capture to read one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Customs {
    /// A column of a collector that no grammar here knows.
    pub(super) column: Option<Column>,
    /// What stands between the prefixes that a grammar knows and the message.
    pub(super) inner: Option<Inner>,
    /// Hosts whose kernel speaks in the capture.
    pub(super) hosts: Vec<String>,
    /// Blanks that the collector always puts behind its date.
    pub(super) date_blanks: usize,
    /// Does any line have a host and a tag behind printk's time?
    pub(super) host_follows_time: bool,
    /// Does any line begin with a prefix of the log?
    pub(super) stamped: bool,
    /// Does any line begin with a prefix that names a caller?
    pub(super) callers: bool,
}

impl Customs {
    /// The context of a record found inside a line, where it can have one that
    /// the other lines of its report have lost.
    pub(super) fn context(&self, found: Context) -> Context {
        match found {
            _ if !self.stamped => Context::None,
            found if found.is_caller() && !self.callers => Context::Console,
            found => found,
        }
    }
}

/// Layers a row may have; more are noise.
const MAX_LAYERS: usize = 8;

/// Takes the prefixes off `row`: what they said, and where the message begins.
pub(super) fn strip(row: &str, customs: &Customs) -> (Meta, usize) {
    let mut meta = Meta::default();
    let mut at = 0;
    for _ in 0..MAX_LAYERS {
        let rest = &row[at..];
        match layer(rest, &mut meta, customs) {
            Some(taken) if taken > 0 => at += taken,
            _ => break,
        }
        meta.recognised = true;
        if meta.kind == LineKind::User {
            break;
        }
    }
    if meta.kind != LineKind::User
        && let Some(taken) = customs.inner.as_ref().and_then(|inner| inner.strip(&row[at..]))
    {
        meta.recognised = true;
        at += taken;
    }
    (meta, at)
}

/// One layer: its length.
fn layer(text: &str, meta: &mut Meta, customs: &Customs) -> Option<usize> {
    match text.as_bytes().first()? {
        b'[' => stamped(text, meta, customs)
            .or_else(|| (!said_kernel(meta)).then(|| dated(text, meta, customs)).flatten()),
        b'<' => leveled(text, meta, customs),
        b' ' | b'\t' => {
            let body = text.trim_start_matches([' ', '\t']);
            let blanks = text.len() - body.len();
            // below syslogd's line to all terminals
            if !said_kernel(meta)
                && let Some(taken) = syslog::kernel_tag(body)
            {
                kernel_says(meta);
                return Some(blanks + taken);
            }
            let stamp = printk::plain_stamp(body).is_some() && meta.time_ns.is_none();
            stamp.then(|| stamped(body, meta, customs)).flatten().map(|taken| blanks + taken)
        }
        b'(' => domain(text, meta),
        _ if said_kernel(meta) => None,
        b'0'..=b'9' => address(text, meta).or_else(|| dated(text, meta, customs)),
        b'A'..=b'Z' => dated(text, meta, customs),
        b'a'..=b'z' => printk::decoded_priority(text).map(|(level, taken)| {
            kernel_says(meta);
            meta.level = Some(level);
            taken
        }),
        _ => None,
    }
    .or_else(|| column(text, meta, customs))
}

/// Has a layer already shown that the kernel wrote the rest?
fn said_kernel(meta: &Meta) -> bool {
    meta.context != Context::None
}

fn kernel_says(meta: &mut Meta) {
    if meta.context == Context::None {
        meta.context = Context::Console;
    }
}

/// `[ts]`, `[ts][caller]` and what vendors put behind; the blank after it.
fn stamped(text: &str, meta: &mut Meta, customs: &Customs) -> Option<usize> {
    let (time, mut at) = printk::stamp(text)?;
    kernel_says(meta);
    meta.time_ns = time.or(meta.time_ns);
    // util-linux 2.41 puts a blank before the caller
    let blank = usize::from(text[at..].starts_with(" ["));
    if let Some((context, taken)) = printk::caller(&text[at + blank..]) {
        meta.context = context;
        at += blank + taken;
    } else if let Some((level, taken)) = printk::priority(&text[at..]) {
        meta.level = Some((level & 7) as u8);
        at += taken + usize::from(text[at + taken..].starts_with('.'));
    }
    if let Some((context, taken)) = printk::vendor_caller(&text[at..]) {
        meta.context = context;
        at += taken;
    }
    at += usize::from(text[at..].starts_with(' '));
    // `journalctl -o short-monotonic` puts host and tag behind the time.
    if customs.host_follows_time
        && let Some(tag) = syslog::tag(&text[at..], |host| customs.hosts.iter().any(|h| h == host))
        && tag.host.is_some()
    {
        tagged(&tag, meta);
        at += tag.length;
    }
    Some(at)
}

/// `<N>` with a message, a time, a date or the header of RFC 5424 behind it.
fn leveled(text: &str, meta: &mut Meta, customs: &Customs) -> Option<usize> {
    let (priority, at) = printk::priority(text)?;
    meta.level = Some((priority & 7) as u8);
    if let Some((time, tag)) = syslog::rfc5424(&text[at..]) {
        meta.time_ns = time;
        tagged(&tag, meta);
        return Some(at + tag.length);
    }
    let rest = &text[at..];
    if calendar::date(rest).is_some() && printk::stamp(rest).is_none() {
        let taken = dated(rest, meta, customs)?;
        if meta.kind != LineKind::User {
            kernel_says(meta);
        }
        return Some(at + taken);
    }
    kernel_says(meta);
    Some(at)
}

/// A collector's date, then a host and a tag or nothing.
fn dated(text: &str, meta: &mut Meta, customs: &Customs) -> Option<usize> {
    let (time, mut at) = calendar::date(text)?;
    let rest = text.get(at..)?;
    // The date must end where it ends.
    if !rest.is_empty() && !rest.starts_with([' ', '\t', ':', '|', '[', ']', '>']) {
        return None;
    }
    if meta.time_ns.is_none() {
        meta.time_ns = time;
    }
    let blanks = rest.len() - rest.trim_start_matches(' ').len();
    let date_end = at + blanks.min(customs.date_blanks.max(1));
    let body = rest.trim_start_matches([' ', '\t', ':', '|', '>']);
    let inner = text.len() - body.len();
    if let Some(tag) = syslog::tag(body, |host| customs.hosts.iter().any(|h| h == host)) {
        tagged(&tag, meta);
        return Some(inner + tag.length);
    }
    // A message of its own may begin with blanks: only a further prefix may
    // take more than those that end every date.
    let further = printk::stamp(body).is_some() || printk::priority(body).is_some();
    at = if further { inner } else { date_end };
    Some(at)
}

fn tagged(tag: &syslog::Tag<'_>, meta: &mut Meta) {
    meta.origin = tag.host.map(str::to_owned).or(meta.origin.take());
    meta.level = tag.level.or(meta.level);
    match tag.kernel {
        Some(true) => kernel_says(meta),
        Some(false) => {
            meta.kind = LineKind::User;
            meta.context = Context::None;
        }
        None => {}
    }
}

/// Xen's `(XEN) `, `(d1) `, `(d1v0) `.
fn domain(text: &str, meta: &mut Meta) -> Option<usize> {
    let end = text.find(") ").filter(|&at| at < 12)?;
    let name = &text[1..end];
    let guest = name.strip_prefix('d').is_some_and(|rest| {
        let (number, vcpu) = rest.split_once('v').unwrap_or((rest, "0"));
        printk::all_digits(number) && printk::all_digits(vcpu)
    });
    if name != "XEN" && !guest {
        return None;
    }
    meta.origin = Some(name.split('v').next().unwrap_or(name).to_owned());
    Some(end + 2)
}

/// A sender's address before a record, as netconsole receivers print it.
fn address(text: &str, meta: &mut Meta) -> Option<usize> {
    let word = text.split([' ', '>', '|']).next()?;
    let name = word.trim_end_matches(':');
    let quad = name.split(':').next()?;
    let is_address = quad.split('.').count() == 4
        && quad.split('.').all(|n| n.len() <= 3 && printk::all_digits(n));
    if !is_address {
        return None;
    }
    let rest = text[word.len()..].trim_start_matches([' ', ':', '|', '>', '-']);
    let record = super::kmsg::header(rest).is_some()
        || printk::stamp(rest).is_some()
        || printk::priority(rest).is_some();
    record.then(|| {
        meta.origin = Some(quad.to_owned());
        text.len() - rest.len()
    })
}

/// A column that was learned from the capture.
fn column(text: &str, meta: &mut Meta, customs: &Customs) -> Option<usize> {
    let column = customs.column.as_ref()?;
    if said_kernel(meta) {
        return None;
    }
    let (taken, origin) = column.strip(text)?;
    meta.origin = origin.or(meta.origin.take());
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> (String, Meta) {
        let customs =
            Customs { hosts: vec!["host1".into()], host_follows_time: true, ..Customs::default() };
        let (meta, at) = strip(row, &customs);
        (row[at..].to_owned(), meta)
    }

    #[test]
    fn prefixes_of_every_channel() {
        let message = " dump_stack+0x194/0x257";
        for prefix in [
            "[   55.468844] ",
            "[   55.468844][ T9186] ",
            "<4>[   55.468844] ",
            "<4>[   55.468844][    C1] ",
            "  [   55.468844] ",
            "Nov 20 15:00:00 host1 kernel: [   55.468844] ",
            "Nov 20 15:00:00 host1 kernel: ",
            "Nov 20 15:00:00 host1 kernel:[   55.468844] ",
            "<4>Nov 20 15:00:00 host1 kernel: ",
            "2025-11-20T15:00:00.123+00:00 host1 kernel: [   55.468844] ",
            "2025-11-20T15:00:00+0000 host1 kernel: ",
            "<4>1 2025-11-20T15:00:00Z host1 kernel - - - [   55.468844] ",
            "[Thu Nov 20 15:00:00 2025] ",
            "kern  :warn  : [   55.468844] ",
            "kern  :warn  : [Thu Nov 20 15:00:00 2025] ",
            "2024-11-20T15:00:00.123456  [   55.468844] ",
            "2024-11-20T15:00:00.123456Z <4>[   55.468844] ",
            "[2024-11-20T15:00:00.123Z] [   55.468844] ",
            "[15:00:00] [   55.468844] ",
            "(d1) [   55.468844] ",
            "[   55.468844] host1 kernel: ",
            "1763650800.123456 host1 kernel: ",
            "Thu Nov 20 15:00:00 2025 kern.warn kernel: [   55.468844] ",
            "10.0.0.5: [   55.468844] ",
            "[   55.468844 <    0.000012>] ",
            "[   55.468844] [0:  swapper/0:    1] ",
            "<4>[   55.468844]  [0:  swapper/0:    1] ",
        ] {
            let (text, meta) = read(&format!("{prefix}{message}"));
            assert_eq!(text, message, "{prefix}");
            assert_ne!(meta.context, Context::None, "{prefix}");
        }
    }

    #[test]
    fn what_is_no_prefix_stays() {
        for row in [
            " [<ffffffff81844c6b>] pipe_lock+0x5b/0x70",
            "[<80de0078>] (dump_backtrace) from [<80de0574>] (show_stack+0x28/0x2c)",
            "[00000ea3] *pgd=00000000",
            "BUG: KASAN: use-after-free in x+0x1/0x2",
            " <TASK>",
            "5fe0: 00000000 00000000 00000000",
            "Modules linked in: a(O) b",
            "0010:foo",
            "INFO: task a:1 blocked for more than 120 seconds.",
        ] {
            let (text, meta) = read(row);
            assert_eq!(text, row);
            assert!(!meta.recognised, "{row}");
        }
    }

    #[test]
    fn another_program_is_told_apart() {
        let (text, meta) = read("Nov 20 15:00:00 host1 sshd[7]: BUG: not the kernel's");
        assert_eq!(text, "sshd[7]: BUG: not the kernel's");
        assert_eq!(meta.kind, LineKind::User);
        assert_eq!(meta.origin.as_deref(), Some("host1"));
    }

    #[test]
    fn a_go_date_makes_no_context() {
        let (text, meta) = read("2018/01/09 14:28:48 BUG: memory leak");
        assert_eq!(text, "BUG: memory leak");
        assert_eq!(meta.context, Context::None);
    }
}
