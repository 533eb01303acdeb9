//! One pass over all `struct page`s: what each says of itself.

use rayon::prelude::*;

use super::super::{Checker, Class, Confidence};
use crate::{Kernel, Result, page::Marks, page_type::PageType, zone::Zone};

/// What is kept of a frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    /// `compound_head`, as it stands: bit 0 in tails.
    pub(super) link: u64,
    /// Of a free run, its order.
    pub(super) order: u8,
    /// Of [`Frame::KNOWN`] and others.
    bits: u8,
}

impl Frame {
    const KNOWN: u8 = 1;
    const BUDDY: u8 = 2;
    const SLAB: u8 = 4;
    const HEAD: u8 = 8;
    const USED: u8 = 16;
    const TABLE: u8 = 32;
    const LISTED: u8 = 64;

    fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    /// Whether the dump describes it.
    pub(super) fn known(self) -> bool {
        self.has(Self::KNOWN)
    }

    /// Whether it is the first of a free run.
    pub(super) fn buddy(self) -> bool {
        self.has(Self::BUDDY)
    }

    /// Whether it has the mark of slabs.
    pub(super) fn slab(self) -> bool {
        self.has(Self::SLAB)
    }

    /// Whether it is the head of a compound page.
    pub(super) fn head(self) -> bool {
        self.has(Self::HEAD)
    }

    /// Whether it has references.
    pub(super) fn used(self) -> bool {
        self.has(Self::USED)
    }

    /// Whether it has the mark of page tables.
    pub(super) fn table(self) -> bool {
        self.has(Self::TABLE)
    }

    /// Whether it was found on a list of free ones.
    pub(super) fn listed(self) -> bool {
        self.has(Self::LISTED)
    }

    /// Notes that it is on a list of free ones; false if it was.
    pub(super) fn list(&mut self) -> bool {
        let new = !self.listed();
        self.bits |= Self::LISTED;
        new
    }
}

/// All frames that the kernel describes.
pub(super) struct Frames {
    frames: Vec<Frame>,
    pub(super) zones: Vec<Zone>,
    pub(super) page_size: u64,
}

impl Frames {
    /// A frame by its number.
    pub(super) fn get(&self, pfn: u64) -> Frame {
        self.frames.get(pfn as usize).copied().unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, pfn: u64) -> Option<&mut Frame> {
        self.frames.get_mut(pfn as usize)
    }

    /// One past the last.
    pub(super) fn end(&self) -> u64 {
        self.frames.len() as u64
    }
}

/// Frames looked at in one read.
const BLOCK: u64 = 64;
/// More frames than are kept in memory at once: 512 GiB of 4 KiB.
const MAX_FRAMES: u64 = 1 << 27;
/// A frame's flags end in the numbers of its node and zone, how wide each is being the kernel's choice.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    /// From this bit on.
    shift: u32,
    /// Bits of the zone's number.
    zone: u32,
}

impl Numbers {
    fn of(self, zone: &Zone) -> u64 {
        zone.node << self.zone | zone.number
    }
}

