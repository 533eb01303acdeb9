//! The kdump-compressed format: makedumpfile's and QEMU's, one file or a split set.
//!
//! `header | sub-header | bitmap 1: frames that existed | bitmap 2: frames in the file |
//! descriptors, one a set bit of bitmap 2 | page data`. A part of a split set carries the
//! bitmaps of the whole machine and the descriptors of its own range of frames.

mod header;
mod meta;
mod part;

use std::sync::Arc;

use crate::{
    Compression, Fault, OpenError, OpenOptions, Page, PhysicalMemory, Presence, Read, Reason,
    cache::PageCache,
    codec::decompress,
    meta::{Input, Opened},
    reader::{Answer, Reader, Tested},
};
use header::KdumpHeader;
use part::Part;

pub(crate) const READER: Reader = Reader {
    name: "kdump-compressed",
    about: "makedumpfile (also flattened with -F, split with --split), QEMU's dump-guest-memory -z -l -s, diskdump",
    tested: Tested::Real,
    recognise: |input| matches!(&*input.head(8), b"KDUMP   " | b"DISKDUMP"),
    answer: Answer::Open(open),
};

/// The main header's fields end here; less is no header.
const HEADER_SIZE: u64 = 464;

/// The parts of one dump, in ascending order of frames.
struct Kdump {
    parts: Vec<Part>,
    page_size: u64,
    max_pfn: u64,
    cache: PageCache,
    /// What excluded frames read as, when they do.
    zero_page: Option<Arc<[u8]>>,
}

/// Opens one file or a split set, in any order, with parts missing.
///
/// # Errors
/// A header that makes no sense, or files that are not parts of one dump.
fn open(files: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let OpenOptions { zero_excluded, cache_bytes, .. } = *options;
    let mut parts = Vec::new();
    for input in files {
        let image = &input.image;
        let header = KdumpHeader::parse(|at, len| image.get_up_to(at, len)).ok_or_else(|| {
            let is_cut = image.len() < HEADER_SIZE;
            let what = if is_cut {
                "cut within its header"
            } else {
                "the kdump header makes no sense in any byte order"
            };
            OpenError::corrupt(&input.path, what)
        })?;
        let part = Part::new(image.clone(), header);
        parts.push((input, part));
    }
    parts.sort_by_key(|(_, part)| (part.first, part.end));
    check_set(&parts)?;
    let Some((_, first)) = parts.first() else { return Err(OpenError::NoFile) };
    let meta = meta::describe(first, &parts);
    let parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    let page_size = meta.page_size;
    let max_pfn = parts.iter().map(|part| part.header.max_pfn).max().unwrap_or(0);
    let memory = Kdump {
        parts,
        page_size,
        max_pfn,
        cache: PageCache::new(cache_bytes, page_size),
        zero_page: zero_excluded.then(|| std::iter::repeat_n(0, page_size as usize).collect()),
    };
    Ok(Opened { memory: Box::new(memory), meta })
}

/// Parts of one dump say so, agree, and do not overlap.
fn check_set(parts: &[(Input, Part)]) -> Result<(), OpenError> {
    for pair in parts.windows(2) {
        let [(input_a, a), (input_b, b)] = pair else { continue };
        let (path_a, path_b) = (&input_a.path, &input_b.path);
        let (head_a, head_b) = (&a.header, &b.header);
        if head_a.split.is_none() || head_b.split.is_none() {
            return Err(OpenError::not_one_dump(
                path_a,
                path_b,
                "they are not parts of a split set",
            ));
        }
        // Not the time stamp: it is that of writing. VMCOREINFO has the crash's.
        let infos = (meta::vmcoreinfo(a), meta::vmcoreinfo(b));
        let infos_differ = matches!(&infos, (Some(a), Some(b)) if a != b);
        if infos_differ
            || (&head_a.uts, head_a.block_size, head_a.max_pfn, head_a.big_endian)
                != (&head_b.uts, head_b.block_size, head_b.max_pfn, head_b.big_endian)
        {
            return Err(OpenError::not_one_dump(path_a, path_b, "they are of different crashes"));
        }
        if a.end > b.first {
            return Err(OpenError::not_one_dump(path_a, path_b, "they hold the same page frames"));
        }
    }
    Ok(())
}

