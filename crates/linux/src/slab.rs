//! Which slab cache an address belongs to.

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

/// Where a cache keeps the pointers of its free lists, and what mangles them (mm/slub.c,
/// CONFIG_SLAB_FREELIST_HARDENED).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreePointers {
    /// Bytes into an object at which a free one points to the next.
    pub offset: u64,
    /// Bytes from one object to the next; never 0.
    pub stride: u64,
    /// The cache's random number.
    pub random: u64,
}

impl Kernel {
    /// How the free lists of a cache, by the address of its `kmem_cache`, are kept.
    ///
    /// # Errors
    /// When the kernel does not mangle them, or the cache cannot be read.
    pub fn free_pointers(&self, cache: u64) -> Result<FreePointers> {
        let (shape, target) = (&self.shapes().kmem_cache, self.target());
        Ok(FreePointers {
            offset: shape.free_pointer.read(target, cache)?,
            stride: shape.size_.read(target, cache)?.max(1),
            random: shape.random.read(target, cache)?,
        })
    }

    /// The `struct page` of a page frame.
    ///
    /// # Errors
    /// When the kernel has no vmemmap, or the types do not say how large a `struct page` is.
    pub fn page_of(&self, pfn: u64) -> Result<u64> {
        let size = self.shapes().page.size.ok_or_else(|| Error::no_type("page"))?;
        let base = self
            .target()
            .layout()
            .and_then(|l| l.vmemmap)
            .ok_or_else(|| Error::Missing { what: "vmemmap".into() })?;
        Ok(base.wrapping_add(pfn.wrapping_mul(size)))
    }

    /// The first page of the compound page that `page` belongs to.
    fn head_page(&self, page: u64) -> Result<u64> {
        let link = self.shapes().page.compound.read(self.target(), page)?;
        if link & 1 == 0 {
            return Ok(page);
        }
        // Either the head's address, or (7.1, with the vmemmap optimisation) a mask for ours.
        let head = link & !1;
        let base = self.target().layout().and_then(|l| l.vmemmap).unwrap_or(0);
        Ok(if head >= base && head <= page { head } else { page & head })
    }

    /// Whether a head page is a slab's: a flag, or since 6.10 a type.
    fn is_slab(&self, page: u64) -> Result<bool> {
        let info = self.target().vmcoreinfo();
        let number = |name: &str| info.and_then(|i| i.number(name));
        if let Some(bit) = number("PG_slab") {
            let flags = self.shapes().page.flags.read(self.target(), page)?;
            return Ok(flags >> (bit & 63) & 1 == 1);
        }
        let expected = number("PAGE_SLAB_MAPCOUNT_VALUE")
            .ok_or_else(|| Error::Missing { what: "NUMBER(PG_slab) in VMCOREINFO".into() })?;
        let found = self.shapes().page.page_type.read(self.target(), page)?;
        // The low bytes count, or are all ones.
        Ok(found as u32 >> 24 == expected as u32 >> 24)
    }

    /// The slab cache that an address of the direct map belongs to (its `kmem_cache`), `None`
    /// when it is in no slab.
    ///
    /// # Errors
    /// When the page's description cannot be read.
    pub fn kmem_cache_of(&self, address: u64) -> Result<Option<u64>> {
        let target = self.target();
        let Some(direct) = target.layout().and_then(|l| l.direct) else { return Ok(None) };
        if !(direct.start..direct.end).contains(&address) {
            return Ok(None);
        }
        let physical = target.translate(address)?;
        let page = self.head_page(self.page_of(physical >> 12)?)?;
        if !self.is_slab(page)? {
            return Ok(None);
        }
        let cache = self
            .shapes()
            .slab
            .slab_cache
            .read(target, page)
            .or_else(|_| self.shapes().page.slab_cache.read(target, page))?;
        Ok(Some(cache))
    }

    /// First byte of the slab that an address of the direct map lies in.
    ///
    /// # Errors
    /// As [`Kernel::kmem_cache_of`].
    pub fn slab_start(&self, address: u64) -> Result<u64> {
        let target = self.target();
        let physical = target.translate(address)?;
        let page = self.page_of(physical >> 12)?;
        let head = self.head_page(page)?;
        let size = self.shapes().page.size.ok_or_else(|| Error::no_type("page"))?.max(1);
        let back = page.saturating_sub(head) / size;
        Ok((address & !0xfff).wrapping_sub(back << 12))
    }

    /// The name of the slab cache that an address belongs to.
    ///
    /// # Errors
    /// As [`Kernel::kmem_cache_of`].
    pub fn slab_cache_of(&self, address: u64) -> Result<Option<String>> {
        let Some(cache) = self.kmem_cache_of(address)? else { return Ok(None) };
        let name = self.shapes().kmem_cache.name.read(self.target(), cache)?;
        Ok(Some(self.target().read_cstr(name, 64)?))
    }
}
