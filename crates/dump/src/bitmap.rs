//! Page bitmaps with rank: which frames are there, and how many before a given one.
//!
//! A bitmap is read where it lies. What is kept of it is a count for each group of its bytes that
//! are not a hole of the file, so that memory follows from what the file holds, not from how many
//! frames its header claims.

use std::{borrow::Cow, sync::OnceLock};

use rayon::prelude::*;

use crate::image::Image;

/// Bytes counted together: 32 MB of memory in 4 KiB pages. The counts take 1/128 of the bitmap.
const GROUP: u64 = 1024;
/// Bits of a group.
const BITS: u64 = GROUP * 8;

/// Which bit of a byte is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Low,
    High,
}

/// Neighbouring groups that may hold a set bit.
#[derive(Debug)]
struct Extent {
    first: u64,
    end: u64,
    /// How many groups there are in the extents before.
    before: usize,
}

/// A bitmap in an image; every question names the image that it was made of.
#[derive(Debug)]
pub(crate) struct Bitmap {
    offset: u64,
    /// Bytes.
    len: u64,
    order: First,
    /// Disjoint, ascending.
    extents: Vec<Extent>,
    /// How many bits are set before each group of the extents, and in all.
    counts: OnceLock<Vec<u64>>,
}

impl Bitmap {
    /// `len` bytes from `offset` on, or as many of them as there are: a bit that cannot be read would
    /// make all that are counted after it wrong.
    pub(crate) fn new(image: &Image, offset: u64, len: u64, order: First) -> Self {
        let len = image.readable(offset, len);
        let mut extents: Vec<Extent> = Vec::new();
        for part in image.data_in(offset, len) {
            let first = (part.start - offset) / GROUP;
            let end = (part.end - offset).div_ceil(GROUP);
            match extents.last_mut() {
                Some(last) if last.end >= first => last.end = last.end.max(end),
                last => {
                    let before = last.map_or(0, |e| e.before + (e.end - e.first) as usize);
                    extents.push(Extent { first, end, before });
                }
            }
        }
        Bitmap { offset, len, order, extents, counts: OnceLock::new() }
    }

    /// How many bits there are.
    pub(crate) fn bits(&self) -> u64 {
        self.len.saturating_mul(8)
    }

    fn group<'a>(&self, image: &'a Image, group: u64) -> Cow<'a, [u8]> {
        let at = group * GROUP;
        let len = GROUP.min(self.len.saturating_sub(at)) as usize;
        let bytes = image.get(self.offset + at, len).unwrap_or_default();
        match self.order {
            First::Low => bytes,
            First::High => bytes.iter().map(|byte| byte.reverse_bits()).collect(),
        }
    }

    /// The extent that holds `group`, or the next one.
    fn extent(&self, group: u64) -> Option<&Extent> {
        self.extents.get(self.extents.partition_point(|extent| extent.end <= group))
    }

    /// Whether `bit` is set; `None` beyond the end.
    pub(crate) fn test(&self, image: &Image, bit: u64) -> Option<bool> {
        if bit >= self.bits() {
            return None;
        }
        let byte = *image.get(self.offset + bit / 8, 1)?.first()?;
        let byte = if self.order == First::High { byte.reverse_bits() } else { byte };
        Some(byte & (1 << (bit % 8)) != 0)
    }

    /// The first bit at or after `from`, before `end`, that equals `value`.
    pub(crate) fn find(&self, image: &Image, from: u64, end: u64, value: bool) -> Option<u64> {
        let end = end.min(self.bits());
        let mut at = from;
        while at < end {
            let group = at / BITS;
            match self.extent(group).map(|extent| extent.first) {
                Some(first) if first <= group => {}
                // A hole: nothing but zeros.
                _ if !value => return Some(at),
                Some(first) => {
                    at = first * BITS;
                    continue;
                }
                None => return None,
            }
            let bytes = self.group(image, group);
            let base = group * BITS;
            if let Some(found) = find(&bytes, at - base, end - base, value) {
                return Some(base + found);
            }
            at = base + BITS;
        }
        None
    }

    /// How many bits are set before `bit`.
    pub(crate) fn rank(&self, image: &Image, bit: u64) -> u64 {
        let counts = self.counts.get_or_init(|| {
            let groups: Vec<u64> =
                self.extents.iter().flat_map(|extent| extent.first..extent.end).collect();
            // The bitmap of a machine of 12 TB has 400 MB.
            let mut counts: Vec<u64> = groups
                .par_iter()
                .with_min_len(1024)
                .map(|&group| ones(&self.group(image, group)))
                .collect();
            let mut count = 0;
            for of_group in &mut counts {
                count += std::mem::replace(of_group, count);
            }
            counts.push(count);
            counts
        });
        let bit = bit.min(self.bits());
        let group = bit / BITS;
        let all = counts.last().copied().unwrap_or(0);
        let Some(extent) = self.extent(group) else { return all };
        if group < extent.first {
            return counts.get(extent.before).copied().unwrap_or(all);
        }
        let index = extent.before + (group - extent.first) as usize;
        let before = counts.get(index).copied().unwrap_or(all);
        if bit.is_multiple_of(BITS) {
            return before;
        }
        let bytes = self.group(image, group);
        let byte = ((bit % BITS) / 8) as usize;
        let within = bytes.get(..byte).map_or(0, ones);
        let last = bytes.get(byte).map_or(0, |b| (b & ((1u8 << (bit % 8)) - 1)).count_ones());
        before + within + u64::from(last)
    }
}

