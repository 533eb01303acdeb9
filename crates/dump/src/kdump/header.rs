//! The headers of a kdump-compressed file (makedumpfile's `IMPLEMENTATION` and `diskdump_mod.h`).

use crate::{Arch, Uts, bytes::Fields};

/// Header status and page flags share these bits.
pub(crate) const ZLIB: u32 = 0x1;
pub(crate) const LZO: u32 = 0x2;
pub(crate) const SNAPPY: u32 = 0x4;
/// The tool that wrote the file ran out of space.
pub(crate) const INCOMPLETE: u32 = 0x8;
/// `makedumpfile -e`: memory-map pages of excluded frames are left out as well.
pub(crate) const EXCLUDED_VMEMMAP: u32 = 0x10;
pub(crate) const ZSTD: u32 = 0x20;

/// `struct disk_dump_header` and `struct kdump_sub_header`, as numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct KdumpHeader {
    pub(crate) big_endian: bool,
    /// Whether the writer's `long` has 8 bytes.
    pub(crate) wide: bool,
    pub(crate) version: u32,
    pub(crate) uts: Uts,
    /// Seconds and microseconds since the epoch.
    pub(crate) time: (u64, u64),
    pub(crate) status: u32,
    /// Bytes; also the page size.
    pub(crate) block_size: u64,
    /// Blocks.
    pub(crate) sub_header_size: u64,
    /// Blocks of both bitmaps together.
    pub(crate) bitmap_blocks: u64,
    pub(crate) current_cpu: u32,
    pub(crate) nr_cpus: u32,
    /// One past the highest frame.
    pub(crate) max_pfn: u64,
    pub(crate) phys_base: Option<u64>,
    pub(crate) dump_level: Option<u32>,
    /// First and end frame of this part of a split set.
    pub(crate) split: Option<(u64, u64)>,
    /// File offset and size in bytes, where there is one.
    pub(crate) vmcoreinfo: Option<(u64, u64)>,
    pub(crate) notes: Option<(u64, u64)>,
    pub(crate) eraseinfo: Option<(u64, u64)>,
}

