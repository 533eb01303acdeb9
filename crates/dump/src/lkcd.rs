//! LKCD (Linux Kernel Crash Dumps), header versions 8 and 9: a header, then pages one after the
//! other, each behind its own small header, in any order, up to an end mark.

use std::{path::Path, sync::Arc};

use crate::{
    Arch, Compression, Fault, Format, FormatKind, OpenError, OpenOptions, Page, PhysicalMemory,
    Presence, Read, Reason, Uts,
    bytes::Fields,
    cache::PageCache,
    codec::decompress,
    image::Image,
    meta::{CrashTime, FileInfo, Header, Input, Meta, Opened, Truncation},
    reader::{Answer, Reader, Tested, single},
};

const MAGIC: u64 = 0xa819_0173_618f_23ed;
/// Where pages begin in version 8; version 9 says it itself.
const VERSION_8_DATA: u64 = 64 << 10;
/// Bytes of a page header: address 8, size 4, flags 4.
const PAGE_HEADER: usize = 16;
const FLAG_COMPRESSED: u32 = 2;
const FLAG_END: u32 = 4;

pub(crate) const READER: Reader = Reader {
    name: "LKCD",
    about: "Linux Kernel Crash Dumps, header versions 8 and 9",
    tested: Tested::Generated,
    recognise: |input| {
        let bytes = input.head(8);
        [false, true].iter().any(|&big| Fields::new(&bytes, big).u64(0) == Some(MAGIC))
    },
    answer: Answer::Open(open),
};

struct Lkcd {
    image: Image,
    big_endian: bool,
    page_size: u64,
    compression: Compression,
    /// Frame number and file offset of its page header; ascending by frame, then by offset.
    index: Vec<(u64, u64)>,
    /// The end mark was not found.
    cut: bool,
    cache: PageCache,
}

/// Opens an LKCD dump and indexes its page headers.
///
/// # Errors
/// Versions other than 8 and 9, and headers that make no sense.
fn open(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let input = single(inputs)?;
    let Input { path, image, .. } = input.clone();
    let head = image.get_up_to(0, 1024).into_owned();
    let big_endian = Fields::new(&head, true).u64(0) == Some(MAGIC);
    let fields = Fields::new(&head, big_endian);
    let (mut meta, data_at, compression) = parse_header(&path, fields)?;
    let page_size = meta.page_size;
    let (index, end) = index_pages(&image, big_endian, page_size, data_at);
    let cut = end.is_none() && image.len() > head.len() as u64;
    if cut {
        let truncation = Truncation { path: path.clone(), expected: None, actual: image.len() };
        meta.completeness.truncated = vec![truncation];
    }
    let pfns = (
        index.first().map_or(0, |&(pfn, _)| pfn),
        index.last().map_or(0, |&(pfn, _)| pfn.saturating_add(1)),
    );
    meta.files = vec![FileInfo::new(&input, cut, pfns)];
    let cache = PageCache::new(options.cache_bytes, page_size);
    let memory = Lkcd { image, big_endian, page_size, compression, index, cut, cache };
    Ok(Opened { memory: Box::new(memory), meta })
}

/// The header's fields, where the pages begin, and how they are compressed.
fn parse_header(path: &Path, fields: Fields<'_>) -> Result<(Meta, u64, Compression), OpenError> {
    let cut = || OpenError::corrupt(path, "the LKCD header is cut or makes no sense");
    let version = fields.u32(8).ok_or_else(cut)? & 0xff;
    if !(8..=9).contains(&version) {
        let what = format!("header version {version}; only versions 8 and 9 are read");
        return Err(OpenError::unsupported(path, "LKCD", what));
    }
    let page_size = u64::from(fields.u32(20).ok_or_else(cut)?);
    if !page_size.is_power_of_two() || !(512..=1 << 22).contains(&page_size) {
        return Err(cut());
    }
    let uts = Uts::parse(fields, 0x144);
    let compression = match fields.u32(0x2d2).ok_or_else(cut)? {
        0 => Compression::None,
        1 => Compression::Rle,
        2 => Compression::Zlib,
        other => {
            let what = format!("page compression {other} is not known");
            return Err(OpenError::unsupported(path, "LKCD", what));
        }
    };
    let data_at = match version {
        8 => VERSION_8_DATA,
        _ => fields.u64(0x2de).ok_or_else(cut)?,
    };
    let arch = Arch::from_uname(&uts.machine);
    let format = Format::new(FormatKind::Lkcd { version });
    let mut meta = Meta::new(format, arch, fields.big_endian);
    meta.page_size = page_size;
    meta.header = Header {
        version: Some(version),
        dump_level: fields.u32(16),
        crash_time: fields
            .u64(0x134)
            .zip(fields.u64(0x13c))
            .map(|(seconds, microseconds)| CrashTime { seconds, microseconds }),
        uts: Some(uts),
        ..Header::default()
    };
    Ok((meta, data_at, compression))
}

