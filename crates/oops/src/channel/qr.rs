//! The QR code of the DRM panic screen (`drivers/gpu/drm/drm_panic_qr.rs`):
//! a URL whose last parameter is the newest kernel log as a zlib stream, the
//! bytes written as decimal digits.

use super::compress;

/// Digits that encode 0 to 6 bytes at the end of `z=`.
const REMAINDER: [usize; 7] = [0, 3, 5, 8, 10, 13, 15];

/// Digits that are read. One code holds up to 7,089, but a URL may be made by
/// other means.
const MAX_DIGITS: usize = 1 << 20;

/// The text in the URL that `input` holds, and notes on the machine.
pub(super) fn decode(input: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
    let text = std::str::from_utf8(&input[..input.len().min(2 << 20)]).ok()?;
    for (name, bytes) in [("z=", seventeen as fn(&[u8]) -> Option<Vec<u8>>), ("zl=", thirteen_bits)]
    {
        for (at, _) in text.match_indices(name) {
            let separated = at == 0 || b"?&#;".contains(&text.as_bytes()[at - 1]);
            if !separated {
                continue;
            }
            let digits = digits_of(&text[at + name.len()..]);
            if let Some(opened) = bytes(&digits).and_then(|stream| compress::zlib(&stream))
                && compress::is_text(&opened.bytes)
            {
                return Some((opened.bytes, notes(&text[..at], opened.cut)));
            }
        }
    }
    None
}

/// The digits that follow, over line breaks that a mail may have put in.
fn digits_of(text: &str) -> Vec<u8> {
    text.bytes()
        .filter(|b| !matches!(b, b'\n' | b'\r' | b' '))
        .take_while(u8::is_ascii_digit)
        .take(MAX_DIGITS)
        .map(|b| b - b'0')
        .collect()
}

fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}

/// `z=` (since 6.14): 17 digits are 7 bytes, little-endian.
fn seventeen(digits: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 17 * 7 + 7);
    for group in digits.chunks(17) {
        let count = match group.len() {
            17 => 7,
            rest => REMAINDER.iter().position(|digits| *digits == rest)?,
        };
        bytes.extend_from_slice(&value(group).to_le_bytes()[..count]);
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// `zl=` (6.10 to 6.13): 4 digits are 13 bits, the most significant first.
fn thirteen_bits(digits: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 2);
    let (mut pending, mut count) = (0u32, 0u32);
    let groups = digits.len().div_ceil(4);
    for (index, group) in digits.chunks(4).enumerate() {
        let number = value(group) as u32;
        let bits = match index + 1 == groups {
            false => 13,
            true => last_bits(group.len() as u32, index as u32, number)?,
        };
        pending = pending << bits | number & ((1 << bits) - 1);
        count += bits;
        while count >= 8 {
            count -= 8;
            bytes.push((pending >> count) as u8);
        }
        pending &= (1 << count) - 1;
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Bits of the last group, such that whole bytes come out. By the kernel's
/// count one digit stands for 1 to 4 bits, two for 5 to 7, three for 8 to 10,
/// four for 11 to 13; but 4 bits can need two digits, which it prints.
fn last_bits(digits: u32, groups_before: u32, number: u32) -> Option<u32> {
    let expected = match digits {
        1 => 1..=4,
        2 => 4..=7,
        3 => 8..=10,
        _ => 11..=13,
    };
    let whole = |bits: &u32| (13 * groups_before + bits).is_multiple_of(8);
    let holds = |bits: &u32| whole(bits) && number < 1 << bits;
    expected.clone().find(holds).or_else(|| (1..=13).find(holds))
}

/// What the other parameters say.
fn notes(url: &str, cut: bool) -> Vec<String> {
    let start = url.rfind(['?', '#', '\n']).unwrap_or(0);
    let mut notes: Vec<String> = url[start..]
        .split(['?', '&', '#'])
        .filter_map(|parameter| {
            let (key, value) = parameter.trim().split_once('=')?;
            let what = match key {
                "a" => "machine",
                "v" => "kernel",
                "d" => "distribution",
                _ => return None,
            };
            (value.len() < 128).then(|| format!("{what} {value}"))
        })
        .collect();
    if cut {
        notes.push("the code was cut short".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] =
        b"[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000\n";

    fn packed(extra: usize) -> (Vec<u8>, Vec<u8>) {
        let mut text = TEXT.to_vec();
        text.extend((0..extra).map(|n| b'a' + (n % 26) as u8));
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&text).unwrap();
        (text, encoder.finish().unwrap())
    }

    fn as_seventeen(bytes: &[u8]) -> String {
        bytes
            .chunks(7)
            .map(|group| {
                let mut word = [0; 8];
                word[..group.len()].copy_from_slice(group);
                let width = if group.len() == 7 { 17 } else { REMAINDER[group.len()] };
                format!("{:0width$}", u64::from_le_bytes(word))
            })
            .collect()
    }

    fn as_thirteen(bytes: &[u8]) -> String {
        let bits: Vec<u8> =
            bytes.iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1)).collect();
        bits.chunks(13)
            .map(|group| {
                let number = group.iter().fold(0u32, |sum, bit| sum << 1 | u32::from(*bit));
                let width = match group.len() {
                    13 => 4,
                    1 => 1,
                    n => (n + 1) / 3,
                };
                format!("{number:0width$}")
            })
            .collect()
    }

    #[test]
    fn both_encodings_at_every_remainder() {
        for extra in 0..40 {
            let (text, stream) = packed(extra);
            for (name, digits) in [("z", as_seventeen(&stream)), ("zl", as_thirteen(&stream))] {
                let url = format!(
                    "https://kdj0c.github.io/panic_report?a=x86_64&v=6.15.0&{name}={digits}\n"
                );
                let (got, notes) = decode(url.as_bytes()).unwrap();
                assert_eq!(got, text, "{name} with {extra}");
                assert_eq!(notes, ["machine x86_64", "kernel 6.15.0"]);
                let fragment = format!("https://example.org/p#?a=x86_64&{name}={digits}");
                assert_eq!(decode(fragment.as_bytes()).unwrap().0, text);
            }
        }
    }

    #[test]
    fn no_code_no_text() {
        assert!(decode(b"https://example.org/?q=1&z=12345678901234567").is_none());
        assert!(decode(b"sz=17 z=").is_none());
    }
}