pub(super) fn read(checker: &mut Checker<'_>) -> Result<Frames> {
    let kernel = checker.kernel;
    let zones: Vec<Zone> = kernel.zones()?.into_iter().filter(|zone| zone.spanned > 0).collect();
    let size = kernel.shapes().page.sizeof()?.clamp(8, 4096);
    let marks = Marks::of(kernel);
    let end = kernel.target().dump_pfns();
    let mut frames = Frames {
        frames: vec![Frame::default(); end.min(MAX_FRAMES) as usize],
        zones,
        page_size: size,
    };
    if end > MAX_FRAMES {
        checker.unread("page frames", end - MAX_FRAMES, None);
    }
    let numbers = numbers(kernel, &frames.zones);
    if numbers.is_none() {
        checker.unread("numbers of nodes and zones", end, None);
    }
    let ranges = kernel.described_frames()?;
    let (look, zones): (&Checker<'_>, &[Zone]) = (checker, &frames.zones);
    let found: Vec<(Checker<'_>, Vec<(u64, Frame)>)> = ranges
        .par_iter()
        .map(|range| {
            let mut part = look.part();
            let found = block(&mut part, *range, size, &marks, zones, numbers);
            (part, found)
        })
        .collect();
    for (part, found) in found {
        checker.take(part);
        for (pfn, frame) in found {
            if let Some(place) = frames.get_mut(pfn) {
                *place = frame;
            }
        }
    }
    Ok(frames)
}

/// Where the numbers of node and zone are: the furthest up that nearly all of a sample of every zone's
/// frames agree with. Below them lie others (of the task that used a frame last), which differ from
/// frame to frame.
fn numbers(kernel: &Kernel, zones: &[Zone]) -> Option<Numbers> {
    const SAMPLE: u64 = 4096;
    let kinds = u64::try_from(kernel.constant("__MAX_NR_ZONES").ok()?).ok()?;
    // ZONES_SHIFT (include/linux/page-flags-layout.h)
    let zone = kinds.next_power_of_two().trailing_zeros();
    let shape = &kernel.shapes().page.flags;
    let mut sample = Vec::new();
    // Where zones overlap a frame may be of any of them.
    for place in zones {
        let step = (place.spanned / SAMPLE).max(1) as usize;
        let frames = (place.start_pfn..place.start_pfn.saturating_add(place.spanned)).step_by(step);
        let pages = frames.map_while(|pfn| Some((pfn, kernel.page_of(pfn).ok()?)));
        sample.extend(
            pages.filter_map(|(pfn, page)| Some((pfn, shape.read(kernel.target(), page).ok()?))),
        );
    }
    let top = (8 * kernel.target().pointer_size()).checked_sub(zone)?;
    (zone > 0 && sample.len() >= 64).then_some(())?;
    (top / 2..=top).rev().map(|shift| Numbers { shift, zone }).find(|numbers| {
        let agree = |(pfn, flags): &&(u64, u64)| {
            let mut of = zones.iter().filter(|zone| zone.spans(*pfn));
            of.any(|zone| flags >> numbers.shift == numbers.of(zone))
        };
        sample.iter().filter(agree).count() >= sample.len() - sample.len() / 64
    })
}

/// Looks at the numbers of a frame. Where zones overlap it may be of any of them.
fn numbered(
    checker: &mut Checker<'_>,
    pfn: u64,
    page: u64,
    bytes: &[u8],
    zones: &[Zone],
    numbers: Numbers,
) {
    let shape = &checker.kernel.shapes().page.flags;
    let Ok(flags) = shape.decode(bytes) else { return };
    let mut expected = zones.iter().filter(|zone| zone.spans(pfn)).map(|zone| numbers.of(zone));
    let Some(first) = expected.next() else { return };
    let found = flags >> numbers.shift;
    if found == first || expected.any(|number| number == found) {
        return;
    }
    let below = flags & ((1 << numbers.shift) - 1);
    checker
        .find(
            "numbers",
            Class::Value,
            format!("page frame {pfn:#x}"),
            shape.address(page).unwrap_or(page),
            "its node or zone is not that of its neighbours",
        )
        .start(page)
        .values(first << numbers.shift | below, flags)
        .neighbours("nearly all frames of the zone have the same");
}

fn block(
    checker: &mut Checker<'_>,
    (first, end): (u64, u64),
    size: u64,
    marks: &Marks,
    zones: &[Zone],
    numbers: Option<Numbers>,
) -> Vec<(u64, Frame)> {
    let kernel = checker.kernel;
    let mut found = Vec::new();
    let mut buffer = vec![0; (BLOCK * size) as usize];
    for start in (first..end).step_by(BLOCK as usize) {
        if checker.stopped() {
            break;
        }
        let count = BLOCK.min(end - start);
        let Ok(page) = kernel.page_of(start) else { break };
        let Some(bytes) = buffer.get_mut(..(count * size) as usize) else { break };
        if let Err(fault) = kernel.target().read(page, bytes) {
            if !matches!(fault.reason, necropsy_dump::Reason::NotMapped { .. }) {
                checker.unread("page frames", count, Some(&fault.into()));
            }
            continue;
        }
        for (pfn, bytes) in (start..).zip(bytes.chunks_exact(size as usize)) {
            // The map may begin before memory does, and end behind it.
            if !zones.iter().any(|zone| zone.spans(pfn)) {
                continue;
            }
            let page = page.wrapping_add((pfn - start) * size);
            let frame = one(checker, pfn, page, bytes, marks);
            if let Some(numbers) = numbers {
                numbered(checker, pfn, page, bytes, zones, numbers);
            }
            found.push((pfn, frame));
        }
    }
    checker.count("page frames", found.len() as u64);
    found
}

fn one(checker: &mut Checker<'_>, pfn: u64, page: u64, bytes: &[u8], marks: &Marks) -> Frame {
    let kernel = checker.kernel;
    let shape = &kernel.shapes().page;
    let flags = shape.flags.decode(bytes).unwrap_or(0);
    let link = shape.compound.decode(bytes).unwrap_or(0);
    let kind = shape.page_type.decode(bytes).ok().map(|kind| kind as u32);
    let refcount = shape.refcount.decode(bytes).ok().map(|count| count as u32 as i32);
    let mapping = shape.mapping.decode(bytes).unwrap_or(0);
    let tail = link & 1 == 1;
    let is = |wanted: Option<PageType>| {
        !tail && kind.zip(wanted).is_some_and(|(kind, wanted)| wanted.is(kind))
    };
    let (buddy, table) = (is(marks.types.buddy), is(marks.types.table));
    let in_kfence = || kernel.slab_address(page).is_ok_and(|at| kernel.is_kfence(at));
    let slab = !tail && kernel.is_slab_copy(bytes) && !in_kfence();
    let name = || format!("page frame {pfn:#x}");
    let at = |field: &crate::shape::Field| field.address(page).unwrap_or(page);
    let wrong = flags & marks.never(buddy, slab, table);
    if wrong != 0 {
        let use_of = if buddy {
            "a free frame"
        } else if slab {
            "a frame of a slab"
        } else {
            "a page table"
        };
        let text = format!("{use_of} has flags of other uses: {}", marks.names(wrong));
        checker
            .find("flags", Class::Value, name(), at(&shape.flags), text)
            .start(page)
            .values(flags & !wrong, flags);
    }
    if let Some(count) = refcount {
        // A saturated or negative count is one that was dropped too often.
        if count < 0 {
            checker
                .find(
                    "refcount",
                    Class::Counter,
                    name(),
                    at(&shape.refcount),
                    "its count of references is negative",
                )
                .start(page)
                .found(u64::from(count as u32));
        } else if buddy && count != 0 {
            checker
                .find(
                    "refcount",
                    Class::Counter,
                    name(),
                    at(&shape.refcount),
                    "a free frame has references",
                )
                .start(page)
                .values(0, count as u64);
        } else if tail && count != 0 {
            checker
                .find(
                    "refcount",
                    Class::Counter,
                    name(),
                    at(&shape.refcount),
                    "a tail of a compound page has references",
                )
                .start(page)
                .values(0, count as u64);
        }
    }
    if let Some(kind) = kind.filter(|kind| !tail && !slab && !marks.types.can_be(*kind)) {
        checker
            .find(
                "kind",
                Class::Value,
                name(),
                at(&shape.page_type),
                "its kind is none that there is",
            )
            .start(page)
            .found(kind.into())
            .confidence(Confidence::Likely);
    }
    let mapped = !tail && !slab && !buddy && !table && refcount.is_some_and(|count| count > 0);
    if mapped && flags & marks.lru != 0 && mapping & !3 != 0 {
        let pointer = mapping & !3;
        let anonymous = mapping & 1 != 0;
        let lacks = |fault: &necropsy_dump::Fault| !super::super::no_address(fault);
        let known = match kernel.kmem_cache_of(pointer) {
            Ok(cache) => cache.is_some(),
            Err(error) => error.fault().is_some_and(lacks),
        };
        let known = known || !anonymous && kernel.target().image_at(pointer).is_some();
        let lacking = kernel.target().read_u64(pointer).err().as_ref().is_some_and(lacks);
        if !known && !lacking {
            let text = "its mapping is no object";
            checker
                .find("mapping", Class::Pointer, name(), at(&shape.mapping), text)
                .start(page)
                .found(mapping)
                .confidence(Confidence::Likely);
        }
    }
    let private = shape.private.decode(bytes).unwrap_or(0);
    let mut bits = Frame::KNOWN;
    for (set, bit) in [
        (buddy, Frame::BUDDY),
        (slab, Frame::SLAB),
        (!tail && flags & marks.head != 0, Frame::HEAD),
        (refcount.is_none_or(|count| count != 0), Frame::USED),
        (table, Frame::TABLE),
    ] {
        bits |= if set { bit } else { 0 };
    }
    if buddy && private > 63 {
        checker
            .find(
                "order",
                Class::Value,
                name(),
                at(&shape.private),
                "a free run has an order that there is not",
            )
            .start(page)
            .found(private);
    }
    Frame { link, order: private.min(63) as u8, bits }
}
