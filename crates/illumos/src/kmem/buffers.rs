//! The buffers of a cache: which are allocated, which are free.

use hashbrown::{HashMap, HashSet};

use crate::{Error, Kernel, Result, list::Walk};

use super::{Cache, KMF_HASH};

/// Most buckets of a cache's hash table, of a cache.
const MAX_TABLE: u64 = 1 << 22;
/// Largest slab, in bytes.
const MAX_SLAB: u64 = 1 << 24;
/// Most rounds of a magazine.
const MAX_ROUNDS: u64 = 4096;

/// The buffers of a cache.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    /// Allocated, with the address of what describes each (0: nothing does).
    pub allocated: Vec<(u64, u64)>,
    /// Free, with the address of what describes each (0: nothing does).
    pub free: Vec<(u64, u64)>,
    /// What could not be read.
    pub problem: Option<Error>,
}

/// A slab, as a range of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlabPlace {
    /// Its first buffer.
    pub base: u64,
    /// Number of its buffers.
    pub chunks: u64,
    /// Address of its `kmem_slab_t`.
    pub slab: u64,
}

impl Kernel {
    /// The slabs of a cache: complete ones, then those with free buffers.
    pub fn slabs(&self, cache: &Cache) -> (Vec<SlabPlace>, Vec<SlabPlace>, Option<Error>) {
        let shapes = self.shapes();
        let shape = &shapes.kmem_cache;
        let mut problem = None;
        // A damaged count is not taken at its word: no slab has more than fits.
        let most = match cache.chunksize {
            0 => 0,
            size => cache.slabsize.min(MAX_SLAB) / size.max(8),
        };
        let mut read = |walk: Result<Walk>| -> Vec<SlabPlace> {
            let walk =
                walk.unwrap_or_else(|error| Walk { found: Vec::new(), problem: Some(error) });
            problem = problem.take().or(walk.problem);
            let place = |slab: u64| -> Result<SlabPlace> {
                Ok(SlabPlace {
                    base: shapes.slab.base.get(self, slab)?,
                    chunks: shapes.slab.chunks.get(self, slab)?.min(most),
                    slab,
                })
            };
            let mut found = Vec::new();
            for slab in walk.found {
                match place(slab) {
                    Ok(place) => found.push(place),
                    Err(error) => problem = problem.take().or(Some(error)),
                }
            }
            found
        };
        let complete = read(shape.complete.at(cache.address).map(|list| self.list(list)));
        let partial = read(shape.partial.at(cache.address).map(|tree| self.avl(tree)));
        (complete, partial, problem)
    }

    /// Buffers that lie in magazines.
    pub(crate) fn magazine_rounds(&self, cache: u64) -> Result<Vec<u64>> {
        let shapes = self.shapes();
        let magsize = self.kmem_magsize(cache)?.min(MAX_ROUNDS);
        let round_at = shapes.magazine.round.offset()?;
        let mut rounds = Vec::new();
        let mut take = |magazine: u64, count: u64| -> Result<()> {
            for index in 0..count {
                rounds.push(self.read_u64(magazine.wrapping_add(round_at + 8 * index))?);
            }
            Ok(())
        };
        let first = shapes.kmem_cache.full.get(self, cache)?;
        let full = Walk::follow(first, |_| false, |at| shapes.magazine.next.get(self, at));
        for magazine in full.found {
            take(magazine, magsize)?;
        }
        for cpu in self.kmem_cpus(cache)? {
            for (magazine, count) in self.kmem_loaded(cpu)? {
                if magazine != 0 && count > 0 {
                    take(magazine, (count as u64).min(MAX_ROUNDS))?;
                }
            }
        }
        Ok(rounds)
    }

