//! The events of one page (include/linux/ring_buffer.h): a word with kind and time, and data.

/// Kinds of `type_len` above the short lengths.
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;
/// Bits of the time since the event before.
const TIME_BITS: u32 = 27;
/// Bits that an absolute time does not hold.
const TIME_HIGH: u64 = 0xf8 << 56;

/// An event of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// When, in units of the trace's clock.
    pub(super) time: u64,
    /// Where its word begins in the page's data.
    pub(super) start: usize,
    /// Where its data lie in the page's.
    pub(super) data: (usize, usize),
}

/// Takes a page apart. Ends where something cannot be an event.
#[derive(Debug, Clone)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    time: u64,
}

impl<'a> Records<'a> {
    /// The events of a page's data, which begin at a time.
    pub(super) fn new(bytes: &'a [u8], time: u64) -> Records<'a> {
        Records { bytes, at: 0, time }
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Where the walk stands: after its end, where the events end.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            let start = self.at;
            let word = self.word(start)?;
            let (kind, delta) = (word & 31, u64::from(word >> 5));
            let body = start + 4;
            match kind {
                PADDING if delta == 0 => return None,
                PADDING => {
                    let length = self.word(body)? as usize;
                    self.at = body.checked_add(length).filter(|at| *at > body)?;
                }
                TIME_EXTEND => {
                    let high = u64::from(self.word(body)?) << TIME_BITS;
                    self.time = self.time.wrapping_add(high + delta);
                    self.at = body + 4;
                }
                TIME_STAMP => {
                    let low = (u64::from(self.word(body)?) << TIME_BITS) + delta;
                    let mut time = low | self.time & TIME_HIGH;
                    if time < self.time {
                        time = time.wrapping_add(1 << 59);
                    }
                    self.time = time;
                    self.at = body + 4;
                }
                short => {
                    let (from, length) = match short {
                        // The length counts the word that holds it.
                        0 => {
                            let length = self.word(body)? as usize;
                            (body + 4, length.checked_sub(4).filter(|length| *length > 0)?)
                        }
                        words => (body, words as usize * 4),
                    };
                    let end = from.checked_add(length).filter(|end| *end <= self.bytes.len())?;
                    self.time = self.time.wrapping_add(delta);
                    self.at = end.next_multiple_of(4);
                    return Some(Record { time: self.time, start, data: (from, end) });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn word(kind: u32, delta: u32) -> u32 {
        kind | delta << 5
    }

    #[test]
    fn times_and_lengths_add_up() {
        let bytes = page(&[
            word(2, 5),
            0xaa,
            0xbb, // two words of data, 5 after the page's time
            word(TIME_EXTEND, 1),
            2, // (2 << 27) + 1 more
            word(0, 3),
            12,
            0xcc,
            0xdd, // a length of its own: 8 bytes
            word(PADDING, 1),
            4, // taken back
            word(1, 0),
            0xee,
            word(PADDING, 0),
            0,
            0,
        ]);
        let records: Vec<Record> = Records::new(&bytes, 100).collect();
        let times: Vec<u64> = records.iter().map(|record| record.time).collect();
        let after = 105 + (2 << 27) + 1 + 3;
        assert_eq!(times, [105, after, after]);
        let lengths: Vec<usize> = records.iter().map(|r| r.data.1 - r.data.0).collect();
        assert_eq!(lengths, [8, 8, 4]);
    }

    #[test]
    fn an_absolute_time_keeps_the_high_bits() {
        let high = 0x10u64 << 56;
        let bytes = page(&[word(TIME_STAMP, 7), 1, word(1, 0), 0]);
        let records: Vec<Record> = Records::new(&bytes, high).collect();
        assert_eq!(records[0].time, high | ((1 << 27) + 7));
    }

    #[test]
    fn what_cannot_be_an_event_ends_the_page() {
        for words in [
            &[0, 0, 0][..],    // never written
            &[word(28, 0), 1], // longer than the page
            &[word(0, 0), u32::MAX, 0],
            &[word(0, 0), 4],
            &[word(PADDING, 1), 0, 0],
            &[word(TIME_EXTEND, 0)],
        ] {
            assert_eq!(Records::new(&page(words), 0).count(), 0, "{words:x?}");
        }
    }
}