/// Walks the page headers; also where the end mark stood, if there was one.
fn index_pages(
    image: &Image,
    big_endian: bool,
    page_size: u64,
    data_at: u64,
) -> (Vec<(u64, u64)>, Option<u64>) {
    let mut index = Vec::new();
    let mut at = data_at;
    let mut end = None;
    while let Some((address, size, flags)) = page_header(image, big_endian, at) {
        if flags & FLAG_END != 0 {
            end = Some(at);
            break;
        }
        // No page takes no room: this is a hole of the file, or the end of what was written.
        if size == 0 {
            break;
        }
        let whole = PAGE_HEADER as u64 + u64::from(size);
        if image.extent(at, whole) < whole {
            break;
        }
        index.push((address / page_size, at));
        at += whole;
    }
    index.sort_unstable();
    (index, end)
}

/// Address, size in bytes, and flags of the page at a file offset.
fn page_header(image: &Image, big_endian: bool, at: u64) -> Option<(u64, u32, u32)> {
    let bytes = image.get(at, PAGE_HEADER)?;
    let fields = Fields::new(&bytes, big_endian);
    Some((fields.u64(0)?, fields.u32(8)?, fields.u32(12)?))
}

impl Lkcd {
    /// All copies of a frame.
    fn copies(&self, pfn: u64) -> &[(u64, u64)] {
        let first = self.index.partition_point(|&(other, _)| other < pfn);
        let count = self.index[first..].partition_point(|&(other, _)| other == pfn);
        &self.index[first..first + count]
    }

    fn load(&self, at: u64) -> Result<Arc<[u8]>, Reason> {
        let (address, size, flags) =
            page_header(&self.image, self.big_endian, at).ok_or(Reason::Truncated)?;
        let is_compressed = flags & FLAG_COMPRESSED != 0;
        let compression = if is_compressed { self.compression } else { Compression::None };
        if u64::from(size) > 2 * self.page_size || address % self.page_size != 0 {
            return Err(Reason::Corrupt);
        }
        self.cache.get((0, at), || {
            let place = at + PAGE_HEADER as u64;
            let data = self.image.get_once(place, size as usize);
            let data = data.ok_or_else(|| self.image.why_missing(place, size.into()))?;
            decompress(compression, &data, self.page_size as usize).ok_or(Reason::Corrupt)
        })
    }

    /// A frame that is there more than once is read only if all copies agree.
    fn agreed(&self, copies: &[(u64, u64)]) -> Result<Arc<[u8]>, Reason> {
        let [(_, first), others @ ..] = copies else { return Err(self.missing()) };
        let page = self.load(*first)?;
        for &(_, other) in others {
            if self.load(other)? != page {
                return Err(Reason::Corrupt);
            }
        }
        Ok(page)
    }

    fn missing(&self) -> Reason {
        if self.cut { Reason::Truncated } else { Reason::NotSaved }
    }
}

impl PhysicalMemory for Lkcd {
    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let page = self.agreed(self.copies(pfn));
        page.map(Page::Cached)
            .map_err(|reason| Fault::physical(pfn.saturating_mul(self.page_size), reason))
    }

    fn presence(&self, pfn: u64) -> Presence {
        match (self.copies(pfn), self.missing()) {
            ([_, ..], _) => Presence::Stored,
            ([], Reason::Truncated) => Presence::Truncated,
            ([], _) => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.index.last().map_or(0, |&(pfn, _)| pfn.saturating_add(1))
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        let at = self.index.partition_point(|&(pfn, _)| pfn < from);
        let first = self.index.get(at)?.0;
        let rest = self.index[at..].iter();
        let last = rest.map(|&(pfn, _)| pfn).try_fold(first, |last, pfn| {
            if pfn <= last.saturating_add(1) { Ok(pfn) } else { Err(last) }
        });
        let (Ok(last) | Err(last)) = last;
        Some((first, last.saturating_add(1)))
    }
}
