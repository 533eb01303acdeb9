//! The pointer in a free object. Where it is mangled (CONFIG_SLAB_FREELIST_HARDENED), it is XOR
//! the cache's random number XOR its own address; the address byte-swapped since 5.7, which went
//! into every stable kernel, so that nothing but the lists themselves tells.

use std::sync::OnceLock;

use super::{cache::Cache, slab::Slab};
use crate::{Kernel, list, slab::FreePointers};

/// How the pointers in free objects are mangled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mangling {
    /// Not at all.
    Plain,
    /// XOR the random number XOR the byte-swapped address.
    Swapped,
    /// XOR the random number XOR the address.
    Unswapped,
}

impl Mangling {
    /// The pointer that is `stored` at `at`, of so many bytes.
    pub fn decode(self, stored: u64, at: u64, random: u64, bytes: u32) -> u64 {
        match self {
            Mangling::Plain => stored,
            Mangling::Swapped => stored ^ random ^ at.swap_bytes() >> (64 - 8 * bytes),
            Mangling::Unswapped => stored ^ random ^ at,
        }
    }
}

/// What was agreed on.
#[derive(Debug, Default)]
struct Majority(OnceLock<Mangling>);

/// Free objects that have a vote, over all caches.
const VOTERS: usize = 256;
/// Of one cache.
const VOTERS_OF_CACHE: usize = 8;

impl Kernel {
    /// How pointers in free objects are mangled in this kernel: what most of the first free
    /// objects of its partial slabs agree on. One damaged list cannot decide it.
    pub fn mangling(&self) -> Mangling {
        *self.memo::<Majority>().0.get_or_init(|| {
            if !self.shapes().kmem_cache.random.exists() {
                return Mangling::Plain;
            }
            let (mut swapped, mut unswapped) = (0usize, 0usize);
            let caches = self.slab_caches().map(|(caches, _)| caches).unwrap_or_default();
            for cache in &caches {
                let Ok(pointers) = self.pointers_of(cache) else { continue };
                for slab in self.some_partial_slabs(cache) {
                    let at = slab.freelist.wrapping_add(pointers.offset);
                    let Ok(stored) = self.target().read_pointer(at) else { continue };
                    let fits = |mangling: Mangling| {
                        let bytes = self.target().pointer_size();
                        valid(cache, &slab, mangling.decode(stored, at, pointers.random, bytes))
                    };
                    swapped += usize::from(fits(Mangling::Swapped));
                    unswapped += usize::from(fits(Mangling::Unswapped));
                }
                if swapped + unswapped > VOTERS {
                    break;
                }
            }
            if unswapped > swapped { Mangling::Unswapped } else { Mangling::Swapped }
        })
    }

    fn some_partial_slabs(&self, cache: &Cache) -> Vec<Slab> {
        let shapes = self.shapes();
        let mut slabs = Vec::new();
        let Ok(link) = shapes.slab.slab_list.offset() else { return slabs };
        for (_, node) in self.cache_nodes(cache).nodes {
            let Ok(head) = shapes.kmem_cache_node.partial.address(node) else { continue };
            let pages = list::list(self.target(), head).take(VOTERS_OF_CACHE).flatten();
            let found = pages.filter_map(|page| self.slab_of_page(page.wrapping_sub(link)).ok());
            slabs.extend(found.filter(|slab| slab.freelist != 0 && slab.cache == cache.address));
        }
        slabs
    }

    /// The pointer in the free object at `object`, as stored and undone.
    pub(super) fn free_pointer(
        &self,
        pointers: &FreePointers,
        object: u64,
    ) -> necropsy_dump::Read<(u64, u64)> {
        let at = object.wrapping_add(pointers.offset);
        let stored = self.target().read_pointer(at)?;
        let bytes = self.target().pointer_size();
        Ok((stored, self.mangling().decode(stored, at, pointers.random, bytes)))
    }
}

/// Whether a free pointer can be one: the end, or an object of its slab.
pub(super) fn valid(cache: &Cache, slab: &Slab, pointer: u64) -> bool {
    pointer == 0 || cache.number_of(slab, pointer).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manglings_undo_what_the_kernel_did() {
        let (next, at, random) = (0xffff_8880_0123_4500u64, 0xffff_8880_0123_4420u64, 0x1122_3344);
        let swapped = next ^ random ^ at.swap_bytes();
        assert_eq!(Mangling::Swapped.decode(swapped, at, random, 8), next);
        assert_ne!(Mangling::Unswapped.decode(swapped, at, random, 8), next);
        assert_eq!(Mangling::Unswapped.decode(next ^ random ^ at, at, random, 8), next);
        assert_eq!(Mangling::Plain.decode(next, at, 0, 8), next);
        let (next, at, random) = (0xc123_4500u64, 0xc123_4420u64, 0x1122_3344);
        let stored = next ^ random ^ u64::from((at as u32).swap_bytes());
        assert_eq!(Mangling::Swapped.decode(stored, at, random, 4), next);
    }
}
