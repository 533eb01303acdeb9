//! AVML's content: snappy frames (framing_format.txt of snappy), each of at most 64 KiB, read by an
//! index of where they are.

use std::sync::Arc;

use crate::{
    Compression, Fault, Page, PhysicalMemory, Presence, Read, Reason, cache::PageCache,
    codec::decompress, image::Image,
};

const IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";
const COMPRESSED: u8 = 0;
const PLAIN: u8 = 1;
/// Bytes of content in one frame.
const FRAME: u64 = 64 << 10;
/// Checksum in front of a frame's data.
const CHECKSUM: u64 = 4;

/// A frame: physical addresses `start..end`, its data at `offset`.
struct Frame {
    start: u64,
    end: u64,
    offset: u64,
    size: u32,
    packed: bool,
}

/// Memory in snappy frames.
pub(super) struct Frames {
    image: Image,
    page_size: u64,
    /// Ascending, without overlap once finished.
    frames: Vec<Frame>,
    /// Runs of frames of memory that can be read.
    runs: Vec<(u64, u64)>,
    cache: PageCache,
}

impl Frames {
    pub(super) fn new(image: Image, page_size: u64, cache_bytes: usize) -> Self {
        let cache = PageCache::new(cache_bytes, FRAME);
        Frames { image, page_size, frames: Vec::new(), runs: Vec::new(), cache }
    }

    /// Indexes the frames of `size` bytes of memory from `start` on, packed from `offset` on.
    /// The offset behind the range's trailer.
    ///
    /// # Errors
    /// The offset up to which the frames make sense.
    pub(super) fn add(&mut self, start: u64, size: u64, offset: u64) -> Result<u64, u64> {
        let mut at = offset;
        let mut done = 0;
        while done < size {
            let Some(head) = self.image.get(at, 4) else { return Err(at) };
            let [kind, a, b, c] = head[..] else { return Err(at) };
            let len = u64::from(u32::from_le_bytes([a, b, c, 0]));
            if self.image.extent(at + 4, len) < len {
                return Err(at);
            }
            if let COMPRESSED | PLAIN = kind {
                let content = at + 4 + CHECKSUM;
                let Some(size) = len.checked_sub(CHECKSUM) else { return Err(at) };
                let bytes = match kind {
                    PLAIN => size,
                    _ => self.unpacked_size(content).ok_or(at)?,
                };
                if bytes == 0 || bytes > FRAME {
                    return Err(at);
                }
                let from = start + done;
                let packed = kind == COMPRESSED;
                let size = size as u32;
                self.frames.push(Frame {
                    start: from,
                    end: from + bytes,
                    offset: content,
                    size,
                    packed,
                });
                done += bytes;
            } else if kind < 0x80 || (kind == 0xff && *self.image.get_up_to(at, 10) != *IDENTIFIER)
            {
                // Kinds from 0x80 on may be skipped, those below may not.
                return Err(at);
            }
            at += 4 + len;
        }
        // Behind a range stands how many bytes it took.
        Ok(at + 8)
    }

    /// The size that a compressed frame gives first, in groups of seven bits.
    fn unpacked_size(&self, at: u64) -> Option<u64> {
        let bytes = self.image.get_up_to(at, 5);
        let mut size = 0u64;
        for (index, byte) in bytes.iter().enumerate() {
            size |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
        None
    }

    /// Puts the frames in order. Where ranges overlap, the later frame is left out.
    pub(super) fn finish(&mut self) {
        self.frames.sort_by_key(|frame| frame.start);
        let mut end = 0;
        self.frames.retain(|frame| {
            let is_free = frame.start >= end;
            end = end.max(frame.end);
            is_free
        });
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for frame in &self.frames {
            match spans.last_mut() {
                Some(last) if last.1 == frame.start => last.1 = frame.end,
                _ => spans.push((frame.start, frame.end)),
            }
        }
        let whole =
            |(start, end): (u64, u64)| (start.div_ceil(self.page_size), end / self.page_size);
        self.runs = spans.into_iter().map(whole).filter(|(first, end)| first < end).collect();
    }

    fn unpack(&self, frame: &Frame) -> Result<Arc<[u8]>, Reason> {
        self.cache.get((0, frame.offset), || {
            let data = self.image.get_once(frame.offset, frame.size as usize);
            let why = || self.image.why_missing(frame.offset, frame.size.into());
            let data = data.ok_or_else(why)?;
            let how = if frame.packed { Compression::Snappy } else { Compression::None };
            let size = (frame.end - frame.start) as usize;
            decompress(how, &data, size).ok_or(Reason::Corrupt)
        })
    }

    fn load(&self, pfn: u64) -> Result<Page<'_>, Reason> {
        let start = pfn.checked_mul(self.page_size).ok_or(Reason::NotSaved)?;
        if self.run(pfn).is_none_or(|(first, _)| first > pfn) {
            return Err(Reason::NotSaved);
        }
        let len = self.page_size as usize;
        let first = self.frames.partition_point(|frame| frame.end <= start);
        let frames = self.frames.get(first..).unwrap_or(&[]);
        if let [frame, ..] = frames
            && frame.start <= start
            && frame.end - start >= self.page_size
        {
            return Ok(Page::Within {
                piece: self.unpack(frame)?,
                at: (start - frame.start) as usize,
                len,
            });
        }
        // A page that goes over into the next frame.
        let mut page = Vec::with_capacity(len);
        for frame in frames.iter().take_while(|frame| frame.start < start + self.page_size) {
            let piece = self.unpack(frame)?;
            let from = (start + page.len() as u64).saturating_sub(frame.start) as usize;
            let rest = piece.get(from..).ok_or(Reason::Corrupt)?;
            page.extend_from_slice(&rest[..rest.len().min(len - page.len())]);
        }
        if page.len() == len { Ok(Page::Cached(page.into())) } else { Err(Reason::Corrupt) }
    }

    fn run(&self, pfn: u64) -> Option<(u64, u64)> {
        self.runs.get(self.runs.partition_point(|&(_, end)| end <= pfn)).copied()
    }
}

impl PhysicalMemory for Frames {
    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let fault = |reason| Fault::physical(pfn.saturating_mul(self.page_size), reason);
        self.load(pfn).map_err(fault)
    }

    fn presence(&self, pfn: u64) -> Presence {
        match self.run(pfn) {
            Some((first, _)) if first <= pfn => Presence::Stored,
            _ => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.runs.last().map_or(0, |&(_, end)| end)
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        self.run(from).map(|(first, end)| (first.max(from), end))
    }
}
