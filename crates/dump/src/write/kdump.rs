//! Writing kdump-compressed files, header version 6: readable by crash and libkdumpfile.

use std::{
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

use flate2::{Compress, FlushCompress, Status};

use super::{Keep, Origin, Output, Stats, WriteProgress, fields::Out, for_each_frame, kept_runs};
use crate::{Arch, PhysicalMemory};

/// Bytes of a page descriptor.
const DESCRIPTOR: u64 = 24;
const ZLIB: u32 = 0x1;
const ZSTD: u32 = 0x20;

/// How pages are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// zlib at a level from 1 to 9: what every reader has.
    Zlib(u32),
    /// Zstandard at a level from 1 to 22: smaller and faster; crash needs to be built with it.
    Zstd(i32),
}

impl Packing {
    fn flag(self) -> u32 {
        match self {
            Packing::None => 0,
            Packing::Zlib(_) => ZLIB,
            Packing::Zstd(_) => ZSTD,
        }
    }
}

/// A page ready to be written.
enum Packed {
    Zero,
    Data { bytes: Vec<u8>, flag: u32 },
    Unreadable,
}

/// Writes the stored frames that `keep` keeps to `out`, which appears only when it is whole. All
/// zero pages share one descriptor's data. Frames that the source has and cannot read are left
/// out and counted.
///
/// # Errors
/// Those of writing; a source whose frame numbers are absurd.
pub fn write_kdump(
    out: &Path,
    memory: &dyn PhysicalMemory,
    origin: &Origin,
    packing: Packing,
    keep: &(dyn Fn(u64) -> Keep + Sync),
    progress: WriteProgress<'_>,
) -> io::Result<Stats> {
    let mut stats = Stats::default();
    let runs = kept_runs(memory, keep, &mut stats)?;
    let count: u64 = runs.iter().map(|(first, end)| end - first).sum();
    let mut existed = Bitmap::default();
    let mut at = 0;
    while let Some((first, end)) = memory.memory_run(at) {
        existed.set(first, end);
        at = end;
    }
    let max_pfn = existed.len.max(runs.last().map_or(0, |&(_, end)| end));
    let layout = Layout::new(origin, memory.page_size(), max_pfn);

    let output = Output::create(out)?;
    let mut descriptors = BufWriter::new(output.handle()?);
    descriptors.seek(SeekFrom::Start(layout.descriptors_at))?;
    let mut data_at = layout.descriptors_at + count * DESCRIPTOR;
    let mut data = BufWriter::with_capacity(1 << 20, output.handle()?);
    data.seek(SeekFrom::Start(data_at))?;
    let mut stored = Bitmap::default();
    let mut zero_page = None;
    let page_size = memory.page_size() as usize;
    let mut put = |data: &mut BufWriter<_>, bytes: &[u8], flag: u32| {
        let mut descriptor = Out::new(origin.big_endian);
        descriptor.u64(data_at);
        descriptor.u32(bytes.len() as u32);
        descriptor.u32(flag);
        descriptor.u64(0);
        data_at += bytes.len() as u64;
        data.write_all(bytes)?;
        Ok::<_, io::Error>(descriptor.bytes)
    };
    let make = |pfn| match memory.page(pfn) {
        Ok(page) if is_zero(&page) => Packed::Zero,
        Ok(page) => pack(&page, packing),
        Err(_) => Packed::Unreadable,
    };
    for_each_frame(&runs, progress, make, |pfn, packed| {
        let descriptor = match packed {
            Packed::Unreadable => {
                stats.unreadable += 1;
                return Ok(());
            }
            Packed::Data { bytes, flag } => put(&mut data, &bytes, flag)?,
            Packed::Zero => {
                stats.zero += 1;
                match &zero_page {
                    Some(descriptor) => Vec::clone(descriptor),
                    None => match pack(&vec![0; page_size], packing) {
                        Packed::Data { bytes, flag } => {
                            zero_page.insert(put(&mut data, &bytes, flag)?).clone()
                        }
                        _ => return Ok(()),
                    },
                }
            }
        };
        stats.written += 1;
        stored.set(pfn, pfn + 1);
        descriptors.write_all(&descriptor)
    })?;
    data.flush()?;
    descriptors.flush()?;
    let mut head = BufWriter::new(output.handle()?);
    head.write_all(&layout.headers(origin, packing))?;
    for bitmap in [&existed, &stored] {
        head.write_all(&bitmap.bytes)?;
        let rest = layout.one_bitmap - bitmap.bytes.len() as u64;
        io::copy(&mut io::Read::take(io::repeat(0), rest), &mut head)?;
    }
    head.flush()?;
    // A dump of no page ends behind its bitmaps.
    drop((data, descriptors, head));
    stats.bytes = output.finish()?;
    Ok(stats)
}

fn is_zero(page: &[u8]) -> bool {
    let (words, rest) = page.as_chunks::<16>();
    words.iter().all(|word| *word == [0; 16]) && rest.iter().all(|&byte| byte == 0)
}

/// A page that does not get smaller is written as it is.
fn pack(page: &[u8], packing: Packing) -> Packed {
    let packed = match packing {
        Packing::None => None,
        Packing::Zlib(level) => deflate(page, level),
        Packing::Zstd(level) => zstd::bulk::compress(page, level).ok(),
    };
    match packed {
        Some(bytes) if bytes.len() < page.len() => Packed::Data { bytes, flag: packing.flag() },
        _ => Packed::Data { bytes: page.to_vec(), flag: 0 },
    }
}

