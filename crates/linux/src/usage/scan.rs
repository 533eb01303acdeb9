//! The pass over all `struct page`s.

use std::collections::{BTreeMap, HashMap};

use necropsy_dump::Reason;
use rayon::prelude::*;

use super::{Ram, Range, Use, claims::Claims};
use crate::{
    Kernel,
    error::Result,
    page_type::{PageType, PageTypes},
};

/// What the pass counted.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) frames: BTreeMap<Use, u64>,
    /// Frames in files, by `address_space`.
    pub(super) mappings: HashMap<u64, u64>,
}

/// Frames that one thread takes at a time, and that are read at once.
const BATCH: u64 = 32_768;
const BLOCK: u64 = 64;
/// No free piece is larger: 2 to the power of it frames (MAX_PAGE_ORDER).
const MAX_ORDER: u64 = 10;
/// Marks in the low bits of `mapping` (include/linux/page-flags.h): memory of processes, and what
/// drivers move.
const ANONYMOUS: u64 = 1;
const MARKS: u64 = 3;
/// `pp_magic` of a page_pool's frame: 0x40 behind the poison (net/core/page_pool.c).
const POOL: u64 = 0xdead_0000_0000_0040;

/// Counts every frame of RAM.
///
/// # Errors
/// The memory map, or the types that tell of it, are not known.
pub(super) fn scan(kernel: &Kernel, ram: &Ram, claims: &Claims) -> Result<Scan> {
    let shape = &kernel.shapes().page;
    let size = shape.sizeof()?.clamp(8, 4096);
    shape.flags.offset()?;
    kernel.shapes().slab_marks.slab.get()?;
    let batches = ram.ranges.iter().flat_map(|range| {
        let starts = (range.start..range.end).step_by(BATCH as usize);
        starts.map(|start| Range { start, end: (start + BATCH).min(range.end) })
    });
    let batches: Vec<Range> = batches.collect();
    let flag = |name: &str| kernel.constant(name).map_or(0, |bit| 1 << (bit as u64 & 63));
    let (reserved, several) = (flag("PG_reserved"), flag("PG_head"));
    let walk = Walk { kernel, ram, claims, size, types: PageTypes::of(kernel), reserved, several };
    Ok(batches.par_iter().map(|batch| walk.batch(*batch)).reduce(Scan::default, Scan::and))
}

impl Scan {
    fn and(mut self, other: Scan) -> Scan {
        for (used, frames) in other.frames {
            *self.frames.entry(used).or_default() += frames;
        }
        for (mapping, frames) in other.mappings {
            *self.mappings.entry(mapping).or_default() += frames;
        }
        self
    }
}

struct Walk<'a> {
    kernel: &'a Kernel,
    ram: &'a Ram,
    claims: &'a Claims,
    size: u64,
    types: PageTypes,
    /// The flag of frames that are nobody's to give.
    reserved: u64,
    /// That of the first of several that belong together.
    several: u64,
}

/// What a frame is, before others are asked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Is(Use),
    Mapping(u64),
    /// Given out, for nobody tells what.
    Given,
    /// Nobody has a reference: a later part of something, or kept by a CPU.
    Unreferenced,
}