impl KdumpHeader {
    /// Reads both headers; byte order and word size are found by which reading makes sense.
    /// `image` yields up to that many bytes from an offset.
    pub(crate) fn parse<'a>(
        image: impl Fn(u64, usize) -> std::borrow::Cow<'a, [u8]>,
    ) -> Option<Self> {
        let bytes = image(0, 464);
        let mut header = [(true, false), (false, false), (true, true), (false, true)]
            .into_iter()
            .filter_map(|(big_endian, wide)| main_header(Fields::new(&bytes, big_endian), wide))
            .max_by_key(|header| {
                let arch = Arch::from_uname(&header.uts.machine);
                arch.is_some_and(|arch| (arch.pointer_size() == 8) == header.wide)
            })?;
        if bytes.starts_with(b"KDUMP") {
            let sub = image(header.block_size, 104);
            header.read_sub_header(Fields::new(&sub, header.big_endian));
        }
        Some(header)
    }

    /// The sub-header grows with the version; what a cut file lacks is left away. How its 8-byte
    /// numbers are aligned follows from the machine, but QEMU packs them for every 32-bit one and
    /// may not name the machine: the alignment in which the numbers agree is the right one.
    fn read_sub_header(&mut self, sub: Fields<'_>) {
        let usual = if Arch::from_uname(&self.uts.machine) == Some(Arch::I386) { 4 } else { 8 };
        let read = |align| {
            let mut header = self.clone();
            header.read_aligned(sub, align);
            header
        };
        let usual_reading = read(usual);
        let other_reading = read(12 - usual);
        let is_better = !self.wide
            && other_reading.disagreements(self.max_pfn)
                < usual_reading.disagreements(self.max_pfn);
        *self = if is_better { other_reading } else { usual_reading };
    }

    /// How many numbers of the sub-header cannot be, given the frames that the main header counts.
    fn disagreements(&self, max_pfn: u64) -> usize {
        let content = self.block_size..self.bitmap_offset().saturating_add(1);
        let areas = [self.vmcoreinfo, self.notes, self.eraseinfo].into_iter().flatten();
        let strays = areas.filter(|&(offset, size)| {
            !content.contains(&offset) || !content.contains(&offset.saturating_add(size))
        });
        let is_other_size = max_pfn != u64::from(u32::MAX) && self.max_pfn != max_pfn;
        strays.count() + usize::from(is_other_size)
    }

    /// `align`: of 8-byte numbers.
    fn read_aligned(&mut self, sub: Fields<'_>, align: usize) {
        let word = if self.wide { 8 } else { 4 };
        let mut at = 0usize;
        let mut next = |size: usize| {
            at = at.next_multiple_of(size.min(align));
            let value = sub.uint(at, size);
            at += size;
            value
        };
        self.phys_base = next(word);
        self.dump_level = next(4).map(|level| level as u32).filter(|_| self.version >= 1);
        let split = next(4);
        let (start, end) = (next(word), next(word));
        let area =
            |offset: Option<u64>, size: Option<u64>| Some((offset?, size?)).filter(|a| a.1 > 0);
        let vmcoreinfo = area(next(8), next(word));
        let notes = area(next(8), next(word));
        let eraseinfo = area(next(8), next(word));
        let wide_range = (next(8), next(8));
        let max_pfn = next(8);
        if self.version >= 2 && split.is_some_and(|split| split != 0) {
            let range = if self.version >= 6 { wide_range } else { (start, end) };
            self.split = range.0.zip(range.1);
        }
        self.vmcoreinfo = vmcoreinfo.filter(|_| self.version >= 3);
        self.notes = notes.filter(|_| self.version >= 4);
        self.eraseinfo = eraseinfo.filter(|_| self.version >= 5);
        if let (true, Some(max_pfn @ 1..)) = (self.version >= 6, max_pfn) {
            self.max_pfn = max_pfn;
        }
    }

    /// Whether there is a bitmap of dumped frames besides that of existing ones. Early dumps were
    /// not filtered and have one only; both are sized by `max_pfn`.
    pub(crate) fn has_two_bitmaps(&self) -> bool {
        let one = self.max_pfn.div_ceil(8).div_ceil(self.block_size);
        self.bitmap_blocks >= 2 * one
    }

    /// File offset of the first bitmap.
    pub(crate) fn bitmap_offset(&self) -> u64 {
        (1 + self.sub_header_size) * self.block_size
    }

    /// File offset of the page descriptors.
    pub(crate) fn descriptor_offset(&self) -> u64 {
        self.bitmap_offset() + self.bitmap_blocks * self.block_size
    }
}

/// The fixed header, if its numbers make sense in this byte order and word size.
fn main_header(fields: Fields<'_>, wide: bool) -> Option<KdumpHeader> {
    let (time_at, long) = if wide { (408, 8) } else { (404, 4) };
    let version = fields.u32(8).filter(|&version| version <= 0xff)?;
    let at = time_at + 2 * long;
    let block_size = u64::from(fields.u32(at + 4)?);
    if !block_size.is_power_of_two() || !(512..=1 << 22).contains(&block_size) {
        return None;
    }
    // Signed in the file; 2^30 blocks are terabytes already.
    let blocks = |at| fields.u32(at).filter(|&blocks| blocks < 1 << 30).map(u64::from);
    Some(KdumpHeader {
        big_endian: fields.big_endian,
        wide,
        version,
        uts: Uts::parse(fields, 12),
        time: (fields.uint(time_at, long)?, fields.uint(time_at + long, long)?),
        status: fields.u32(at)?,
        block_size,
        sub_header_size: blocks(at + 8)?,
        bitmap_blocks: blocks(at + 12)?,
        max_pfn: u64::from(fields.u32(at + 16)?),
        current_cpu: fields.u32(at + 32)?,
        nr_cpus: fields.u32(at + 36)?,
        ..KdumpHeader::default()
    })
}