fn deflate(page: &[u8], level: u32) -> Option<Vec<u8>> {
    let mut out = vec![0; page.len()];
    let mut zlib = Compress::new(flate2::Compression::new(level.min(9)), true);
    match zlib.compress(page, &mut out, FlushCompress::Finish) {
        Ok(Status::StreamEnd) => {
            out.truncate(zlib.total_out() as usize);
            Some(out)
        }
        _ => None,
    }
}

#[derive(Default)]
struct Bitmap {
    bytes: Vec<u8>,
    /// One past the highest bit that was set.
    len: u64,
}

impl Bitmap {
    fn set(&mut self, first: u64, end: u64) {
        self.len = self.len.max(end);
        self.bytes.resize(self.len.div_ceil(8) as usize, 0);
        let mut bit = first;
        while bit < end {
            let byte = (bit / 8) as usize;
            if bit.is_multiple_of(8) && end - bit >= 8 {
                let whole = ((end - bit) / 8) as usize;
                self.bytes[byte..byte + whole].fill(0xff);
                bit += whole as u64 * 8;
            } else {
                self.bytes[byte] |= 1 << (bit % 8);
                bit += 1;
            }
        }
    }
}

/// Where everything lies, in bytes.
struct Layout {
    block_size: u64,
    max_pfn: u64,
    /// Blocks.
    sub_header: u64,
    one_bitmap: u64,
    descriptors_at: u64,
    notes: Vec<u8>,
}

impl Layout {
    fn new(origin: &Origin, block_size: u64, max_pfn: u64) -> Self {
        let notes = origin.note_bytes();
        let info = origin.vmcoreinfo.as_ref().map_or(0, String::len);
        let erased = origin.eraseinfo.as_ref().map_or(0, |text| text.len());
        let sub_header = (SUB_HEADER + notes.len() + info + erased) as u64;
        let sub_header = sub_header.div_ceil(block_size);
        let one_bitmap = max_pfn.div_ceil(8).next_multiple_of(block_size).max(block_size);
        let descriptors_at = (1 + sub_header) * block_size + 2 * one_bitmap;
        Layout { block_size, max_pfn, sub_header, one_bitmap, descriptors_at, notes }
    }

    /// Header and sub-header, in whole blocks (`struct disk_dump_header`, `kdump_sub_header`).
    fn headers(&self, origin: &Origin, packing: Packing) -> Vec<u8> {
        let word = origin.arch.map_or(8, |arch| arch.pointer_size() as usize);
        let time = origin.crash_time.map_or((0, 0), |time| (time.seconds, time.microseconds));
        let mut out = Out::new(origin.big_endian);
        out.bytes.extend(b"KDUMP   ");
        out.u32(6);
        let uts = &origin.uts;
        for field in
            [&uts.sysname, &uts.nodename, &uts.release, &uts.version, &uts.machine, &uts.domainname]
        {
            out.string(field, 65);
        }
        out.aligned(time.0, word, word);
        out.uint(time.1, word);
        out.u32(packing.flag());
        out.u32(self.block_size as u32);
        out.u32(self.sub_header as u32);
        out.u32((2 * self.one_bitmap / self.block_size) as u32);
        out.u32(u32::try_from(self.max_pfn).unwrap_or(u32::MAX));
        for _unused in ["total_ram_blocks", "device_blocks", "written_blocks", "current_cpu"] {
            out.u32(0);
        }
        out.u32(origin.nr_cpus);
        out.bytes.resize(self.block_size as usize, 0);
        let sub_header = self.sub_header_bytes(origin, word);
        out.bytes.extend(sub_header);
        out.bytes.resize(((1 + self.sub_header) * self.block_size) as usize, 0);
        out.bytes
    }

    fn sub_header_bytes(&self, origin: &Origin, word: usize) -> Vec<u8> {
        let info = origin.vmcoreinfo.as_deref().unwrap_or_default().as_bytes();
        let erased = origin.eraseinfo.as_deref().unwrap_or_default();
        let wide = if origin.arch == Some(Arch::I386) { 4 } else { 8 };
        let info_at = self.block_size + SUB_HEADER as u64;
        let notes_at = info_at + info.len() as u64;
        let erased_at = notes_at + self.notes.len() as u64;
        let mut out = Out::new(origin.big_endian);
        out.uint(origin.phys_base, word);
        out.u32(origin.dump_level);
        out.u32(0);
        out.aligned(0, word, word);
        out.uint(0, word);
        for (at, size) in
            [(info_at, info.len()), (notes_at, self.notes.len()), (erased_at, erased.len())]
        {
            out.aligned(if size == 0 { 0 } else { at }, 8, wide);
            out.uint(size as u64, word);
        }
        out.aligned(0, 8, wide);
        out.u64(0);
        out.u64(self.max_pfn);
        out.bytes.resize(SUB_HEADER, 0);
        for area in [info, &self.notes, erased] {
            out.bytes.extend(area);
        }
        out.bytes
    }
}

/// Room for the fixed part of the sub-header, whatever the word size.
const SUB_HEADER: usize = 128;
