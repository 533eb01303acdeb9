//! Caches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::slab::Slab;
use crate::{
    Kernel,
    error::{Error, Result},
    list,
    slab::FreePointers,
};

/// More caches than any kernel makes.
const MAX_CACHES: usize = 65_536;
/// No object of a slab is larger, in bytes: 4 MiB is the largest that the page allocator gives.
const MAX_SIZE: u64 = 64 << 20;

/// A cache of objects, `struct kmem_cache` (include/linux/slub_def.h, mm/slab.h).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Its `kmem_cache`, a virtual address.
    pub address: u64,
    /// Its name; `None` where it cannot be read.
    pub name: Option<String>,
    /// Bytes that a user gets.
    pub object_size: u64,
    /// Bytes from one object to the next: with red zones, owners and padding.
    pub stride: u64,
    /// Bytes before each object that are a red zone.
    pub left_pad: u64,
    /// Bytes into an object up to which it is its user's, or the allocator's free pointer.
    pub inuse: u64,
    /// SLAB_ flags.
    pub flags: u64,
    /// Caches that were merged into this one, itself included.
    pub users: u64,
    /// Objects of a slab of the usual order.
    pub objects: u64,
    /// The usual order of a slab.
    pub order: u32,
    /// Objects of a slab of the least order, and that order.
    pub least: (u64, u32),
}

/// `struct kmem_cache_order_objects`: the order above, the number of objects in the low 16 bits.
fn order_objects(x: u64) -> (u64, u32) {
    (x & 0xffff, (x >> 16) as u32 & 0x1f)
}

impl Cache {
    /// The order of a slab of so many objects: that which the cache makes slabs of, or its least.
    pub fn order_of(&self, objects: u64) -> u32 {
        if objects == self.least.0 && objects != self.objects { self.least.1 } else { self.order }
    }

    /// Whether the cache makes slabs of so many objects as fit: if not, nothing can be told from it.
    pub(crate) fn fits(&self, page_size: u64) -> bool {
        let room = |(objects, order): (u64, u32)| (page_size << order) / self.stride == objects;
        room((self.objects, self.order)) && (self.least.0 == 0 || room(self.least))
    }

    /// Bytes of a slab of the usual order.
    pub fn slab_bytes(&self, page_size: u64) -> u64 {
        page_size << self.order
    }

    /// First byte of the object that `address` lies in, and its number, in `slab`. `None` for
    /// what is before the first object or behind the last one.
    pub fn object_at(&self, slab: &Slab, address: u64) -> Option<(u64, u64)> {
        let first = slab.start.checked_add(self.left_pad)?;
        // The left red zone belongs to the object behind it.
        let into = address.checked_sub(slab.start)?;
        let number = into / self.stride;
        (number < slab.objects).then(|| (first.wrapping_add(number * self.stride), number))
    }

    /// The number of the object that begins at `address`.
    pub fn number_of(&self, slab: &Slab, address: u64) -> Option<u64> {
        let (start, number) = self.object_at(slab, address)?;
        (start == address).then_some(number)
    }

    /// The object of that number in a slab.
    pub fn nth(&self, slab: &Slab, number: u64) -> u64 {
        slab.start.wrapping_add(self.left_pad).wrapping_add(number.wrapping_mul(self.stride))
    }
}

/// Caches that were read, by address.
#[derive(Debug, Default)]
struct Known(Mutex<HashMap<u64, Arc<Cache>>>);

impl Kernel {
    /// The cache whose `kmem_cache` lies at `address`.
    ///
    /// # Errors
    /// A fault, or sizes that no cache can have.
    pub fn slab_cache(&self, address: u64) -> Result<Cache> {
        let target = self.target();
        let shape = &self.shapes().kmem_cache;
        let at = shape.at(target, address);
        let stride = at.size()?;
        if stride == 0 || stride > MAX_SIZE {
            let what = format!("slab cache {address:x}: objects of {stride} bytes");
            return Err(Error::Corrupt { what, at: Some(address) });
        }
        let (objects, order) = order_objects(at.order_objects().unwrap_or(0));
        Ok(Cache {
            address,
            name: at.name().ok().and_then(|name| target.read_cstr(name, 64).ok()),
            object_size: at.object_size()?,
            stride,
            left_pad: if shape.red_left_pad.exists() { at.red_left_pad()? } else { 0 },
            inuse: at.inuse().unwrap_or(0),
            flags: at.flags().unwrap_or(0),
            users: at.refcount().unwrap_or(0),
            objects,
            order,
            least: order_objects(at.least_order_objects().unwrap_or(0)),
        })
    }

