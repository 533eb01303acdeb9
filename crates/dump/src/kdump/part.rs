//! One file of a kdump-compressed dump.

use super::header::{self, KdumpHeader};
use crate::{
    Compression, Reason,
    bitmap::{Bitmap, First},
    bytes::Fields,
    image::Image,
};

/// Bytes of a page descriptor: offset 8, size 4, flags 4, page flags 8.
const DESCRIPTOR: u64 = 24;

/// Descriptors looked at to learn the compression.
const SAMPLE: u64 = 256;

/// One file with its bitmaps and its range of frames.
pub(crate) struct Part {
    pub(crate) image: Image,
    pub(crate) header: KdumpHeader,
    /// Frames whose descriptors are here: `first..end`.
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Frames that existed.
    memory: Bitmap,
    /// Frames in the dump; the same as `memory` where the file has one bitmap only.
    stored: Bitmap,
    /// File offset of the end of the last bitmap, as far as frames go.
    bits_end: u64,
    /// Part of the bitmap is there, but does not unpack.
    bits_lost: bool,
    /// Bytes that the file should have at least, going by its last descriptors.
    pub(crate) expected_len: u64,
}

/// Where a page's data lies.
pub(crate) struct Descriptor {
    /// File offset.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: usize,
    pub(crate) compression: Compression,
}

impl Part {
    pub(crate) fn new(image: Image, header: KdumpHeader) -> Self {
        let (first, end) = header.split.unwrap_or((0, header.max_pfn));
        let area = header.bitmap_blocks * header.block_size;
        let (len, skip) = if header.has_two_bitmaps() { (area / 2, area / 2) } else { (area, 0) };
        // Bits beyond the highest frame are never asked for.
        let len = len.min(header.max_pfn.div_ceil(8));
        let offset = header.bitmap_offset();
        let memory = Bitmap::new(&image, offset, len, First::Low);
        let stored = Bitmap::new(&image, offset + skip, len, First::Low);
        let end = end.min(header.max_pfn);
        let bits_end = offset.saturating_add(skip).saturating_add(len);
        let bits_lost = stored.bits() / 8 < image.extent(offset.saturating_add(skip), len);
        let mut part = Part {
            image,
            header,
            first,
            end,
            memory,
            stored,
            bits_end,
            bits_lost,
            expected_len: 0,
        };
        part.expected_len = part.find_expected_len();
        part
    }

    /// Bitmaps first, then descriptors, then pages in ascending order: the last page of the
    /// range tells where the file ends. It may share the data of an earlier one (zero pages), so
    /// the last few are looked at.
    fn find_expected_len(&self) -> u64 {
        let bitmaps_end = self.header.descriptor_offset();
        // The last bytes of the last bitmap's last block may be left away: they hold no frame.
        let bits_end = self.bits_end;
        if self.image.len() < bits_end {
            return bitmaps_end;
        }
        let count = self.index_of(self.end);
        if count == 0 {
            return bits_end;
        }
        let table_end = bitmaps_end.saturating_add(count.saturating_mul(DESCRIPTOR));
        let last_pages = (count.saturating_sub(64)..count)
            .filter_map(|index| self.descriptor_at(index).ok())
            .map(|page| page.offset.saturating_add(page.size as u64));
        last_pages.fold(table_end, u64::max)
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.expected_len > self.image.len() || self.image.is_cut() || self.bits_lost
    }

    /// Whether frames that the bitmap promises may be gone: cut, or never written for lack of
    /// space. Otherwise a descriptor that points to nothing is damaged.
    pub(crate) fn may_lack_pages(&self) -> bool {
        self.is_truncated() || self.header.status & header::INCOMPLETE != 0
    }

    /// Whether the frame existed; `None` beyond the bitmap.
    pub(crate) fn existed(&self, pfn: u64) -> Option<bool> {
        self.memory.test(&self.image, pfn)
    }

    /// Whether the dump (not just this part) has the frame; `None` beyond the bitmap.
    pub(crate) fn is_dumped(&self, pfn: u64) -> Option<bool> {
        self.stored.test(&self.image, pfn)
    }

    /// The first run of frames of `from..end` that existed.
    pub(crate) fn memory_run(&self, from: u64, end: u64) -> Option<(u64, u64)> {
        run(&self.memory, &self.image, from, end)
    }

