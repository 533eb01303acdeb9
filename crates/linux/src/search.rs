//! Where a value occurs in memory: every stored frame is looked at, in parallel.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::{kernel::Kernel, span::Numbers};

/// What is searched.
#[derive(Debug, Clone)]
pub enum Needle {
    /// A number of so many bytes (2, 4 or 8), at addresses that are a multiple of its size. Bits
    /// set in `mask` do not count.
    Word {
        /// The number.
        value: u64,
        /// Bits to leave out of account.
        mask: u64,
        /// Bytes.
        size: usize,
    },
    /// Any of several such numbers.
    Words {
        /// The numbers.
        values: Vec<u64>,
        /// Bits to leave out of account.
        mask: u64,
        /// Bytes.
        size: usize,
    },
    /// A word that is not below the first and is below the second.
    Between(u64, u64),
    /// Bytes at any address.
    Text(Vec<u8>),
}

/// Frames that one thread takes at a time: 4 MiB.
const BATCH: u64 = 1024;

impl Needle {
    /// Offsets in `bytes` where it occurs.
    fn find(&self, numbers: Numbers, bytes: &[u8], found: &mut Vec<u64>) {
        match self {
            Needle::Word { value, mask, size } => {
                let wanted = value & !mask;
                for (index, word) in bytes.chunks_exact(*size).enumerate() {
                    if numbers.number(word, 0, *size) & !mask == wanted {
                        found.push((index * size) as u64);
                    }
                }
            }
            Needle::Words { values, mask, size } => {
                let wanted: Vec<u64> = values.iter().map(|value| value & !mask).collect();
                for (index, word) in bytes.chunks_exact(*size).enumerate() {
                    if wanted.contains(&(numbers.number(word, 0, *size) & !mask)) {
                        found.push((index * size) as u64);
                    }
                }
            }
            Needle::Between(start, end) => {
                let len = end.saturating_sub(*start);
                let size = numbers.word_size();
                for (index, word) in bytes.chunks_exact(size).enumerate() {
                    if numbers.number(word, 0, size).wrapping_sub(*start) < len {
                        found.push((index * size) as u64);
                    }
                }
            }
            Needle::Text(text) => {
                let finder = memchr::memmem::Finder::new(text);
                found.extend(finder.find_iter(bytes).map(|at| at as u64));
            }
        }
    }
}

impl Kernel {
    /// The physical addresses in `from..to` where `needle` occurs, ascending. Text that crosses
    /// from one frame into the next is found where both are stored. At most `limit` are returned;
    /// once `stop` is set the search ends with what it has.
    pub fn search(
        &self,
        needle: &Needle,
        from: u64,
        to: u64,
        limit: usize,
        stop: &AtomicBool,
    ) -> Vec<u64> {
        let numbers = Numbers::of(self.target());
        let dump = self.target().dump().unrecorded();
        let size = dump.page_size();
        let mut batches = Vec::new();
        let mut at = from / size;
        let end = to.div_ceil(size);
        while let Some((first, last)) = dump.stored_run(at).filter(|(first, _)| *first < end) {
            let last = last.min(end);
            let mut start = first;
            while start < last {
                let stop = last.min(start + BATCH);
                batches.push((start, stop));
                start = stop;
            }
            if last <= at {
                break;
            }
            at = last;
        }
        let overlap = match needle {
            Needle::Text(text) => text.len().saturating_sub(1),
            _ => 0,
        };
        let mut found: Vec<u64> = batches
            .par_iter()
            .flat_map_iter(|&(first, last)| {
                let mut hits = Vec::new();
                let mut offsets = Vec::new();
                let mut buffer = Vec::new();
                for pfn in first..last {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let Ok(page) = dump.page(pfn) else { continue };
                    offsets.clear();
                    if overlap == 0 {
                        needle.find(numbers, &page, &mut offsets);
                    } else {
                        buffer.clear();
                        buffer.extend_from_slice(&page);
                        if let Ok(next) = dump.page(pfn + 1) {
                            buffer.extend_from_slice(&next[..overlap.min(next.len())]);
                        }
                        needle.find(numbers, &buffer, &mut offsets);
                    }
                    hits.extend(offsets.iter().map(|offset| pfn * size + offset));
                }
                hits
            })
            .filter(|at| (from..to).contains(at))
            .collect();
        found.par_sort_unstable();
        found.truncate(limit);
        found
    }
}

/// How much of a range one thread looks through at a time, in bytes.
const PIECE: u64 = 1 << 30;

impl Kernel {
    /// The addresses in `ranges`, which are of whole pages of virtual memory that `read` reads, where
    /// `needle` occurs, ascending. What cannot be read is left out.
    pub fn search_virtual(
        &self,
        needle: &Needle,
        ranges: &[(u64, u64)],
        read: impl Fn(u64, &mut [u8]) -> bool + Sync,
        limit: usize,
        stop: &AtomicBool,
    ) -> Vec<u64> {
        let (size, numbers) = (self.target().page_size(), Numbers::of(self.target()));
        let overlap = match needle {
            Needle::Text(text) => text.len().saturating_sub(1),
            _ => 0,
        };
        // Pieces, not pages: a range may be of terabytes.
        let pieces: Vec<(u64, u64)> = ranges
            .iter()
            .flat_map(|(start, end)| {
                let end = *end;
                let piece = move |at: u64| (at, end.min(at.saturating_add(PIECE)));
                (*start..end).step_by(PIECE as usize).map(piece)
            })
            .collect();
        let mut found: Vec<u64> = pieces
            .par_iter()
            .flat_map_iter(|(start, end)| {
                (*start..*end).step_by(size as usize).take_while(|_| !stop.load(Ordering::Relaxed))
            })
            .flat_map_iter(|page| {
                let (mut bytes, mut offsets) = (vec![0; size as usize], Vec::new());
                if read(page, &mut bytes) {
                    let mut next = vec![0; overlap.min(size as usize)];
                    if overlap > 0 && read(page.wrapping_add(size), &mut next) {
                        bytes.append(&mut next);
                    }
                    needle.find(numbers, &bytes, &mut offsets);
                }
                offsets.into_iter().map(move |offset| page.wrapping_add(offset))
            })
            .collect();
        found.par_sort_unstable();
        found.dedup();
        found.truncate(limit);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_text() {
        let bytes = [1, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0];
        let mut found = Vec::new();
        Needle::Word { value: 1, mask: 0, size: 8 }.find(Numbers::default(), &bytes, &mut found);
        Needle::Word { value: 0x3400, mask: 0xff, size: 2 }.find(
            Numbers::default(),
            &bytes,
            &mut found,
        );
        Needle::Text(vec![0, 0x12]).find(Numbers::default(), &bytes, &mut found);
        assert_eq!(found, [0, 8, 7]);
    }
}