/// Why a frame is not readable, or the part that has it.
enum Place<'a> {
    In(usize, &'a Part),
    Missing(Reason),
}

impl Kdump {
    fn place(&self, pfn: u64) -> Place<'_> {
        let index = self.parts.partition_point(|part| part.end <= pfn);
        let home = self.parts.get(index).filter(|part| part.first <= pfn);
        // A frame outside every part's range is looked up in any part: all have all bitmaps.
        let Some(part) = home.or(self.parts.first()) else {
            return Place::Missing(Reason::NotSaved);
        };
        if pfn >= part.header.max_pfn {
            return Place::Missing(Reason::NotSaved);
        }
        match part.is_dumped(pfn) {
            Some(true) if home.is_some() => Place::In(index, part),
            Some(true) => Place::Missing(Reason::NotSaved),
            Some(false) if part.existed(pfn) == Some(true) => Place::Missing(Reason::Excluded),
            None if part.is_truncated() => Place::Missing(Reason::Truncated),
            _ => Place::Missing(Reason::NotSaved),
        }
    }

    fn load(&self, index: usize, part: &Part, pfn: u64) -> Result<Page<'_>, Reason> {
        let descriptor = part.descriptor(pfn)?;
        if descriptor.compression == Compression::None
            && let Some(bytes) = self.parts[index].image.slice(descriptor.offset, descriptor.size)
        {
            return Ok(Page::Mapped(bytes));
        }
        let key = (index as u32, descriptor.offset);
        let page = self.cache.get(key, || {
            let data = part.image.get_once(descriptor.offset, descriptor.size);
            data.and_then(|data| decompress(descriptor.compression, &data, self.page_size as usize))
                .ok_or(Reason::Corrupt)
        })?;
        Ok(Page::Cached(page))
    }
}

impl PhysicalMemory for Kdump {
    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let page = match self.place(pfn) {
            Place::In(index, part) => self.load(index, part, pfn),
            Place::Missing(Reason::Excluded) if let Some(zeros) = &self.zero_page => {
                Ok(Page::Cached(zeros.clone()))
            }
            Place::Missing(reason) => Err(reason),
        };
        page.map_err(|reason| Fault::physical(pfn.saturating_mul(self.page_size), reason))
    }

    fn presence(&self, pfn: u64) -> Presence {
        match self.place(pfn) {
            Place::In(_, part) if part.may_lack_pages() => match part.descriptor(pfn) {
                Err(Reason::Truncated) => Presence::Truncated,
                _ => Presence::Stored,
            },
            Place::In(..) => Presence::Stored,
            Place::Missing(Reason::Excluded) => Presence::Excluded,
            Place::Missing(Reason::Truncated) => Presence::Truncated,
            Place::Missing(_) => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.max_pfn
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        for part in &self.parts[self.parts.partition_point(|part| part.end <= from)..] {
            let mut at = from.max(part.first);
            while let Some((first, end)) = part.dumped_run(at, part.end) {
                if !part.may_lack_pages() {
                    return Some((first, end));
                }
                // Which frames survived has to be asked one by one.
                let is_stored = |pfn: &u64| self.presence(*pfn) == Presence::Stored;
                let mut at_run = first;
                while let Some(pfn) = part.next_described((at_run, end)) {
                    if is_stored(&pfn) {
                        let stop = (pfn..end).find(|pfn| !is_stored(pfn)).unwrap_or(end);
                        return Some((pfn, stop));
                    }
                    at_run = pfn + 1;
                }
                at = end;
            }
        }
        None
    }

    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        // Every part has the bitmap of the whole machine.
        self.parts.first()?.memory_run(from, self.max_pfn)
    }
}
