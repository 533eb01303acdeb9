//! The allocator of kernel memory (`sys/kmem_impl.h`): caches, slabs, magazines, and what checks
//! them.

mod buffers;
mod leaks;
mod logs;
mod verify;

use crate::{Kernel, Result, list::Walk};

pub use buffers::{Buffers, SlabPlace};
pub use leaks::{Leak, Leaks};
pub use logs::{AuditRecord, Users};
pub use verify::{Corruption, Verdict};

/// `KMF_AUDIT`: transactions are recorded.
pub const KMF_AUDIT: u64 = 0x1;
/// `KMF_DEADBEEF`: free buffers are filled with a pattern.
pub const KMF_DEADBEEF: u64 = 0x2;
/// `KMF_REDZONE`: a word behind each buffer is checked.
pub const KMF_REDZONE: u64 = 0x4;
/// `KMF_LITE`: only callers are recorded.
pub const KMF_LITE: u64 = 0x100;
/// `KMF_HASH`: descriptions of buffers lie apart, in a hash table.
pub const KMF_HASH: u64 = 0x200;
/// `KMF_DUMPDIVERT` of a CPU's cache: its numbers were frozen before dumping.
const KMF_DUMPDIVERT: u64 = 0x1000;
/// Most CPUs of one machine.
const MAX_CPUS: u64 = 4096;

/// A cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Address of its `kmem_cache_t`.
    pub address: u64,
    /// Its name.
    pub name: String,
    /// `cache_flags`.
    pub flags: u64,
    /// `cache_cflags`.
    pub cflags: u64,
    /// Bytes of a buffer.
    pub bufsize: u64,
    /// Bytes from one buffer to the next.
    pub chunksize: u64,
    /// Bytes of a slab.
    pub slabsize: u64,
    /// Buffers of all slabs.
    pub buftotal: u64,
    /// Address of the arena that its slabs come from.
    pub arena: u64,
    /// Offset of a free buffer's link in it.
    pub(crate) bufctl: u64,
    /// Offset of what checks a buffer.
    pub(crate) buftag: u64,
    /// Bytes of a free buffer that hold the pattern.
    pub(crate) verify: u64,
}

/// What `::kmastat` tells of a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Buffers in use.
    pub in_use: u64,
    /// Bytes of its slabs.
    pub memory: u64,
    /// Allocations that succeeded.
    pub alloc: u64,
    /// Allocations that failed.
    pub fail: u64,
}

impl Kernel {
    /// Addresses of all caches.
    pub fn kmem_caches(&self) -> Walk {
        match self.address_of("kmem_caches") {
            Ok(list) => self.list(list),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }

    /// A cache by its address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn kmem_cache(&self, address: u64) -> Result<Cache> {
        let shape = &self.shapes().kmem_cache;
        Ok(Cache {
            address,
            name: shape.name.text(self, address)?,
            flags: shape.flags.get(self, address)?,
            cflags: shape.cflags.get(self, address)?,
            bufsize: shape.bufsize.get(self, address)?,
            chunksize: shape.chunksize.get(self, address)?,
            slabsize: shape.slabsize.get(self, address)?,
            buftotal: shape.buftotal.get(self, address)?,
            arena: shape.arena.get(self, address)?,
            bufctl: shape.bufctl.get(self, address)?,
            buftag: shape.buftag.get(self, address)?,
            verify: shape.verify.get(self, address)?,
        })
    }

    /// Addresses of the parts of a cache that each CPU has.
    pub(crate) fn kmem_cpus(&self, cache: u64) -> Result<Vec<u64>> {
        let first = self.shapes().kmem_cache.cpus.at(cache)?;
        let count = self.int("max_ncpus").map_or(1, u64::from).clamp(1, MAX_CPUS);
        let size = self.types().size_of(self.type_named("kmem_cpu_cache_t")?).unwrap_or(64);
        Ok((0..count).map(|cpu| first.wrapping_add(cpu * size)).collect())
    }

    /// Magazine and number of rounds of both magazines of a CPU: as they were before dumping.
    pub(crate) fn kmem_loaded(&self, cpu: u64) -> Result<[(u64, i64); 2]> {
        let shape = &self.shapes().kmem_cpu;
        let diverted = shape.flags.get(self, cpu)? & KMF_DUMPDIVERT != 0;
        let (rounds, prounds) = match diverted && shape.dump_rounds.exists() {
            true => (shape.dump_rounds, shape.dump_prounds),
            false => (shape.rounds, shape.prounds),
        };
        Ok([
            (shape.loaded.get(self, cpu)?, rounds.signed(self, cpu)?),
            (shape.ploaded.get(self, cpu)?, prounds.signed(self, cpu)?),
        ])
    }

    /// Rounds of a full magazine of a cache.
    pub(crate) fn kmem_magsize(&self, cache: u64) -> Result<u64> {
        let magtype = self.shapes().kmem_cache.magtype.get(self, cache)?;
        match magtype {
            0 => Ok(0),
            at => self.shapes().magtype.size.get(self, at),
        }
    }

    /// What is used of a cache.
    ///
    /// # Errors
    /// Its numbers cannot be read.
    pub fn kmem_use(&self, cache: &Cache) -> Result<CacheUse> {
        let shapes = self.shapes();
        let shape = &shapes.kmem_cache;
        let at = cache.address;
        let magsize = self.kmem_magsize(at)?;
        let mut free = shape.full_total.get(self, at)?.saturating_mul(magsize);
        let mut alloc =
            shape.slab_alloc.get(self, at)?.saturating_add(shape.full_alloc.get(self, at)?);
        for cpu in self.kmem_cpus(at)? {
            for (_, rounds) in self.kmem_loaded(cpu)? {
                free = free.saturating_add(rounds.max(0) as u64);
            }
            alloc = alloc.saturating_add(shapes.kmem_cpu.alloc.get(self, cpu)?);
        }
        for slab in self.avl(shape.partial.at(at)?).found {
            let chunks = shapes.slab.chunks.signed(self, slab)?;
            let used = shapes.slab.refcnt.signed(self, slab)?;
            free = free.saturating_add(chunks.saturating_sub(used).max(0) as u64);
        }
        let slabs =
            shape.slab_create.get(self, at)?.saturating_sub(shape.slab_destroy.get(self, at)?);
        Ok(CacheUse {
            in_use: cache.buftotal.saturating_sub(free),
            memory: slabs.saturating_mul(cache.slabsize),
            alloc,
            fail: shape.alloc_fail.get(self, at)?,
        })
    }
}
