//! The pointer in a free object that SLUB mangles (CONFIG_SLAB_FREELIST_HARDENED, mm/slub.c): the
//! stored word is the next object's address, XOR the cache's random number, XOR the byte-swapped
//! address of the word. Whoever overwrote a free object shows only once that is undone.

use necropsy_dump::Read;

use crate::{kernel::Kernel, slab::FreePointers};

/// A free object that was written over, as its mangled pointer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// The mangled pointer that gave it away.
    pub pointer: u64,
    /// Where the word lay that was overwritten.
    pub address: u64,
    /// First byte of the free object.
    pub object: u64,
    /// Name of its cache, `None` if it cannot be read.
    pub cache: Option<String>,
    /// The `kmem_cache`.
    pub kmem_cache: u64,
    /// The byte that it was overwritten with.
    pub byte: u8,
    /// The word as it was stored.
    pub stored: u64,
    /// What memory holds there now.
    pub now: Read<u64>,
}

impl Kernel {
    /// Which overwritten free object gave `pointer`, a pointer that is no address, in the cache
    /// whose `kmem_cache` lies at `cache`, if it was overwritten with equal bytes. That the
    /// address comes out right, at the place of the pointer in an object of that cache, is no
    /// accident: all bits agree.
    pub fn overwritten_free_object(&self, cache: u64, pointer: u64) -> Option<Overwritten> {
        let FreePointers { offset, stride, random } = self.free_pointers(cache).ok()?;
        // A pointer of four bytes is the lower half of a word.
        let unused = 64 - 8 * self.target().pointer_size();
        (1..=255u8).find_map(|byte| {
            let stored = u64::from_le_bytes([byte; 8]) >> unused;
            let address = (pointer ^ random ^ stored).swap_bytes() >> unused;
            if self.kmem_cache_of(address).ok().flatten() != Some(cache) {
                return None;
            }
            let into = address.checked_sub(self.slab_start(address).ok()?)?;
            if into % stride != offset {
                return None;
            }
            Some(Overwritten {
                pointer,
                address,
                object: address.wrapping_sub(offset),
                cache: self.slab_cache_of(address).ok().flatten(),
                kmem_cache: cache,
                byte,
                stored,
                now: self.target().read_pointer(address),
            })
        })
    }
}
