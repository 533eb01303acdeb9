//! Moments as people write them.

use jiff::{Timestamp, tz::TimeZone};

/// A moment in the local time zone, as `date` and crash print it: `Sat Nov 21 00:07:31 UTC 2026`.
/// `seconds` since the epoch; a number that is no moment is shown as the number.
pub(crate) fn local(seconds: u64) -> String {
    moment(seconds).map_or_else(
        || seconds.to_string(),
        |at| at.to_zoned(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Z %Y").to_string(),
    )
}

/// A moment for programs: `2026-11-21T00:07:31Z`.
pub(crate) fn utc(seconds: u64) -> Option<String> {
    moment(seconds).map(|at| at.to_string())
}

fn moment(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// A time since boot as crash's UPTIME: `00:03:46`, `1 days, 02:00:00`.
pub(crate) fn uptime(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days} days, {clock}") } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(utc(1_795_219_651).as_deref(), Some("2026-11-21T00:07:31Z"));
        assert_eq!(utc(u64::MAX), None);
        assert_eq!(local(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn uptimes() {
        assert_eq!(uptime(5_900_000_000), "00:00:05");
        assert_eq!(uptime(93_784_000_000_000), "1 days, 02:03:04");
    }
}
