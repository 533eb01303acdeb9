//! Page bitmaps with rank: which frames are there, and how many before a given one.

use std::sync::OnceLock;

/// Bits counted together: 64 bytes, one cache line.
const GROUP: u64 = 512;

/// How many bits are set before each group. Made once from the mapped bitmap; 1/8 of its size.
#[derive(Debug, Default)]
pub(crate) struct Ranks(OnceLock<Vec<u64>>);

impl Ranks {
    /// How many bits of `bitmap` are set before `bit`.
    pub(crate) fn rank(&self, bitmap: &[u8], bit: u64) -> u64 {
        let groups = self.0.get_or_init(|| {
            let mut count = 0;
            let groups = bitmap.chunks((GROUP / 8) as usize).map(|group| {
                let before = count;
                count += ones(group);
                before
            });
            let mut groups: Vec<u64> = groups.collect();
            groups.push(count);
            groups
        });
        let bit = bit.min(bitmap.len() as u64 * 8);
        let group = bit / GROUP;
        let start = (group * GROUP / 8) as usize;
        let byte = (bit / 8) as usize;
        let within = bitmap.get(start..byte).map_or(0, ones);
        let last = bitmap.get(byte).map_or(0, |b| (b & ((1u8 << (bit % 8)) - 1)).count_ones());
        groups.get(group as usize).copied().unwrap_or(0) + within + u64::from(last)
    }
}

fn ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u32 = words.iter().map(|word| u64::from_le_bytes(*word).count_ones()).sum();
    u64::from(words + rest.iter().map(|byte| byte.count_ones()).sum::<u32>())
}

/// Whether `bit` is set; `None` beyond the end.
pub(crate) fn test(bitmap: &[u8], bit: u64) -> Option<bool> {
    let byte = bitmap.get(usize::try_from(bit / 8).ok()?)?;
    Some(byte & (1 << (bit % 8)) != 0)
}

/// The first bit at or after `from`, before `end`, that equals `value`.
pub(crate) fn find(bitmap: &[u8], from: u64, end: u64, value: bool) -> Option<u64> {
    let end = end.min(bitmap.len() as u64 * 8);
    let skip: u8 = if value { 0 } else { 0xff };
    let mut bit = from;
    while bit < end {
        let at = (bit / 8) as usize;
        if bit.is_multiple_of(8) && bitmap[at] == skip {
            let rest = &bitmap[at..end.div_ceil(8) as usize];
            let (words, _) = rest.as_chunks::<8>();
            let wide = u64::from_le_bytes([skip; 8]);
            let whole = words.iter().take_while(|w| u64::from_le_bytes(**w) == wide).count() * 8;
            let tail = rest[whole..].iter().take_while(|&&byte| byte == skip).count();
            bit += (whole + tail) as u64 * 8;
            continue;
        }
        let byte = if value { bitmap[at] } else { !bitmap[at] };
        let ahead = byte >> (bit % 8);
        if ahead != 0 {
            bit += u64::from(ahead.trailing_zeros());
            return (bit < end).then_some(bit);
        }
        bit = (bit / 8 + 1) * 8;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_and_find_agree_with_counting() {
        let mut state = 12345u64;
        let mut bitmap = vec![0u8; 700];
        for byte in bitmap.iter_mut() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            *byte = match state >> 61 {
                0..=2 => 0,
                3..=4 => 0xff,
                _ => (state >> 40) as u8,
            };
        }
        let ranks = Ranks::default();
        let bits: Vec<bool> = (0..5600).map(|bit| test(&bitmap, bit).unwrap()).collect();
        let mut count = 0;
        for (bit, &set) in bits.iter().enumerate() {
            assert_eq!(ranks.rank(&bitmap, bit as u64), count, "bit {bit}");
            count += u64::from(set);
            for value in [false, true] {
                let end = (bit + 300).min(5597);
                let slow = (bit..end).find(|&i| bits[i] == value).map(|i| i as u64);
                assert_eq!(find(&bitmap, bit as u64, end as u64, value), slow, "bit {bit}");
            }
        }
        assert_eq!(ranks.rank(&bitmap, u64::MAX), count);
        assert_eq!(test(&bitmap, 5600), None);
    }
}
