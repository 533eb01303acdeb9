//! Numbers and times as mdb prints them.

/// Bytes with a unit, as `%H` prints them.
pub fn human(bytes: u64) -> String {
    const UNITS: [char; 7] = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];
    let mut unit = 0;
    let mut whole = bytes;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 {
        return format!("{bytes}B");
    }
    let divisor = 1u64 << (10 * unit);
    if bytes.is_multiple_of(divisor) || whole >= 100 {
        format!("{whole}{}", UNITS[unit])
    } else if whole >= 10 {
        format!("{:.1}{}", bytes as f64 / divisor as f64, UNITS[unit])
    } else {
        format!("{:.2}{}", bytes as f64 / divisor as f64, UNITS[unit])
    }
}

/// Seconds since 1970 as `%Y` prints them: the user's time zone.
pub fn date(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => {
            let zoned = time.to_zoned(jiff::tz::TimeZone::system());
            zoned.strftime("%Y %b %e %H:%M:%S").to_string()
        }
        Err(_) => seconds.to_string(),
    }
}

/// Bytes as C would write them between quotes.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            b'\x08' => out.push_str("\\b"),
            b'\x0c' => out.push_str("\\f"),
            b'\x07' => out.push_str("\\a"),
            b'\x0b' => out.push_str("\\v"),
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b' '..=b'~' => out.push(byte as char),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out
}

/// What was typed and what there is: the nearest name, if it is near, or the shortest one that
/// begins with what was typed.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = typed.len().div_ceil(4).max(1);
    let rank = |name: &'a str| {
        let distance = distance(typed, name);
        let begins = typed.len() > 2 && name.starts_with(typed);
        (distance <= limit || begins).then_some((distance, name))
    };
    names.filter_map(rank).min().map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(4096), "4K");
        assert_eq!(human(208_896), "204K");
        assert_eq!(human(1_500_000), "1.43M");
    }

    #[test]
    fn typos_find_their_names() {
        let names = ["msgbuf", "ps", "findstack"];
        assert_eq!(nearest("msgbuff", names.into_iter()), Some("msgbuf"));
        assert_eq!(nearest("findstak", names.into_iter()), Some("findstack"));
        assert_eq!(nearest("find", names.into_iter()), Some("findstack"));
        assert_eq!(nearest("zzz", names.into_iter()), None);
    }
}
