//! All slabs, by one pass over the `struct page`s: full ones are on no list.

use std::{collections::HashMap, sync::OnceLock};

use necropsy_dump::{PhysicalMemory, Reason};
use rayon::prelude::*;

use super::{Cache, Counts, Slab};
use crate::{Kernel, error::Result};

#[derive(Debug, Default)]
struct Index(OnceLock<Result<Slabs>>);

/// All slabs of a kernel.
#[derive(Debug, Default)]
pub struct Slabs {
    /// By cache, those of one cache by address.
    slabs: Vec<Slab>,
    /// The part of `slabs` that is a cache's.
    ranges: HashMap<u64, (usize, usize)>,
    /// Frames whose `struct page` the dump does not hold: slabs may be missing.
    pub unknown_frames: u64,
}

impl Slabs {
    /// Those of a cache, ascending by address.
    pub fn of(&self, cache: u64) -> &[Slab] {
        let range = self.ranges.get(&cache).copied().unwrap_or_default();
        self.slabs.get(range.0..range.1).unwrap_or_default()
    }

    /// All of them, by cache.
    pub fn all(&self) -> &[Slab] {
        &self.slabs
    }

    fn new(mut slabs: Vec<Slab>, unknown_frames: u64) -> Slabs {
        slabs.par_sort_unstable_by_key(|slab| (slab.cache, slab.start));
        let (mut ranges, mut start) = (HashMap::new(), 0);
        for run in slabs.chunk_by(|a, b| a.cache == b.cache) {
            if let Some(first) = run.first() {
                ranges.insert(first.cache, (start, start + run.len()));
            }
            start += run.len();
        }
        Slabs { slabs, ranges, unknown_frames }
    }
}

/// Frames looked at in one read.
const BLOCK: u64 = 64;
/// Frames that one thread takes at a time.
const BATCH: u64 = 16_384;
/// More batches than memory has: 8 TiB of small pages.
const MAX_BATCHES: usize = 1 << 17;
/// Runs of stored pages that are counted.
const MAX_RUNS: usize = 1 << 22;

impl Kernel {
    /// All slabs; looked for once.
    ///
    /// # Errors
    /// The kernel's memory map, or the types that tell of it, are not known.
    pub fn slabs(&self) -> Result<&Slabs> {
        self.memo::<Index>().0.get_or_init(|| self.find_slabs()).as_ref().map_err(Clone::clone)
    }

    /// Ranges of frames, first and end, that the kernel's memory map describes, as far as the dump
    /// holds its page tables.
    ///
    /// # Errors
    /// The memory map, or the size of a `struct page`, is not known.
    pub fn described_frames(&self) -> Result<Vec<(u64, u64)>> {
        self.mapped_frames(self.shapes().page.sizeof()?.clamp(8, 4096))
    }

    /// Batches of frames whose part of the memory map is mapped.
    fn mapped_frames(&self, size: u64) -> Result<Vec<(u64, u64)>> {
        let mut batches = Vec::new();
        let (mut pfn, end) = (0, self.target().dump_pfns());
        let mut left = self.frames_described_at_most(size);
        while pfn < end && left > 0 && batches.len() < MAX_BATCHES {
            let next = (pfn + BATCH).min(end);
            let at = self.page_of(pfn)?;
            // Holes in memory have holes in its map, of the size of whole page tables.
            let skip = match self.target().translate(at) {
                Err(fault) => match fault.reason {
                    Reason::NotMapped { level } | Reason::NoTable { level } if level > 1 => {
                        let bits = 12 + 9 * u32::from(level.min(5) - 1);
                        let until = (at >> bits).wrapping_add(1) << bits;
                        until.wrapping_sub(at) / size
                    }
                    _ => 0,
                },
                Ok(_) => 0,
            };
            if skip > 0 {
                pfn = pfn.saturating_add(skip.max(1));
            } else {
                // A batch ends where the next piece of a mapping may begin.
                let until = ((at >> 21).wrapping_add(1) << 21).wrapping_sub(at) / size;
                let next = next.min(pfn + until.max(1));
                left = left.saturating_sub(next - pfn);
                batches.push((pfn, next));
                pfn = next;
            }
        }
        Ok(batches)
    }

