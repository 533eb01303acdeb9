//! Memory in the pages of a stream.

use std::sync::Arc;

use super::{
    PAGE_SIZE,
    blocks::Place,
    stream::{Content, Stream},
};
use crate::{
    Fault, Page, PhysicalMemory, Presence, Read, Reason,
    bitmap::{Bitmap, First},
    image::Image,
};

/// A page and its content: ascending by frame.
#[derive(Debug, Clone, Copy)]
struct Entry {
    pfn: u64,
    content: Content,
}

/// A piece of memory that lies page by page in the file.
struct Mapped {
    /// Frames `first..end`.
    first: u64,
    end: u64,
    /// Number of the first page in its block.
    page: u64,
    /// Which pages of the block are not zero.
    written: Bitmap,
    /// Where the block's pages are in the file.
    pages_at: u64,
}

pub(super) struct Pages {
    image: Image,
    entries: Vec<Entry>,
    mapped: Vec<Mapped>,
    zeros: Arc<[u8]>,
    is_cut: bool,
    /// Frames of the machine's memory: ascending.
    memory: Vec<(u64, u64)>,
}

impl Pages {
    pub(super) fn new(image: Image, stream: Stream, places: &[Place]) -> Self {
        let frame = |bytes: u64| bytes / PAGE_SIZE;
        let mut entries = Vec::with_capacity(stream.sent.len());
        for sent in &stream.sent {
            let offset = u64::from(sent.page) * PAGE_SIZE;
            let place = places.iter().find(|place| {
                place.block == sent.block as usize
                    && offset >= place.offset
                    && offset - place.offset < place.size
            });
            if let Some(place) = place {
                let pfn = frame(place.address + (offset - place.offset));
                entries.push(Entry { pfn, content: sent.content });
            }
        }
        // Of a page that was sent again, the last counts: the sort keeps the order of sending.
        entries.sort_by_key(|entry| entry.pfn);
        entries.reverse();
        entries.dedup_by_key(|entry| entry.pfn);
        entries.reverse();
        let mut mapped = Vec::new();
        for place in places {
            let Some(block) = stream.blocks.get(place.block) else { continue };
            let Some((bitmap_at, pages_at)) = block.mapped else { continue };
            let bytes = frame(block.size).div_ceil(8);
            let written = Bitmap::new(&image, bitmap_at, bytes, First::Low);
            let (first, page) = (frame(place.address), frame(place.offset));
            mapped.push(Mapped { first, end: first + frame(place.size), page, written, pages_at });
        }
        mapped.sort_by_key(|piece| piece.first);
        let mut memory: Vec<(u64, u64)> = places
            .iter()
            .map(|place| (frame(place.address), frame(place.address + place.size)))
            .collect();
        memory.sort_unstable();
        let zeros = std::iter::repeat_n(0, PAGE_SIZE as usize).collect();
        Pages { image, entries, mapped, zeros, is_cut: stream.is_cut, memory }
    }

    /// One past the highest frame of memory.
    pub(super) fn end(&self) -> u64 {
        self.memory.last().map_or(0, |&(_, end)| end)
    }

    fn find(&self, pfn: u64) -> Result<Content, Reason> {
        if let Ok(index) = self.entries.binary_search_by_key(&pfn, |entry| entry.pfn)
            && let Some(entry) = self.entries.get(index)
        {
            return Ok(entry.content);
        }
        let piece = self.mapped.get(self.mapped.partition_point(|piece| piece.end <= pfn));
        if let Some(piece) = piece.filter(|piece| piece.first <= pfn) {
            let page = piece.page + (pfn - piece.first);
            return match piece.written.test(&self.image, page) {
                Some(true) => Ok(Content::At(piece.pages_at.saturating_add(page * PAGE_SIZE))),
                Some(false) => Ok(Content::Fill(0)),
                None => Err(Reason::Truncated),
            };
        }
        let is_memory = self.memory.iter().any(|&(first, end)| (first..end).contains(&pfn));
        Err(if is_memory && self.is_cut { Reason::Truncated } else { Reason::NotSaved })
    }
}

impl PhysicalMemory for Pages {
    fn page_size(&self) -> u64 {
        PAGE_SIZE
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let page = self.find(pfn).and_then(|content| match content {
            Content::Fill(0) => Ok(Page::Cached(self.zeros.clone())),
            Content::Fill(byte) => {
                Ok(Page::Cached(std::iter::repeat_n(byte, PAGE_SIZE as usize).collect()))
            }
            Content::At(at) => match self.image.slice(at, PAGE_SIZE as usize) {
                Some(bytes) => Ok(Page::Mapped(bytes)),
                // A page may lie across two clusters of a disk image.
                None => match self.image.get(at, PAGE_SIZE as usize) {
                    Some(bytes) => Ok(Page::Cached(bytes.into_owned().into())),
                    None => Err(self.image.why_missing(at, PAGE_SIZE)),
                },
            },
        });
        page.map_err(|reason| Fault::physical(pfn.saturating_mul(PAGE_SIZE), reason))
    }

    fn presence(&self, pfn: u64) -> Presence {
        match self.find(pfn) {
            Ok(Content::At(at)) if self.image.extent(at, PAGE_SIZE) < PAGE_SIZE => {
                Presence::Truncated
            }
            Ok(_) => Presence::Stored,
            Err(Reason::Truncated) => Presence::Truncated,
            Err(_) => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.end()
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        let index = self.entries.partition_point(|entry| entry.pfn < from);
        let sent = self.entries.get(index..).and_then(|entries| {
            let first = entries.first()?.pfn;
            let count = entries.iter().zip(first..).take_while(|(entry, pfn)| entry.pfn == *pfn);
            Some((first, first + count.count() as u64))
        });
        if sent.is_some() || self.mapped.is_empty() {
            return sent;
        }
        // Every page of a block that is mapped is there, unless the file ends before it.
        for piece in self.mapped.iter().filter(|piece| piece.end > from) {
            let first = piece.first.max(from);
            let is_there = |pfn: u64| self.presence(pfn) == Presence::Stored;
            if is_there(first) && is_there(piece.end - 1) {
                return Some((first, piece.end));
            }
            let start = (first..piece.end).find(|&pfn| is_there(pfn));
            if let Some(start) = start {
                let end = (start..piece.end).find(|&pfn| !is_there(pfn)).unwrap_or(piece.end);
                return Some((start, end));
            }
        }
        None
    }

    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        let index = self.memory.partition_point(|&(_, end)| end <= from);
        self.memory.get(index).map(|&(first, end)| (first.max(from), end))
    }
}