    /// The free list of a slab: buffer and what describes it.
    fn slab_free_list(&self, cache: &Cache, slab: u64) -> (Vec<(u64, u64)>, Option<Error>) {
        let shapes = self.shapes();
        let bufctl = &shapes.bufctl;
        let first = match shapes.slab.head.get(self, slab) {
            Ok(first) => first,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let hashed = cache.flags & KMF_HASH != 0;
        let mut walk = Walk::follow(first, |_| false, |at| bufctl.next.get(self, at));
        let mut found = Vec::new();
        for at in std::mem::take(&mut walk.found) {
            if !hashed {
                found.push((at.wrapping_sub(cache.bufctl), 0));
                continue;
            }
            match bufctl.addr.get(self, at) {
                Ok(buffer) => found.push((buffer, at)),
                Err(error) => walk.problem = walk.problem.or(Some(error)),
            }
        }
        (found, walk.problem)
    }

    /// All descriptions in a cache's hash table: buffer and description.
    fn hashed_buffers(&self, cache: &Cache) -> Result<Vec<(u64, u64)>> {
        let shapes = self.shapes();
        let table = shapes.kmem_cache.hash_table.get(self, cache.address)?;
        let count =
            shapes.kmem_cache.hash_mask.get(self, cache.address)?.saturating_add(1).min(MAX_TABLE);
        let mut found = Vec::new();
        for bucket in 0..count {
            let first = self.read_u64(table.wrapping_add(8 * bucket))?;
            let chain = Walk::follow(first, |_| false, |at| shapes.bufctl.next.get(self, at));
            for at in chain.found {
                found.push((shapes.bufctl.addr.get(self, at)?, at));
            }
        }
        Ok(found)
    }

    /// All buffers of a cache, allocated and free.
    pub fn kmem_buffers(&self, cache: &Cache) -> Buffers {
        let mut out = Buffers::default();
        let (complete, partial, problem) = self.slabs(cache);
        out.problem = problem;
        let rounds = self.magazine_rounds(cache.address).unwrap_or_else(|error| {
            out.problem = out.problem.take().or(Some(error));
            Vec::new()
        });
        let in_magazines: HashSet<u64> = rounds.iter().copied().collect();
        let hashed = cache.flags & KMF_HASH != 0;
        let mut described = HashMap::new();
        if hashed {
            match self.hashed_buffers(cache) {
                Ok(all) => {
                    for (buffer, bufctl) in all {
                        described.insert(buffer, bufctl);
                        if !in_magazines.contains(&buffer) {
                            out.allocated.push((buffer, bufctl));
                        }
                    }
                }
                Err(error) => out.problem = out.problem.take().or(Some(error)),
            }
        }
        out.free.extend(
            rounds.iter().map(|buffer| (*buffer, described.get(buffer).copied().unwrap_or(0))),
        );
        for place in &partial {
            let (free, problem) = self.slab_free_list(cache, place.slab);
            out.problem = out.problem.take().or(problem);
            if !hashed {
                let on_list: HashSet<u64> = free.iter().map(|&(buffer, _)| buffer).collect();
                self.chunks(cache, place, |buffer| {
                    if !on_list.contains(&buffer) && !in_magazines.contains(&buffer) {
                        out.allocated.push((buffer, 0));
                    }
                });
            }
            out.free.extend(free);
        }
        if !hashed {
            for place in &complete {
                self.chunks(cache, place, |buffer| {
                    if !in_magazines.contains(&buffer) {
                        out.allocated.push((buffer, 0));
                    }
                });
            }
        }
        out
    }

    fn chunks(&self, cache: &Cache, place: &SlabPlace, mut each: impl FnMut(u64)) {
        for index in 0..place.chunks {
            each(place.base.wrapping_add(index.wrapping_mul(cache.chunksize)));
        }
    }

    /// What describes a buffer of a cache with a hash table.
    ///
    /// # Errors
    /// The chain cannot be read.
    pub fn bufctl_of(&self, cache: &Cache, buffer: u64) -> Result<Option<u64>> {
        let shapes = self.shapes();
        let shape = &shapes.kmem_cache;
        let table = shape.hash_table.get(self, cache.address)?;
        let mask = shape.hash_mask.get(self, cache.address)?;
        let shift = shape.hash_shift.get(self, cache.address)?.min(63);
        let bucket = table.wrapping_add(8 * (buffer >> shift & mask));
        let chain =
            Walk::follow(self.read_u64(bucket)?, |_| false, |at| shapes.bufctl.next.get(self, at));
        for at in chain.found {
            if shapes.bufctl.addr.get(self, at)? == buffer {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