    /// The first run of frames of `from..end` that the bitmap has as dumped.
    pub(crate) fn dumped_run(&self, from: u64, end: u64) -> Option<(u64, u64)> {
        run(&self.stored, &self.image, from, end)
    }

    /// The first frame of a run of dumped ones whose descriptor is not in a hole of the file, nor
    /// beyond its end.
    pub(crate) fn next_described(&self, (first, end): (u64, u64)) -> Option<u64> {
        let index = self.index_of(first);
        let table = self.header.descriptor_offset();
        let at = table.saturating_add(index.saturating_mul(DESCRIPTOR));
        let data = self.image.next_data(at);
        if data >= self.image.len() {
            return None;
        }
        let next = (data - table) / DESCRIPTOR;
        let pfn = first.saturating_add(next.saturating_sub(index));
        (pfn < end).then_some(pfn)
    }

    /// Whether the dump has a frame of `first..end`.
    pub(crate) fn has_dumped_between(&self, first: u64, end: u64) -> bool {
        self.stored.find(&self.image, first, end, true).is_some()
    }

    /// Position of `pfn`'s descriptor in this file.
    fn index_of(&self, pfn: u64) -> u64 {
        let rank = |pfn| self.stored.rank(&self.image, pfn);
        rank(pfn) - rank(self.first.min(pfn))
    }

    /// How the first compressed page of a sample is compressed, if one is.
    pub(crate) fn compression(&self) -> Option<Compression> {
        let count = self.index_of(self.end);
        (0..SAMPLE.min(count))
            .filter_map(|index| self.descriptor_at(index * count / SAMPLE.min(count)).ok())
            .map(|page| page.compression)
            .find(|&compression| compression != Compression::None)
    }

    /// Where the data of a dumped frame of this part lies.
    ///
    /// # Errors
    /// `Truncated` when the descriptor or the data is beyond the end of a cut file or was never
    /// filled in, `Corrupt` when it makes no sense.
    pub(crate) fn descriptor(&self, pfn: u64) -> Result<Descriptor, Reason> {
        let page = self.descriptor_at(self.index_of(pfn)).and_then(|page| {
            let size = page.size as u64;
            let is_there = self.image.extent(page.offset, size) == size;
            if is_there { Ok(page) } else { Err(Reason::Truncated) }
        });
        match page {
            Err(Reason::Truncated) if !self.may_lack_pages() => Err(Reason::Corrupt),
            page => page,
        }
    }

    fn descriptor_at(&self, index: u64) -> Result<Descriptor, Reason> {
        let at = self.header.descriptor_offset().saturating_add(index.saturating_mul(DESCRIPTOR));
        let bytes = self.image.get(at, DESCRIPTOR as usize).ok_or(Reason::Truncated)?;
        let fields = Fields::new(&bytes, self.header.big_endian);
        let (offset, size, flags) = (fields.u64(0), fields.u32(8), fields.u32(12));
        let (Some(offset), Some(size), Some(flags)) = (offset, size, flags) else {
            return Err(Reason::Truncated);
        };
        // makedumpfile leaves zeros where it ran out of space.
        if offset == 0 {
            return Err(Reason::Truncated);
        }
        let compression = match flags & !header::INCOMPLETE {
            0 => Compression::None,
            header::ZLIB => Compression::Zlib,
            header::LZO => Compression::Lzo,
            header::SNAPPY => Compression::Snappy,
            header::ZSTD => Compression::Zstd,
            _ => return Err(Reason::Corrupt),
        };
        let page = self.header.block_size;
        let size_fits = match compression {
            Compression::None => u64::from(size) == page,
            _ => size > 0 && u64::from(size) <= 2 * page,
        };
        if !size_fits || offset < self.header.descriptor_offset() {
            return Err(Reason::Corrupt);
        }
        Ok(Descriptor { offset, size: size as usize, compression })
    }
}

/// The first run of set bits in `from..end`.
fn run(bits: &Bitmap, image: &Image, from: u64, end: u64) -> Option<(u64, u64)> {
    let first = bits.find(image, from, end, true)?;
    let stop = bits.find(image, first, end, false);
    Some((first, stop.unwrap_or(end.min(bits.bits()))))
}
