//! The prefix that printk itself and `dmesg` put before a message:
//! `<N>`, `[   12.345678]`, `[ T123]` / `[ C4]` (`kernel/printk/printk.c`,
//! `print_prefix`), and `dmesg`'s variants (`sys-utils/dmesg.c`).

use super::calendar;
use crate::Context;

/// `<N>`: syslog facility and level as one number, and what it takes.
pub(super) fn priority(text: &str) -> Option<(u16, usize)> {
    let digits = text.strip_prefix('<')?;
    let end = digits.find('>').filter(|&at| (1..=3).contains(&at))?;
    let value = digits[..end].parse().ok()?;
    Some((value, end + 2))
}

/// `seconds.fraction` with 6 digits (3 or 9 elsewhere), as ns.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    if whole.is_empty() || whole.len() > 10 || !matches!(fraction.len(), 3 | 6 | 9) {
        return None;
    }
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let scale = 10u64.pow(9 - fraction.len() as u32);
    let nanoseconds = fraction.parse::<u64>().ok()? * scale;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

pub(super) fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[   12.345678]` and the forms `dmesg -d` makes of it: time in ns, length.
pub(super) fn stamp(text: &str) -> Option<(Option<u64>, usize)> {
    let inner = bracket(text, 40)?;
    let taken = inner.len() + 2;
    let body = inner.trim();
    if let Some(time) = six_digits(body) {
        return Some((Some(time), taken));
    }
    // `[    1.234567 <    0.000012>]`, `[<    0.000012>]`
    if let Some((before, delta)) = body.split_once('<') {
        seconds(delta.trim_end_matches('>').trim())?;
        let before = before.trim();
        return match before.is_empty() {
            true => Some((None, taken)),
            false => Some((six_digits(before), taken)),
        };
    }
    // `[  +0.000012]`
    if let Some(delta) = body.strip_prefix('+') {
        seconds(delta)?;
        return Some((None, taken));
    }
    // `[Nov20 15:00]`
    if calendar::short_stamp(body) {
        return Some((None, taken));
    }
    // `[Thu Nov 20 15:00:00 2025]`
    let (moment, used) = calendar::weekday_date(body)?;
    (used == body.len()).then_some((moment, taken))
}

/// The strict form: six digits after the point, as printk prints it.
fn six_digits(body: &str) -> Option<u64> {
    let point = body.find('.')?;
    (body.len() - point == 7).then(|| seconds(body)).flatten()
}

/// `[   12.345678]` and nothing else: length.
pub(super) fn plain_stamp(text: &str) -> Option<usize> {
    let inner = bracket(text, 24)?;
    six_digits(inner.trim_start()).map(|_| inner.len() + 2)
}

/// What is between `[` and the next `]`, if that is near.
fn bracket(text: &str, limit: usize) -> Option<&str> {
    let body = text.strip_prefix('[')?.as_bytes();
    let end = body.iter().take(limit).position(|&b| b == b']')?;
    text.get(1..1 + end)
}

/// `[ T123]`, `[    C4]`: the caller and its length.
pub(super) fn caller(text: &str) -> Option<(Context, usize)> {
    let inner = bracket(text, 24)?;
    Some((caller_id(inner.trim_start())?, inner.len() + 2))
}

/// `T123` or `C4`.
pub(super) fn caller_id(text: &str) -> Option<Context> {
    let number = text.get(1..).filter(|n| all_digits(n))?.parse().ok()?;
    match text.as_bytes().first()? {
        b'T' => Some(Context::Task(number)),
        b'C' => Some(Context::Cpu(number)),
        _ => None,
    }
}

/// The processor and task that vendors' Android kernels put after the time:
/// `[0:  swapper/0:    1]`, `(0)[1:swapper/0]`, `(CPU:0-pid:1:swapper)`.
pub(super) fn vendor_caller(text: &str) -> Option<(Context, usize)> {
    let blanks = text.len() - text.trim_start_matches(' ').len();
    let body = &text[blanks..];
    if let Some(rest) = body.strip_prefix("(CPU:") {
        let end = rest.find(')').filter(|&at| at < 48)?;
        let (_, task) = rest[..end].split_once("-pid:")?;
        let pid = task.split(':').next()?.parse().ok()?;
        return Some((Context::Task(pid), blanks + 5 + end + 1));
    }
    let cpu = match body.strip_prefix('(') {
        Some(rest) => rest.find(')').filter(|&at| at < 4 && all_digits(&rest[..at]))? + 2,
        None => usize::from(body.starts_with(|c: char| "DIWE".contains(c))),
    };
    let list = bracket(&body[cpu..], 48)?;
    let parts: Vec<&str> = list.split(':').map(str::trim).collect();
    // a kernel thread's name may have a colon of its own
    let pid = match parts[..] {
        [pid, _, ..] if body.starts_with('(') => pid,
        [number, comm, .., pid]
            if number.len() <= 4
                && all_digits(number)
                && (parts.len() == 3 || comm.bytes().any(|b| b.is_ascii_alphabetic())) =>
        {
            pid
        }
        _ => return None,
    };
    let pid = pid.parse().ok()?;
    Some((Context::Task(pid), blanks + cpu + list.len() + 2))
}

/// `kern  :warn  : ` as `dmesg -x` prints it: level, length.
pub(super) fn decoded_priority(text: &str) -> Option<(u8, usize)> {
    let (facility, rest) = text.split_once(':')?;
    if facility.len() > 8 || !FACILITIES.contains(&facility.trim_end()) {
        return None;
    }
    let (level, _) = rest.split_once(':')?;
    let number = level_number(level.trim_end())?;
    let mut taken = facility.len() + 1 + level.len() + 1;
    taken += usize::from(text[taken..].starts_with(' '));
    Some((number, taken))
}

const FACILITIES: [&str; 20] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// The number of a level's name.
pub(super) fn level_number(name: &str) -> Option<u8> {
    Some(match name {
        "emerg" | "panic" => 0,
        "alert" => 1,
        "crit" => 2,
        "err" | "error" => 3,
        "warn" | "warning" => 4,
        "notice" => 5,
        "info" => 6,
        "debug" => 7,
        _ => return None,
    })
}

/// `kern.warn`, as busybox and OpenWrt print it: level.
pub(super) fn dotted_priority(token: &str) -> Option<u8> {
    let (facility, level) = token.split_once('.')?;
    FACILITIES.contains(&facility).then(|| level_number(level)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        assert_eq!(stamp("[   55.468844] BUG"), Some((Some(55_468_844_000), 14)));
        assert_eq!(stamp("[    1.234567 <    0.000012>] x"), Some((Some(1_234_567_000), 29)));
        assert_eq!(stamp("[<    0.000012>] x"), Some((None, 16)));
        assert_eq!(stamp("[  +0.000012] x"), Some((None, 13)));
        assert_eq!(stamp("[Nov20 15:00] x"), Some((None, 13)));
        assert_eq!(
            stamp("[Thu Nov 20 15:00:00 2025] x"),
            Some((Some(1_763_650_800_000_000_000), 26))
        );
        assert_eq!(stamp("[<ffffffff81844c6b>] pipe_lock+0x5b/0x70"), None);
        assert_eq!(stamp("[00000ea3] *pgd=00000000"), None);
        assert_eq!(stamp("[last unloaded: x]"), None);
    }

    #[test]
    fn callers() {
        assert_eq!(caller("[ T123] x"), Some((Context::Task(123), 7)));
        assert_eq!(caller("[    C4] x"), Some((Context::Cpu(4), 8)));
        assert_eq!(caller("[T] x"), None);
        assert_eq!(vendor_caller(" [0:  swapper/0:    1] x"), Some((Context::Task(1), 22)));
        assert_eq!(vendor_caller("(0)[17:swapper/0]x"), Some((Context::Task(17), 17)));
        assert_eq!(vendor_caller(" [1:  kworker/1:3:18034] x"), Some((Context::Task(18034), 24)));
        assert_eq!(vendor_caller("(1)[17:kworker/1:3]x"), Some((Context::Task(17), 19)));
        assert_eq!(vendor_caller(" [<c0101010>] (f) from"), None);
        assert_eq!(vendor_caller(" [1:2] x"), None);
    }

    #[test]
    fn priorities() {
        assert_eq!(priority("<4>[ts]"), Some((4, 3)));
        assert_eq!(priority("<TASK>"), None);
        assert_eq!(decoded_priority("kern  :warn  : [ts]"), Some((4, 15)));
        assert_eq!(decoded_priority("BUG: KASAN: x"), None);
        assert_eq!(dotted_priority("kern.err"), Some(3));
    }
}
