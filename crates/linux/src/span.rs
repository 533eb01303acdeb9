//! A large range of kernel memory read at once, with the pages that could not be had remembered.

use necropsy_dump::Fault;
use necropsy_machine::Target;

/// Bytes of a range of kernel virtual memory, and its holes.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    bytes: Vec<u8>,
    /// First and end offset of each hole, ascending, and why it is one.
    holes: Vec<(usize, usize, Fault)>,
}

impl Span {
    /// Reads `len` bytes at virtual `address`. The caller has checked that `len` is sane: so much
    /// address space is taken, though only memory that is in the dump is ever touched.
    pub(crate) fn read(target: &Target, address: u64, len: u64) -> Span {
        let len = usize::try_from(len).unwrap_or(0);
        let mut span = Span { bytes: vec![0; len], holes: Vec::new() };
        let page = target.page_size();
        let mut at = 0;
        while at < len {
            let here = address.wrapping_add(at as u64);
            let end = (at + (page - here % page) as usize).min(len);
            if let Err(fault) = target.read(here, &mut span.bytes[at..end]) {
                match span.holes.last_mut() {
                    Some(hole) if hole.1 == at && hole.2.reason == fault.reason => hole.1 = end,
                    _ => span.holes.push((at, end, fault)),
                }
            }
            at = end;
        }
        span
    }

    /// A span without holes.
    #[cfg(test)]
    pub(crate) fn of(bytes: Vec<u8>) -> Span {
        Span { bytes, holes: Vec::new() }
    }

    /// Makes `start..end` a hole.
    #[cfg(test)]
    pub(crate) fn punch(&mut self, start: usize, end: usize, fault: Fault) {
        self.bytes[start..end].fill(0);
        self.holes.push((start, end, fault));
        self.holes.sort_by_key(|hole| hole.0);
    }

    /// Bytes in all, holes included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that could not be read.
    pub(crate) fn holes(&self) -> &[(usize, usize, Fault)] {
        &self.holes
    }

    /// `len` bytes at offset `at`; `None` beyond the end.
    ///
    /// # Errors
    /// The fault of the first hole among them.
    pub(crate) fn get(&self, at: usize, len: usize) -> Result<Option<&[u8]>, Fault> {
        let Some(bytes) = at.checked_add(len).and_then(|end| self.bytes.get(at..end)) else {
            return Ok(None);
        };
        let first = self.holes.partition_point(|hole| hole.1 <= at);
        match self.holes.get(first) {
            Some(hole) if hole.0 < at + len => Err(hole.2),
            _ => Ok(Some(bytes)),
        }
    }

    /// All bytes; holes read as zeros. Only for searches.
    pub(crate) fn sparse(&self) -> &[u8] {
        &self.bytes
    }
}

/// How the machine lays out numbers in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    big_endian: bool,
    word: usize,
}

impl Default for Numbers {
    /// Little-endian, with words of eight bytes.
    fn default() -> Self {
        Numbers { big_endian: false, word: 8 }
    }
}

impl Numbers {
    /// Little-endian, with words of four bytes.
    #[cfg(test)]
    pub(crate) fn narrow() -> Numbers {
        Numbers { big_endian: false, word: 4 }
    }

    /// As a target has them.
    pub fn of(target: &Target) -> Numbers {
        Numbers { big_endian: target.big_endian(), word: target.pointer_size() as usize }
    }

    /// Bytes of a word (`unsigned long`, a pointer).
    pub fn word_size(self) -> usize {
        self.word
    }

    /// Whether the most significant byte comes first, and bit-fields begin with that bit.
    pub fn big_endian(self) -> bool {
        self.big_endian
    }

    /// A number of up to eight bytes at `at`; 0 beyond the end.
    pub fn number(self, bytes: &[u8], at: usize, size: usize) -> u64 {
        let field = at.checked_add(size.min(8)).and_then(|end| bytes.get(at..end)).unwrap_or(&[]);
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.big_endian {
            true => field.iter().fold(0, fold),
            false => field.iter().rev().fold(0, fold),
        }
    }

    /// The words that `bytes` hold; a rest shorter than one is left out.
    pub fn words(self, bytes: &[u8]) -> Vec<u64> {
        bytes.chunks_exact(self.word).map(|word| self.number(word, 0, self.word)).collect()
    }
}

#[cfg(test)]
mod tests {
    use necropsy_dump::Reason;

    use super::*;

    #[test]
    fn holes_cost_only_what_touches_them() {
        let fault = Fault::kernel(0x1010, Reason::Excluded);
        let mut span = Span::of((0..64).collect());
        span.punch(16, 32, fault);
        assert_eq!(span.get(8, 8), Ok(Some(&[8, 9, 10, 11, 12, 13, 14, 15][..])));
        assert_eq!(span.get(8, 9), Err(fault));
        assert_eq!(span.get(31, 1), Err(fault));
        assert_eq!(span.get(32, 1), Ok(Some(&[32][..])));
        assert_eq!(span.get(60, 5), Ok(None));
        assert_eq!(span.get(usize::MAX, 2), Ok(None));
    }

    #[test]
    fn numbers_have_the_order_of_the_machine() {
        let little = Numbers::default();
        assert_eq!(little.number(&[1, 2, 3, 4], 1, 2), 0x0302);
        assert_eq!(little.number(&[1, 2], 1, 4), 0, "a field that is cut is no number");
        let big = Numbers { big_endian: true, word: 4 };
        assert_eq!(big.number(&[1, 2, 3, 4], 1, 2), 0x0203);
        assert_eq!(big.words(&[0, 0, 1, 2, 3, 4, 5, 6, 7]), [0x102, 0x0304_0506]);
    }
}
