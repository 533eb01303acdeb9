//! Where a value occurs in memory: every stored frame is looked at, in parallel.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::kernel::Kernel;

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
    /// Bytes at any address.
    Text(Vec<u8>),
}

/// Frames that one thread takes at a time: 4 MiB.
const BATCH: u64 = 1024;

impl Needle {
    /// Offsets in `bytes` where it occurs.
    fn find(&self, bytes: &[u8], found: &mut Vec<u64>) {
        match self {
            Needle::Word { value, mask, size } => {
                let wanted = value & !mask;
                for (index, word) in bytes.chunks_exact(*size).enumerate() {
                    let mut padded = [0; 8];
                    padded[..*size].copy_from_slice(word);
                    if u64::from_le_bytes(padded) & !mask == wanted {
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
            Needle::Word { .. } => 0,
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
                        needle.find(&page, &mut offsets);
                    } else {
                        buffer.clear();
                        buffer.extend_from_slice(&page);
                        if let Ok(next) = dump.page(pfn + 1) {
                            buffer.extend_from_slice(&next[..overlap.min(next.len())]);
                        }
                        needle.find(&buffer, &mut offsets);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_text() {
        let bytes = [1, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0];
        let mut found = Vec::new();
        Needle::Word { value: 1, mask: 0, size: 8 }.find(&bytes, &mut found);
        Needle::Word { value: 0x3400, mask: 0xff, size: 2 }.find(&bytes, &mut found);
        Needle::Text(vec![0, 0x12]).find(&bytes, &mut found);
        assert_eq!(found, [0, 8, 7]);
    }
}
