//! Which physical addresses a list of segments holds, and where.

use std::collections::BTreeSet;

use crate::segments::Load;

/// Physical addresses `start..end` lie at `offset` of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
}

/// The segments, put in order and without overlap.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// Disjoint, ascending.
    stored: Vec<Stored>,
    /// Beyond a segment's file size: disjoint, ascending `(start, end)` addresses.
    left_out: Vec<(u64, u64)>,
    /// Frames that can be read: disjoint, ascending `(first, end)`.
    runs: Vec<(u64, u64)>,
    /// Frames that a segment speaks of, likewise.
    memory: Vec<(u64, u64)>,
    /// Segments that no address space could hold, and those that are possible.
    impossible: (usize, usize),
}

impl Ranges {
    /// Of segments that overlap the first in the file counts: /proc/vmcore maps some frames twice,
    /// with the same content. Segments that end beyond the address space are impossible. `extent`
    /// tells how many bytes, from a file offset on, are in the file.
    pub(crate) fn new(loads: &[Load], page_size: u64, extent: impl Fn(u64, u64) -> u64) -> Self {
        let mut pieces = Vec::new();
        let mut left_out = Vec::new();
        let mut memory = Vec::new();
        let mut impossible = 0;
        for load in loads {
            let start = load.address;
            let memory_size = load.memory_size.max(load.file_size);
            let end = start.checked_add(memory_size);
            let (Some(end), Some(_)) = (end, load.offset.checked_add(load.file_size)) else {
                impossible += 1;
                continue;
            };
            let stored_end = start + load.file_size;
            if start < stored_end {
                pieces.push(Stored { start, end: stored_end, offset: load.offset });
            }
            if stored_end < end {
                left_out.push((stored_end, end));
            }
            if start < end {
                memory.push((start / page_size, end.div_ceil(page_size)));
            }
        }
        let stored = first_wins(&pieces);
        left_out.sort_unstable();
        memory.sort_unstable();
        let left_out = merged(left_out.into_iter());
        let pages = |start: u64, end: u64| (start / page_size, end.div_ceil(page_size));
        // A page of which the end of the file cuts away a byte cannot be read.
        let gone = merged(stored.iter().filter_map(|piece| {
            let there = extent(piece.offset, piece.end - piece.start);
            let cut = piece.start + there;
            (cut < piece.end).then(|| pages(cut, piece.end))
        }));
        let runs = merged(stored.iter().map(|piece| pages(piece.start, piece.end)));
        let runs = without(&runs, &gone);
        Ranges {
            stored,
            left_out,
            runs,
            memory: merged(memory.into_iter()),
            impossible: (impossible, loads.len() - impossible),
        }
    }

    /// Whether there are segments, and none of them is possible.
    pub(crate) fn is_impossible(&self) -> bool {
        matches!(self.impossible, (1.., 0))
    }

    /// The stored pieces that have a byte of `start..end`.
    pub(crate) fn within(&self, start: u64, end: u64) -> &[Stored] {
        let first = self.stored.partition_point(|piece| piece.end <= start);
        let count = self.stored[first..].iter().take_while(|piece| piece.start < end).count();
        &self.stored[first..first + count]
    }

    /// Whether a segment has this address in memory, but not in the file.
    pub(crate) fn is_left_out(&self, address: u64) -> bool {
        let index = self.left_out.partition_point(|&(_, end)| end <= address);
        self.left_out.get(index).is_some_and(|&(start, _)| start <= address)
    }

    /// The run of readable frames that holds `pfn`, or the next one.
    pub(crate) fn run_at(&self, pfn: u64) -> Option<(u64, u64)> {
        self.runs.get(self.runs.partition_point(|&(_, end)| end <= pfn)).copied()
    }

    /// The run of frames, stored or not, that holds `pfn`, or the next one.
    pub(crate) fn memory_at(&self, pfn: u64) -> Option<(u64, u64)> {
        self.memory.get(self.memory.partition_point(|&(_, end)| end <= pfn)).copied()
    }

    pub(crate) fn max_pfn(&self) -> u64 {
        self.memory.last().map_or(0, |&(_, end)| end)
    }
}

/// The pieces without overlap, in ascending order: where several lie, the first of the list
/// counts. Pieces that go on in the file where the one before ends are one.
fn first_wins(pieces: &[Stored]) -> Vec<Stored> {
    let mut borders: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        borders.push((piece.start, true, index));
        borders.push((piece.end, false, index));
    }
    borders.sort_unstable();
    let mut open = BTreeSet::new();
    let mut stored: Vec<Stored> = Vec::new();
    let mut at = 0;
    for (border, begins, index) in borders {
        if let Some(piece) = open.first().and_then(|&first: &usize| pieces.get(first))
            && at < border
        {
            let offset = piece.offset + (at - piece.start);
            match stored.last_mut() {
                Some(last) if last.end == at && last.offset + (at - last.start) == offset => {
                    last.end = border;
                }
                _ => stored.push(Stored { start: at, end: border, offset }),
            }
        }
        at = border;
        if begins {
            open.insert(index)
        } else {
            open.remove(&index)
        };
    }
    stored
}

/// Ranges in ascending order of their start, with those that touch made one.
fn merged(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (first, end) in ranges {
        match out.last_mut() {
            Some(last) if last.1 >= first => last.1 = last.1.max(end),
            _ => out.push((first, end)),
        }
    }
    out
}

/// What is in `ranges` and not in `gone`; both are disjoint and ascending.
fn without(ranges: &[(u64, u64)], gone: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    for &(first, end) in ranges {
        let mut at = first;
        let skip = gone.partition_point(|hole| hole.1 <= first);
        for &(hole, hole_end) in gone[skip..].iter().take_while(|hole| hole.0 < end) {
            out.push((at, hole));
            at = hole_end;
        }
        out.push((at, end));
    }
    out.retain(|&(first, end)| first < end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(address: u64, file_size: u64, memory_size: u64, offset: u64) -> Load {
        Load { offset, address, file_size, memory_size }
    }

    #[test]
    fn overlaps_keep_the_first() {
        let loads = [
            load(0x2000, 0x1000, 0x1000, 0x10000),
            load(0x1000, 0x3000, 0x5000, 0x20000),
            load(u64::MAX, 0x1000, 0x1000, 0),
        ];
        let ranges = Ranges::new(&loads, 4096, |_, len| len);
        let all = ranges.within(0, u64::MAX);
        let flat: Vec<_> = all.iter().map(|p| (p.start, p.end, p.offset)).collect();
        assert_eq!(
            flat,
            [(0x1000, 0x2000, 0x20000), (0x2000, 0x3000, 0x10000), (0x3000, 0x4000, 0x22000)]
        );
        assert_eq!(ranges.run_at(0), Some((1, 4)));
        assert_eq!(ranges.run_at(4), None);
        assert!(ranges.is_left_out(0x4000) && ranges.is_left_out(0x5fff));
        assert!(!ranges.is_left_out(0x6000) && !ranges.is_left_out(0x3fff));
        assert_eq!(ranges.max_pfn(), 6);
    }

    #[test]
    fn the_end_of_the_file_cuts_runs() {
        let ranges = Ranges::new(&[load(0, 0x4000, 0x4000, 0x1000)], 4096, |at, _| 0x3800 - at);
        assert_eq!(ranges.run_at(0), Some((0, 2)));
        assert_eq!(ranges.run_at(2), None);
    }
}
