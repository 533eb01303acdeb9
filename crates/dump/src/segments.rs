//! Memory that lies in a file in segments: of ELF cores, and of every format that is a list of
//! ranges and where they are.

use std::sync::Arc;

use crate::{
    Fault, Page, PhysicalMemory, Presence, Read, Reason,
    image::Image,
    ranges::{Ranges, Stored},
};

/// A range of physical memory and its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// In the file, bytes.
    pub(crate) offset: u64,
    /// Physical.
    pub(crate) address: u64,
    /// Bytes in the file.
    pub(crate) file_size: u64,
    /// Bytes of memory.
    pub(crate) memory_size: u64,
}

/// Memory in segments.
pub(crate) struct Segments {
    image: Image,
    page_size: u64,
    ranges: Ranges,
    /// What frames beyond a segment's file size read as, when they do.
    zero_page: Option<Arc<[u8]>>,
}

impl Segments {
    /// Memory of `image` in pages of `page_size` bytes.
    pub(crate) fn new(image: Image, page_size: u64, loads: &[Load], zero_excluded: bool) -> Self {
        let ranges = Ranges::new(loads, page_size, |at, len| image.extent(at, len));
        let zero_page = zero_excluded.then(|| zeros(page_size));
        Segments { image, page_size, ranges, zero_page }
    }

    pub(crate) fn ranges(&self) -> &Ranges {
        &self.ranges
    }
}

fn zeros(size: u64) -> Arc<[u8]> {
    std::iter::repeat_n(0, size as usize).collect()
}

impl Segments {
    /// A page that lies in several segments, or not all in any. Filters work on whole pages, so
    /// what no segment has of a page that is there in part was no memory, and reads as zeros.
    fn compose(&self, start: u64, pieces: &[Stored]) -> Result<Page<'_>, Fault> {
        let mut page = zeros(self.page_size);
        let Some(out) = Arc::get_mut(&mut page) else {
            return Err(Fault::physical(start, Reason::Corrupt));
        };
        for piece in pieces {
            let from = piece.start.max(start);
            let to = piece.end.min(start.saturating_add(self.page_size));
            let at = piece.offset + (from - piece.start);
            let bytes = self.image.get(at, (to - from) as usize).ok_or_else(|| {
                let there = self.image.extent(at, to - from) % (to - from);
                let reason = self.image.why_missing(at, to - from);
                Fault::physical(from.saturating_add(there), reason)
            })?;
            let skip = (from - start) as usize;
            out[skip..skip + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(Page::Cached(page))
    }
}

impl PhysicalMemory for Segments {
    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let not_saved = Fault::physical(pfn.saturating_mul(self.page_size), Reason::NotSaved);
        let start = pfn.checked_mul(self.page_size).ok_or(not_saved)?;
        let pieces = self.ranges.within(start, start.saturating_add(self.page_size));
        match pieces {
            [] => match &self.zero_page {
                Some(zeros) if self.ranges.is_left_out(start) => Ok(Page::Cached(zeros.clone())),
                _ => Err(not_saved),
            },
            [piece] if piece.start <= start && piece.end - start >= self.page_size => {
                let at = piece.offset + (start - piece.start);
                match self.image.slice(at, self.page_size as usize) {
                    Some(bytes) => Ok(Page::Mapped(bytes)),
                    None => self.compose(start, pieces),
                }
            }
            pieces => self.compose(start, pieces),
        }
    }

    fn presence(&self, pfn: u64) -> Presence {
        if self.ranges.run_at(pfn).is_some_and(|(first, _)| first <= pfn) {
            return Presence::Stored;
        }
        let start = pfn.saturating_mul(self.page_size);
        match self.ranges.within(start, start.saturating_add(self.page_size)) {
            [] => Presence::NotSaved,
            _ => Presence::Truncated,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.ranges.max_pfn()
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        self.ranges.run_at(from).map(|(first, end)| (first.max(from), end))
    }

    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        self.ranges.memory_at(from).map(|(first, end)| (first.max(from), end))
    }
}
