//! What an address belongs to.

use necropsy_debuginfo::Type;

use crate::{
    Kernel, Result,
    kmem::{Cache, KMF_AUDIT, KMF_HASH, KMF_LITE},
};

/// What an address belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A part of a module.
    Module {
        /// The module's name.
        name: String,
        /// `text`, `data`, `bss`.
        part: &'static str,
        /// The symbol, if one is there.
        symbol: Option<String>,
        /// Its `struct modctl`.
        modctl: u64,
    },
    /// A thread's structure.
    Thread(u64),
    /// A thread's stack.
    Stack {
        /// The thread.
        thread: u64,
        /// Whether the address is above the stack pointer.
        active: bool,
    },
    /// A buffer.
    Buffer {
        /// Where it begins.
        base: u64,
        /// The cache.
        cache: Cache,
        /// Whether it is allocated.
        allocated: bool,
        /// What describes it, if that is known.
        bufctl: Option<u64>,
    },
    /// A part of an arena.
    Arena {
        /// Where the segment begins.
        base: u64,
        /// Where it ends.
        end: u64,
        /// The arena's name.
        name: String,
        /// The segment.
        segment: u64,
        /// Whether it is allocated.
        allocated: bool,
    },
}

impl Owner {
    /// Whether a record of the transaction follows: an audited buffer.
    pub fn is_audited(&self) -> bool {
        matches!(self, Owner::Buffer { cache, bufctl: Some(_), .. }
            if cache.flags & (KMF_AUDIT | KMF_HASH) == KMF_AUDIT | KMF_HASH
                && cache.flags & KMF_LITE == 0)
    }
}

impl Kernel {
    /// What an address belongs to, the most telling first. `all` looks on after the first.
    ///
    /// # Errors
    /// Nothing could be looked at.
    pub fn whatis(&self, address: u64, all: bool) -> Result<Vec<Owner>> {
        let mut found = Vec::new();
        let sources: [&dyn Fn() -> Vec<Owner>; 4] = [
            &|| self.in_modules(address),
            &|| self.in_threads(address),
            &|| self.in_caches(address),
            &|| self.in_arenas(address),
        ];
        for source in sources {
            found.extend(source());
            if !all && !found.is_empty() {
                found.truncate(1);
                break;
            }
        }
        Ok(found)
    }

    fn in_modules(&self, address: u64) -> Vec<Owner> {
        let mut found = Vec::new();
        for module in self.modules() {
            let parts = [("text", &module.text), ("data", &module.data), ("bss", &module.bss)];
            for (part, range) in parts {
                if !range.contains(&address) {
                    continue;
                }
                // A thread or stack that lies in a module's data is told as what it is.
                if part != "text" && !self.in_threads(address).is_empty() {
                    continue;
                }
                found.push(Owner::Module {
                    name: module.name.clone(),
                    part,
                    symbol: self.symbolize(address),
                    modctl: module.modctl,
                });
            }
        }
        found
    }

    fn in_threads(&self, address: u64) -> Vec<Owner> {
        let shape = &self.shapes().thread;
        let size = self
            .type_named("kthread_t")
            .ok()
            .and_then(|ty| match self.types().resolve(ty) {
                Type::Composite(composite) => Some(composite.size),
                _ => None,
            })
            .unwrap_or(0);
        let mut found = Vec::new();
        for thread in self.threads().found {
            if address.wrapping_sub(thread) < size {
                found.push(Owner::Thread(thread));
                continue;
            }
            let ends = (shape.stkbase.get(self, thread), shape.stk.get(self, thread));
            if let (Ok(base), Ok(top)) = ends
                && (base..top).contains(&address)
            {
                let sp = self.saved_registers(thread).map_or(0, |saved| saved[1]);
                // A stack pointer elsewhere (the panic's own stack) tells nothing of this one.
                let active = address >= sp || !(base..top).contains(&sp);
                found.push(Owner::Stack { thread, active });
            }
        }
        found
    }

    fn in_caches(&self, address: u64) -> Vec<Owner> {
        let mut found = Vec::new();
        for at in self.kmem_caches().found {
            let Ok(cache) = self.kmem_cache(at) else { continue };
            if cache.chunksize == 0 {
                continue;
            }
            let (complete, partial, _) = self.slabs(&cache);
            let place = complete.iter().chain(&partial).find(|place| {
                let len = place.chunks.saturating_mul(cache.chunksize);
                address.wrapping_sub(place.base) < len
            });
            let Some(place) = place else { continue };
            let index = (address - place.base) / cache.chunksize;
            let base = place.base + index * cache.chunksize;
            let buffers = self.kmem_buffers(&cache);
            let free = buffers.free.iter().find(|&&(buffer, _)| buffer == base);
            let known = free.or_else(|| buffers.allocated.iter().find(|&&(b, _)| b == base));
            let bufctl = known.map(|&(_, bufctl)| bufctl).filter(|&bufctl| bufctl != 0);
            found.push(Owner::Buffer { base, allocated: free.is_none(), bufctl, cache });
        }
        found
    }

    fn in_arenas(&self, address: u64) -> Vec<Owner> {
        let shape = &self.shapes().vmem_seg;
        let mut found = Vec::new();
        let (arenas, _) = self.arenas();
        // The innermost arena says most.
        for (arena, _) in arenas.into_iter().rev() {
            let Ok(name) = self.shapes().vmem.name.text(self, arena) else { continue };
            for segment in self.arena_segments(arena).found {
                let range = (shape.start.get(self, segment), shape.end.get(self, segment));
                let (Ok(base), Ok(end)) = range else { continue };
                let kind = shape.kind.get(self, segment).unwrap_or(0);
                if (base..end).contains(&address) && matches!(kind, 1 | 2) {
                    let allocated = kind == 1;
                    found.push(Owner::Arena { base, end, name: name.clone(), segment, allocated });
                }
            }
        }
        found
    }
}