    /// [`Kernel::slab_cache`], read once.
    pub(crate) fn known_cache(&self, address: u64) -> Result<Arc<Cache>> {
        let known = self.memo::<Known>().0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(cache) = known.get(&address) {
            return Ok(cache.clone());
        }
        drop(known);
        let cache = Arc::new(self.slab_cache(address)?);
        let mut known =
            self.memo::<Known>().0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(known.entry(address).or_insert(cache).clone())
    }

    /// All caches, in the order of the kernel's list, and what was wrong with it.
    ///
    /// # Errors
    /// The list cannot be found.
    pub fn slab_caches(&self) -> Result<(Vec<Cache>, Vec<Error>)> {
        let head = self.shapes().slab_variables.slab_caches.address()?;
        let link = self.shapes().kmem_cache.list.offset()?;
        let (entries, broken) = list::entries(self.target(), head, MAX_CACHES);
        let (mut caches, mut errors) = (Vec::new(), Vec::new());
        for at in entries {
            match self.slab_cache(at.wrapping_sub(link)) {
                Ok(cache) => caches.push(cache),
                Err(error) => errors.push(error),
            }
        }
        // The break has a place of its own, which is no cache's.
        errors.extend(broken.map(|error| match error {
            Error::Corrupt { what, .. } => Error::corrupt(what),
            error => error,
        }));
        Ok((caches, errors))
    }

    /// How the free pointers of a cache are kept; those that are not mangled have no random number.
    pub(super) fn pointers_of(&self, cache: &Cache) -> Result<FreePointers> {
        let at = self.shapes().kmem_cache.at(self.target(), cache.address);
        let hardened = self.shapes().kmem_cache.random.exists();
        Ok(FreePointers {
            offset: at.free_pointer()?,
            stride: cache.stride,
            random: if hardened { at.random()? } else { 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Cache {
        Cache {
            address: 0x1000,
            name: Some("thing".into()),
            object_size: 100,
            stride: 192,
            left_pad: 64,
            inuse: 104,
            flags: 0,
            users: 1,
            objects: 42,
            order: 1,
            least: (21, 0),
        }
    }

    fn slab(objects: u64) -> Slab {
        let (page, start, cache) = (0xffff_ea00_0000_1000, 0xffff_8880_0000_0000, 0x1000);
        Slab { page, start, cache, objects, inuse: 0, frozen: false, freelist: 0 }
    }

    #[test]
    fn a_red_zone_belongs_to_the_object_behind_it() {
        let (cache, slab) = (cache(), slab(3));
        let first = slab.start + 64;
        assert_eq!(cache.object_at(&slab, slab.start), Some((first, 0)));
        assert_eq!(cache.object_at(&slab, first + 127), Some((first, 0)));
        assert_eq!(cache.object_at(&slab, first + 128), Some((first + 192, 1)));
        assert_eq!(cache.object_at(&slab, slab.start + 3 * 192), None, "behind the last object");
        assert_eq!(cache.object_at(&slab, slab.start - 1), None);
        assert_eq!(cache.number_of(&slab, first + 192), Some(1));
        assert_eq!(cache.number_of(&slab, first + 191), None, "no start of an object");
        assert_eq!(cache.nth(&slab, 2), first + 384);
    }

    #[test]
    fn the_order_follows_the_number_of_objects() {
        assert_eq!(order_objects(0x3_0010), (16, 3));
        assert_eq!(cache().order_of(42), 1);
        assert_eq!(cache().order_of(21), 0, "memory was short when it was made");
    }
}