    /// How many frames the pages in the dump can describe, with room to spare: a damaged header
    /// may claim any number of them.
    fn frames_described_at_most(&self, size: u64) -> u64 {
        let dump = self.target().dump();
        let (mut stored, mut at) = (0u64, 0);
        for _ in 0..MAX_RUNS {
            let Some((first, end)) = dump.stored_run(at) else { break };
            stored = stored.saturating_add(end.saturating_sub(first));
            at = end;
        }
        let described = stored.saturating_mul(dump.page_size() / size);
        described.saturating_mul(4).saturating_add(1 << 20)
    }

    fn find_slabs(&self) -> Result<Slabs> {
        let size = self.shapes().page.sizeof()?.clamp(8, 4096);
        // What decides must be known before the pass.
        self.shapes().slab_marks.slab.get()?;
        self.shapes().slab.slab_cache.offset()?;
        let batches = self.mapped_frames(size)?;
        let parts: Vec<(Vec<Slab>, u64)> =
            batches.par_iter().map(|batch| self.slabs_among(*batch, size)).collect();
        let unknown = parts.iter().map(|(_, unknown)| unknown).sum();
        Ok(Slabs::new(parts.into_iter().flat_map(|(slabs, _)| slabs).collect(), unknown))
    }

    fn slabs_among(&self, (first, end): (u64, u64), size: u64) -> (Vec<Slab>, u64) {
        let (mut slabs, mut unknown) = (Vec::new(), 0);
        let mut buffer = vec![0; (BLOCK * size) as usize];
        for start in (first..end).step_by(BLOCK as usize) {
            let Ok(page) = self.page_of(start) else { break };
            let count = BLOCK.min(end - start);
            let Some(bytes) = buffer.get_mut(..(count * size) as usize) else { break };
            if let Err(fault) = self.target().read(page, bytes) {
                if !matches!(fault.reason, Reason::NotMapped { .. }) {
                    unknown += count;
                }
                continue;
            }
            for (number, bytes) in (0..).zip(bytes.chunks_exact(size as usize)) {
                if self.is_slab_head(bytes)
                    && let Ok(slab) = Slab::decode(self, page.wrapping_add(number * size), bytes)
                    && !self.is_kfence(slab.start)
                {
                    slabs.push(slab);
                }
            }
        }
        (slabs, unknown)
    }

    /// Whether a copy of a `struct page` is that of the first frame of a slab.
    fn is_slab_head(&self, bytes: &[u8]) -> bool {
        let page = &self.shapes().page;
        let head = page.compound.decode(bytes).is_ok_and(|link| link & 1 == 0);
        head && self.is_slab_copy(bytes)
    }

    /// A cache, counted over all of its slabs.
    ///
    /// # Errors
    /// As [`Kernel::slabs`].
    pub fn cache_counts(&self, cache: &Cache) -> Result<Counts> {
        let held = self.held_of(cache);
        let slabs = self.slabs()?.of(cache.address);
        let sum = |mut a: Counts, b: Counts| {
            a += b;
            a
        };
        let counts = slabs.par_iter().map(|slab| self.slab_counts(cache, slab, &held));
        Ok(counts.reduce(Counts::default, sum))
    }

    /// A cache, counted by what its lists and counters say, without a look at its full slabs;
    /// `None` where nodes do not count (CONFIG_SLUB_DEBUG), or a list cannot be followed.
    pub fn cache_counts_told(&self, cache: &Cache) -> Option<Counts> {
        let held = self.held_of(cache);
        let mut counts = Counts::default();
        for node in &held.nodes {
            counts.slabs = counts.slabs.saturating_add(node.nr_slabs?);
            counts.total = counts.total.saturating_add(node.total_objects?);
        }
        let mut free = held.objects.len() as u64;
        for page in held.slabs.keys() {
            let slab = self.slab_of_page(*page).ok()?;
            free += slab.objects.saturating_sub(slab.inuse);
        }
        counts.allocated = counts.total.saturating_sub(free);
        held.errors.is_empty().then_some(counts)
    }
}