impl Walk<'_> {
    fn batch(&self, range: Range) -> Scan {
        let mut scan = Scan::default();
        let mut buffer = vec![0; (BLOCK * self.size) as usize];
        // A batch may begin within a free piece, or another.
        let mut free_until = self.free_before(range.start);
        let mut before = Seen::Given;
        for start in (range.start..range.end).step_by(BLOCK as usize) {
            let count = BLOCK.min(range.end - start);
            let page = self.kernel.page_of(start);
            let bytes = buffer.get_mut(..(count * self.size) as usize);
            let (Ok(page), Some(bytes)) = (page, bytes) else { break };
            let read = self.kernel.target().read(page, bytes);
            for number in 0..count {
                let pfn = start + number;
                let fixed = self.ram.fixed(pfn);
                let at = (number * self.size) as usize;
                let copy = buffer.get(at..at + self.size as usize).unwrap_or_default();
                let copied = match &read {
                    // No part of the memory map.
                    Err(fault) if matches!(fault.reason, Reason::NotMapped { .. }) => None,
                    Ok(()) => Some(std::borrow::Cow::Borrowed(copy)),
                    Err(_) => self.one(pfn).map(std::borrow::Cow::Owned),
                };
                let seen = match (copied, fixed) {
                    (Some(copy), _) => self.look(pfn, &copy, &mut free_until, before),
                    (None, Some(used)) => Seen::Is(used),
                    (None, None) => Seen::Is(Use::NotInDump),
                };
                let seen = match seen {
                    Seen::Unreferenced => match self.claims.get(pfn) {
                        Some(used) => Seen::Is(used),
                        // Of a piece that was given out whole only the first frame is counted.
                        None => before,
                    },
                    Seen::Given => self.claims.get(pfn).map_or(Seen::Given, Seen::Is),
                    // Of the image, too, parts are given to the page allocator.
                    Seen::Is(Use::Reserved) => {
                        Seen::Is(fixed.or_else(|| self.claims.get(pfn)).unwrap_or(Use::Reserved))
                    }
                    seen => seen,
                };
                match seen {
                    Seen::Is(used) => *scan.frames.entry(used).or_default() += 1,
                    Seen::Mapping(mapping) => *scan.mappings.entry(mapping).or_default() += 1,
                    Seen::Given | Seen::Unreferenced => {
                        *scan.frames.entry(Use::Kernel).or_default() += 1;
                    }
                }
                // What follows a frame that has an owner of its own need not be his.
                before = match seen {
                    Seen::Is(Use::Free | Use::FreeOfCpu | Use::Reserved | Use::Image) => {
                        Seen::Given
                    }
                    seen => seen,
                };
            }
        }
        scan
    }

    /// The `struct page` of one frame, where its neighbours cannot be read.
    fn one(&self, pfn: u64) -> Option<Vec<u8>> {
        let page = self.kernel.page_of(pfn).ok()?;
        self.kernel.target().read_bytes(page, self.size).ok()
    }

    /// One past the free piece that a frame lies within, if it does.
    fn free_before(&self, pfn: u64) -> u64 {
        for order in 1..=MAX_ORDER {
            let first = pfn & !((1 << order) - 1);
            if first == pfn {
                continue;
            }
            let Some(copy) = self.one(first) else { continue };
            let shape = &self.kernel.shapes().page;
            let kind = shape.page_type.decode(&copy).unwrap_or(0) as u32;
            let own = shape.private.decode(&copy).unwrap_or(0);
            if self.types.buddy.is_some_and(|buddy| buddy.is(kind)) && own <= MAX_ORDER {
                let end = first + (1 << own);
                if end > pfn {
                    return end;
                }
            }
        }
        pfn
    }

    fn look(&self, pfn: u64, copy: &[u8], free_until: &mut u64, before: Seen) -> Seen {
        let shape = &self.kernel.shapes().page;
        if pfn < *free_until {
            return Seen::Is(Use::Free);
        }
        let link = shape.compound.decode(copy).unwrap_or(0);
        // A frame on a list has pointers there: only the lowest bit tells.
        if link & 1 == 1 && self.is_kernel(link) {
            return self.of_head(pfn, before);
        }
        let kind = shape.page_type.decode(copy).unwrap_or(0) as u32;
        let is = |wanted: Option<PageType>| wanted.is_some_and(|wanted| wanted.is(kind));
        if is(self.types.buddy) {
            let order = shape.private.decode(copy).unwrap_or(0).min(MAX_ORDER);
            *free_until = pfn + (1 << order);
            return Seen::Is(Use::Free);
        }
        self.whole(pfn, copy, kind, link)
    }

    /// What the first frame of something is.
    fn whole(&self, pfn: u64, copy: &[u8], kind: u32, link: u64) -> Seen {
        let shape = &self.kernel.shapes().page;
        let is = |wanted: Option<PageType>| wanted.is_some_and(|wanted| wanted.is(kind));
        let flags = shape.flags.decode(copy).unwrap_or(0);
        if self.kernel.is_slab_copy(copy) {
            return Seen::Is(Use::Slab);
        }
        if is(self.types.table) {
            return Seen::Is(Use::PageTables);
        }
        let several = flags & self.several != 0;
        if is(self.types.huge) || (several && self.kernel.is_old_huge_page(pfn)) {
            return Seen::Is(Use::Huge);
        }
        if is(self.types.offline) {
            return Seen::Is(Use::Offline);
        }
        if is(self.types.large) {
            return Seen::Is(Use::Kmalloc);
        }
        if is(self.types.compressed) {
            return Seen::Is(Use::Compressed);
        }
        if flags & self.reserved != 0 {
            return Seen::Is(Use::Reserved);
        }
        if shape.refcount.decode(copy).is_ok_and(|count| count as u32 == 0) {
            return Seen::Unreferenced;
        }
        if link & !3 == POOL {
            return Seen::Is(Use::PagePool);
        }
        match shape.mapping.decode(copy).unwrap_or(0) {
            mapping if !self.is_kernel(mapping) => Seen::Given,
            mapping if mapping & ANONYMOUS != 0 => Seen::Is(Use::Anonymous),
            mapping if mapping & MARKS == 0 => Seen::Mapping(mapping),
            _ => Seen::Given,
        }
    }

    fn is_kernel(&self, address: u64) -> bool {
        self.kernel.target().is_kernel_address(address)
    }

    /// What a later frame of a compound one is: the same as its first.
    fn of_head(&self, pfn: u64, before: Seen) -> Seen {
        // Mostly it is the one before this, or that one's first.
        let head = self.kernel.page_of(pfn).and_then(|page| self.kernel.head_page(page));
        let Ok(head) = head else { return before };
        let Ok(copy) = self.kernel.target().read_bytes(head, self.size) else { return before };
        let shape = &self.kernel.shapes().page;
        let kind = shape.page_type.decode(&copy).unwrap_or(0) as u32;
        let link = shape.compound.decode(&copy).unwrap_or(0);
        let first = self.kernel.pfn_of(head).unwrap_or(pfn);
        match self.whole(first, &copy, kind, link) {
            Seen::Given | Seen::Unreferenced => {
                let first = self.kernel.pfn_of(head).ok().and_then(|head| self.claims.get(head));
                first.map_or(Seen::Given, Seen::Is)
            }
            seen => seen,
        }
    }
}
