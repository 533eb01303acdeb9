//! In which way what is there differs from what should be: the hand that damage shows.

use std::fmt;

use necropsy_lexicon::value::{self, PoisonKind};

/// How two values, or two runs of bytes, differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// In one bit, counted from the lowest of the first byte.
    OneBit(u64),
    /// In one byte, counted from the first.
    OneByte(u64),
    /// It is text.
    Text(String),
    /// It is a pattern that the kernel writes on purpose.
    Poison(&'static str),
    /// It is so much larger, or smaller.
    Shifted(i64),
    /// Its halves changed places.
    SwappedHalves,
    /// So many bytes are zero.
    Zeroed(u64),
    /// Every so many bytes, one or a few differ.
    Stride(u64),
    /// Nearly everything on a page differs.
    WholePage,
    /// So many bytes differ.
    Bytes(u64),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::OneBit(bit) => write!(f, "one bit {bit}"),
            Difference::OneByte(byte) => write!(f, "one byte {byte}"),
            Difference::Text(text) => write!(f, "ascii {text:?}"),
            Difference::Poison(name) => write!(f, "poison {name}"),
            Difference::Shifted(by) => write!(f, "shifted by {by}"),
            Difference::SwappedHalves => f.write_str("swapped halves"),
            Difference::Zeroed(bytes) => write!(f, "zeroed run of {bytes}"),
            Difference::Stride(bytes) => write!(f, "stride {bytes}"),
            Difference::WholePage => f.write_str("whole page"),
            Difference::Bytes(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}

/// Numbers that lie no further apart are one shifted.
const SHIFTED: u64 = 0x1000;
/// Text shown.
const SHOWN: usize = 32;
/// Bytes that must be printable to be text.
const TEXT: usize = 4;
const PAGE: usize = 4096;

impl Difference {
    /// Of a word that is not what it should be.
    pub fn of_words(expected: u64, found: u64) -> Option<Difference> {
        if expected == found {
            return None;
        }
        let (want, is) = (expected.to_le_bytes(), found.to_le_bytes());
        if let Some(bit) = value::flipped_bit(expected, found) {
            return Some(Difference::OneBit(bit.into()));
        }
        if let Some(known) = Difference::of_word(found) {
            return Some(known);
        }
        if want.iter().zip(&is).filter(|(a, b)| a != b).count() == 1 {
            let at = want.iter().zip(&is).position(|(a, b)| a != b).unwrap_or(0);
            return Some(Difference::OneByte(at as u64));
        }
        if found == expected.rotate_left(32) {
            return Some(Difference::SwappedHalves);
        }
        if expected.abs_diff(found) <= SHIFTED {
            return Some(Difference::Shifted(found.wrapping_sub(expected) as i64));
        }
        Difference::of_bytes(&want, &is)
    }

    /// Of a word of which nobody knows what it should be.
    pub fn of_word(found: u64) -> Option<Difference> {
        let poison = value::poison(found, true).filter(|p| p.kind != PoisonKind::Magic);
        if let Some(poison) = poison {
            return Some(Difference::Poison(poison.name));
        }
        if found == 0 {
            return Some(Difference::Zeroed(8));
        }
        let text = value::printable(found, 8).filter(|text| text.len() >= TEXT);
        text.map(Difference::Text)
    }

    /// Of runs of bytes; what one has more than the other is left out.
    pub fn of_bytes(expected: &[u8], found: &[u8]) -> Option<Difference> {
        let differ = |(_, (a, b)): &(usize, (&u8, &u8))| a != b;
        let wrong: Vec<usize> =
            expected.iter().zip(found).enumerate().filter(differ).map(|(at, _)| at).collect();
        let (first, last) = (*wrong.first()?, *wrong.last()?);
        if let [at] = wrong.as_slice() {
            let differ = expected.get(*at)? ^ found.get(*at)?;
            return Some(if differ.is_power_of_two() {
                Difference::OneBit(*at as u64 * 8 + u64::from(differ.trailing_zeros()))
            } else {
                Difference::OneByte(*at as u64)
            });
        }
        if wrong.len() * 10 >= PAGE * 9 {
            return Some(Difference::WholePage);
        }
        let run = found.get(first..=last)?;
        if run.iter().all(|byte| *byte == 0) {
            return Some(Difference::Zeroed(run.len() as u64));
        }
        if let Some(poison) = run.first_chunk().and_then(|chunk: &[u8; 8]| {
            let same = run.iter().all(|byte| byte == &chunk[0]);
            value::poison(u64::from_le_bytes(*chunk), true).filter(|_| same)
        }) {
            return Some(Difference::Poison(poison.name));
        }
        if run.len() >= TEXT && run.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            let text = run.iter().take(SHOWN).map(|byte| char::from(*byte)).collect();
            return Some(Difference::Text(text));
        }
        let gaps: Vec<usize> = wrong.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if let Some(gap) = gaps.first()
            && gaps.len() >= 2
            && *gap > 1
            && gaps.iter().all(|other| other == gap)
        {
            return Some(Difference::Stride(*gap as u64));
        }
        Some(Difference::Bytes(wrong.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let of = |expected, found| Difference::of_words(expected, found).map(|d| d.to_string());
        let pointer = 0xffff_8880_1234_5678;
        assert_eq!(of(pointer, pointer), None);
        assert_eq!(of(pointer, pointer ^ 0x100).as_deref(), Some("one bit 8"));
        assert_eq!(of(pointer, pointer ^ 0x3300).as_deref(), Some("one byte 1"));
        assert_eq!(of(pointer, 0x3f3f_3f3f_3f3f_3f3f).as_deref(), Some("ascii \"????????\""));
        assert_eq!(of(pointer, 0x6b6b_6b6b_6b6b_6b6b).as_deref(), Some("poison POISON_FREE"));
        assert_eq!(of(pointer, 0).as_deref(), Some("zeroed run of 8"));
        assert_eq!(of(pointer, 0x1234_5678_ffff_8880).as_deref(), Some("swapped halves"));
        assert_eq!(of(0xff, 0x1ff - 0x80).as_deref(), Some("shifted by 128"));
        assert_eq!(of(pointer, 0x0102_0384_7788_99aa).as_deref(), Some("8 bytes"));
    }

    #[test]
    fn runs() {
        let of = |found: &[u8]| {
            Difference::of_bytes(&vec![0xcc; found.len()], found).map(|d| d.to_string())
        };
        let mut run = vec![0xcc; 64];
        assert_eq!(of(&run), None);
        run[9] ^= 4;
        assert_eq!(of(&run).as_deref(), Some("one bit 74"));
        run[17] ^= 4;
        run[25] ^= 4;
        assert_eq!(of(&run).as_deref(), Some("stride 8"));
        run[8..32].fill(0);
        assert_eq!(of(&run).as_deref(), Some("zeroed run of 24"));
        run[8..32].fill(b'A');
        assert!(of(&run).unwrap().starts_with("ascii \"AAAA"));
        run[8..32].fill(0x6b);
        assert_eq!(of(&run).as_deref(), Some("poison POISON_FREE"), "though k is a letter");
        run[8..32].fill(0xbb);
        assert_eq!(of(&run).as_deref(), Some("poison SLUB_RED_INACTIVE"));
        assert_eq!(of(&[7; 4096]).as_deref(), Some("whole page"));
    }
}
