//! Slabs.

use crate::{
    Kernel,
    error::{Error, Result},
};

/// The pages of a cache that its objects lie in: `struct slab` (mm/slab.h), until 5.16 a part of
/// `struct page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slab {
    /// Its `struct slab`, which is the `struct page` of its first frame.
    pub page: u64,
    /// Its first byte, in the map of all physical memory.
    pub start: u64,
    /// Its cache's `kmem_cache`.
    pub cache: u64,
    /// How many objects it has room for.
    pub objects: u64,
    /// How many of them count as allocated: those in sheaves and on a CPU's free list do.
    pub inuse: u64,
    /// Whether a CPU has it.
    pub frozen: bool,
    /// The first object of its free list, or 0.
    pub freelist: u64,
}

impl Slab {
    /// From a copy of its `struct page`; `None` if there is none at that place of the memory map.
    pub(super) fn decode(kernel: &Kernel, page: u64, bytes: &[u8]) -> Result<Slab> {
        let shape = &kernel.shapes().slab;
        Ok(Slab {
            page,
            start: kernel.slab_address(page)?,
            cache: shape.slab_cache.decode(bytes)?,
            objects: shape.objects.decode(bytes)?,
            inuse: shape.inuse.decode(bytes)?,
            frozen: shape.frozen.decode(bytes).is_ok_and(|frozen| frozen != 0),
            freelist: shape.freelist.decode(bytes)?,
        })
    }
}

impl Kernel {
    /// First byte of the frame that the `struct page` at `page` describes.
    ///
    /// # Errors
    /// It describes none.
    pub(crate) fn slab_address(&self, page: u64) -> Result<u64> {
        let pfn = self.pfn_of(page)?;
        let physical = pfn << self.target().page_shift();
        self.target()
            .layout()
            .and_then(|layout| layout.to_virtual(physical))
            .ok_or_else(|| Error::corrupt(format!("a slab at frame {pfn:#x}, which is no memory")))
    }

    /// The slab whose first `struct page` is at `page`.
    ///
    /// # Errors
    /// A fault, or it describes no frame.
    pub fn slab_of_page(&self, page: u64) -> Result<Slab> {
        let size = self.shapes().page.sizeof()?.min(4096);
        let bytes = self.target().read_bytes(page, size)?;
        Slab::decode(self, page, &bytes)
    }

    /// The slab that an address of the map of all memory lies in; `None` when it is in none.
    ///
    /// # Errors
    /// The page's description cannot be read.
    pub fn slab_at(&self, address: u64) -> Result<Option<Slab>> {
        let target = self.target();
        let Some(direct) = target.layout().and_then(|l| l.direct) else { return Ok(None) };
        if !(direct.start..direct.end).contains(&address) {
            return Ok(None);
        }
        let physical = target.translate(address)?;
        let page = self.head_page(self.page_of(physical >> target.page_shift())?)?;
        if !self.is_slab(page)? {
            return Ok(None);
        }
        self.slab_of_page(page).map(Some)
    }
}
