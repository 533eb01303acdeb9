//! Buffers that nothing points to: a conservative mark from what cannot be lost.

use hashbrown::HashMap;

use crate::{Kernel, thread::TS_FREE};

use super::{KMF_AUDIT, KMF_HASH};

/// Buffers that were lost, with one stack in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Address of the cache.
    pub cache: u64,
    /// Its name.
    pub cache_name: String,
    /// Bytes of a buffer.
    pub size: u64,
    /// The buffers, with what describes each (0: nothing does).
    pub buffers: Vec<(u64, u64)>,
    /// Who allocated them, if that is recorded.
    pub stack: Vec<u64>,
}

/// What a search for leaks found.
#[derive(Debug, Clone, Default)]
pub struct Leaks {
    /// Leaks, the largest first.
    pub leaks: Vec<Leak>,
    /// Buffers that were looked at.
    pub buffers: usize,
    /// Bytes that were searched for pointers.
    pub searched: u64,
}

struct Buffer {
    address: u64,
    size: u64,
    bufctl: u64,
    cache: usize,
    marked: bool,
}

impl Kernel {
    /// Looks for allocated buffers that no word of module data, of a stack or of another reached
    /// buffer points into. `stop` tells whether to give up.
    pub fn find_leaks(&self, stop: &dyn Fn() -> bool) -> Leaks {
        let caches: Vec<_> = self
            .kmem_caches()
            .found
            .into_iter()
            .filter_map(|at| self.kmem_cache(at).ok())
            .filter(|cache| !is_own(&cache.name))
            .collect();
        let mut buffers: Vec<Buffer> = Vec::new();
        for (index, cache) in caches.iter().enumerate() {
            for (address, bufctl) in self.kmem_buffers(cache).allocated {
                buffers.push(Buffer {
                    address,
                    size: cache.bufsize,
                    bufctl,
                    cache: index,
                    marked: false,
                });
            }
        }
        buffers.sort_by_key(|buffer| buffer.address);
        let mut out = Leaks { buffers: buffers.len(), ..Leaks::default() };
        let mut reached = Vec::new();
        for (from, to) in self.roots() {
            if stop() {
                return out;
            }
            self.mark(from, to, &mut buffers, &mut reached, &mut out.searched);
        }
        while let Some(index) = reached.pop() {
            if stop() {
                return out;
            }
            let (from, to) = {
                let buffer = &buffers[index];
                (buffer.address, buffer.address.saturating_add(buffer.size))
            };
            self.mark(from, to, &mut buffers, &mut reached, &mut out.searched);
        }
        let mut groups: HashMap<(usize, Vec<u64>), Leak> = HashMap::new();
        for buffer in buffers.iter().filter(|buffer| !buffer.marked) {
            let cache = &caches[buffer.cache];
            let audited = cache.flags & (KMF_AUDIT | KMF_HASH) == KMF_AUDIT | KMF_HASH;
            let record = audited.then(|| self.audit_record(buffer.bufctl).ok()).flatten();
            let stack = record.map(|record| record.stack).unwrap_or_default();
            groups
                .entry((buffer.cache, stack.clone()))
                .or_insert_with(|| Leak {
                    cache: cache.address,
                    cache_name: cache.name.clone(),
                    size: cache.bufsize,
                    buffers: Vec::new(),
                    stack,
                })
                .buffers
                .push((buffer.address, buffer.bufctl));
        }
        out.leaks = groups.into_values().collect();
        out.leaks.sort_by_key(|leak| {
            (
                std::cmp::Reverse(leak.size * leak.buffers.len() as u64),
                leak.cache,
                leak.stack.clone(),
            )
        });
        out
    }

    /// Where pointers that count come from: variables of modules, and stacks.
    fn roots(&self) -> Vec<(u64, u64)> {
        let mut roots: Vec<(u64, u64)> = self
            .modules()
            .iter()
            .flat_map(|module| [&module.data, &module.bss])
            .filter(|range| range.start < range.end)
            .map(|range| (range.start, range.end))
            .collect();
        let shape = &self.shapes().thread;
        for thread in self.threads().found {
            let state = shape.state.get(self, thread);
            let saved = self.saved_registers(thread);
            let ends = (shape.stkbase.get(self, thread), shape.stk.get(self, thread));
            if let (Ok(state), Ok(saved), (Ok(base), Ok(top))) = (state, saved, ends)
                && state != TS_FREE
                && top.saturating_sub(base) <= 1 << 20
            {
                let from = if (base..top).contains(&saved[1]) { saved[1] } else { base };
                roots.push((from, top));
            }
        }
        roots
    }

    fn mark(
        &self,
        from: u64,
        to: u64,
        buffers: &mut [Buffer],
        reached: &mut Vec<usize>,
        searched: &mut u64,
    ) {
        // Only what is mapped is gone through: a damaged end may be anywhere.
        let mappings = self.mappings();
        let first = mappings.partition_point(|mapping| mapping.page < from / 4096);
        let mut page = [0; 4096];
        for mapping in &mappings[first..] {
            let base = mapping.page.wrapping_mul(4096);
            let start = base.max(from.checked_next_multiple_of(8).unwrap_or(u64::MAX));
            let end = base.saturating_add(4096).min(to);
            if base >= to {
                break;
            }
            let bytes = &mut page[..(end.saturating_sub(start) / 8 * 8) as usize];
            if bytes.is_empty() || self.read(start, bytes).is_err() {
                continue;
            }
            *searched += bytes.len() as u64;
            for word in bytes.as_chunks::<8>().0 {
                let value = u64::from_le_bytes(*word);
                let after = buffers.partition_point(|buffer| buffer.address <= value);
                let Some(index) = after.checked_sub(1) else { continue };
                let buffer = &mut buffers[index];
                if !buffer.marked && value - buffer.address < buffer.size {
                    buffer.marked = true;
                    reached.push(index);
                }
            }
        }
    }
}

/// The allocator's own caches, which it reaches in ways of its own.
fn is_own(name: &str) -> bool {
    ["kmem_magazine_", "kmem_slab_cache", "kmem_bufctl_", "kmem_va_"]
        .iter()
        .any(|own| name.starts_with(own))
}