fn ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 =
        words.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The first bit of `bytes` at or after `from`, before `end`, that equals `value`.
fn find(bytes: &[u8], from: u64, end: u64, value: bool) -> Option<u64> {
    let end = end.min(bytes.len() as u64 * 8);
    let skip: u8 = if value { 0 } else { 0xff };
    let mut bit = from;
    while bit < end {
        let at = (bit / 8) as usize;
        if bit.is_multiple_of(8) && bytes[at] == skip {
            let rest = &bytes[at..end.div_ceil(8) as usize];
            let (words, _) = rest.as_chunks::<8>();
            let wide = u64::from_le_bytes([skip; 8]);
            let whole = words.iter().take_while(|w| u64::from_le_bytes(**w) == wide).count() * 8;
            let tail = rest[whole..].iter().take_while(|&&byte| byte == skip).count();
            bit += (whole + tail) as u64 * 8;
            continue;
        }
        let byte = if value { bytes[at] } else { !bytes[at] };
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
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    fn noise() -> Vec<u8> {
        let mut state = 12345u64;
        let mut bytes = vec![0u8; 5000];
        for byte in &mut bytes {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            *byte = match state >> 61 {
                0..=2 => 0,
                3..=4 => 0xff,
                _ => (state >> 40) as u8,
            };
        }
        bytes[1100..3300].fill(0);
        bytes[3300..4400].fill(0xff);
        bytes
    }

    #[test]
    fn rank_and_find_agree_with_counting() {
        let bytes = noise();
        for order in [First::Low, First::High] {
            let image = Image::from_bytes([vec![7; 100], bytes.clone()].concat()).unwrap();
            let bitmap = Bitmap::new(&image, 100, u64::MAX, order);
            let bits: Vec<bool> = (0..40_000)
                .map(|bit| {
                    let byte = bytes[bit / 8];
                    match order {
                        First::Low => byte & (1 << (bit % 8)) != 0,
                        First::High => byte & (0x80 >> (bit % 8)) != 0,
                    }
                })
                .collect();
            let mut count = 0;
            for (bit, &set) in bits.iter().enumerate() {
                assert_eq!(bitmap.test(&image, bit as u64), Some(set));
                assert_eq!(bitmap.rank(&image, bit as u64), count, "bit {bit}");
                count += u64::from(set);
                for value in [false, true] {
                    let end = (bit + 300).min(39_997);
                    let slow = (bit..end).find(|&i| bits[i] == value).map(|i| i as u64);
                    assert_eq!(bitmap.find(&image, bit as u64, end as u64, value), slow, "{bit}");
                }
            }
            assert_eq!(bitmap.rank(&image, u64::MAX), count);
            assert_eq!(bitmap.test(&image, 40_000), None);
        }
    }

    #[test]
    fn holes_cost_nothing() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let len = 1u64 << 40;
        file.as_file().set_len(len).unwrap();
        for at in [1 << 20, 1 << 39] {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[0xff; 8192]).unwrap();
        }
        let image = Image::open(file.path()).unwrap();
        let bitmap = Bitmap::new(&image, 4096, len, First::Low);
        let (first, second) = (((1u64 << 20) - 4096) * 8, ((1u64 << 39) - 4096) * 8);
        assert_eq!(bitmap.find(&image, 0, u64::MAX, true), Some(first));
        assert_eq!(bitmap.find(&image, first + 65536, u64::MAX, true), Some(second));
        assert_eq!(bitmap.find(&image, second + 65536, u64::MAX, true), None);
        assert_eq!(bitmap.find(&image, first, u64::MAX, false), Some(first + 65536));
        assert_eq!(bitmap.rank(&image, second + 5), 65536 + 5);
        assert_eq!(bitmap.rank(&image, second - 5), 65536);
        assert_eq!(bitmap.rank(&image, u64::MAX), 2 * 65536);
        assert_eq!(bitmap.rank(&image, 5), 0);
    }
}
