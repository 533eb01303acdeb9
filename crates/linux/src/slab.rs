//! Which slab cache an address belongs to.

use crate::{
    error::{Error, Result, Thing},
    kernel::Kernel,
    shapes::Form,
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
            stride: shape.size.read(target, cache)?.max(1),
            random: shape.random.read(target, cache)?,
        })
    }

    /// The `struct page` of a page frame.
    ///
    /// # Errors
    /// When the kernel has no vmemmap, or the types do not say how large a `struct page` is.
    pub fn page_of(&self, pfn: u64) -> Result<u64> {
        let size = self.shapes().page.sizeof()?;
        let base = self
            .target()
            .layout()
            .and_then(|l| l.vmemmap)
            .ok_or_else(|| Error::NoSuch { thing: Thing::Table, name: "vmemmap".into() })?;
        Ok(base.wrapping_add(pfn.wrapping_mul(size)))
    }

    /// The first page of the compound page that `page` belongs to.
    pub(crate) fn head_page(&self, page: u64) -> Result<u64> {
        let link = self.shapes().page.compound.read(self.target(), page)?;
        Ok(self.head_of_link(page, link))
    }

    /// The first page of the compound page that `page`, whose link is known, belongs to.
    pub(crate) fn head_of_link(&self, page: u64, link: u64) -> u64 {
        if link & 1 == 0 {
            return page;
        }
        // Either the head's address, or (7.1, with the vmemmap optimisation) a mask for ours.
        let head = link & !1;
        let base = self.target().layout().and_then(|l| l.vmemmap).unwrap_or(0);
        if head >= base && head <= page { head } else { page & head }
    }

    /// The page frame that the `struct page` at `page` describes.
    ///
    /// # Errors
    /// It lies before the kernel's memory map, or describes more than there is.
    pub fn pfn_of(&self, page: u64) -> Result<u64> {
        let size = self.shapes().page.sizeof()?.max(1);
        let pfn = page.wrapping_sub(self.page_of(0)?) / size;
        if pfn < self.target().dump_pfns() {
            Ok(pfn)
        } else {
            Err(Error::corrupt(format!("{page:x} is no struct page")))
        }
    }

    /// [`Kernel::is_slab`] of a copy of a `struct page`.
    pub(crate) fn is_slab_copy(&self, bytes: &[u8]) -> bool {
        let (mark, page) = (&self.shapes().slab_marks.slab, &self.shapes().page);
        let Ok(value) = mark.get() else { return false };
        if mark.form() == Some(Form::Flag) {
            return page.flags.decode(bytes).is_ok_and(|flags| flags >> (value & 63) & 1 == 1);
        }
        page.page_type.decode(bytes).is_ok_and(|kind| kind as u32 >> 24 == value as u32 >> 24)
    }

    /// Whether a head page is a slab's: a flag, or since 6.10 a type.
    pub(crate) fn is_slab(&self, page: u64) -> Result<bool> {
        let mark = &self.shapes().slab_marks.slab;
        let (value, page) = (mark.get()?, self.shapes().page.at(self.target(), page));
        if mark.form() == Some(Form::Flag) {
            return Ok(page.flags()? >> (value & 63) & 1 == 1);
        }
        // The low bytes count, or are all ones.
        Ok(page.page_type()? as u32 >> 24 == value as u32 >> 24)
    }

    /// The slab cache that an address of the direct map belongs to (its `kmem_cache`), `None`
    /// when it is in no slab.
    ///
    /// # Errors
    /// When the page's description cannot be read.
    pub fn kmem_cache_of(&self, address: u64) -> Result<Option<u64>> {
        let target = self.target();
        if let Some(found) = self.kfence_object(address) {
            return Ok(Some(found.cache));
        }
        let Some(direct) = target.layout().and_then(|l| l.direct) else { return Ok(None) };
        if !(direct.start..direct.end).contains(&address) {
            return Ok(None);
        }
        let physical = target.translate(address)?;
        let page = self.head_page(self.page_of(physical >> target.page_shift())?)?;
        if !self.is_slab(page)? {
            return Ok(None);
        }
        Ok(Some(self.shapes().slab.at(target, page).slab_cache()?))
    }

    /// First byte of the slab that an address of the direct map lies in.
    ///
    /// # Errors
    /// As [`Kernel::kmem_cache_of`].
    pub fn slab_start(&self, address: u64) -> Result<u64> {
        let target = self.target();
        let physical = target.translate(address)?;
        let page = self.page_of(physical >> target.page_shift())?;
        let head = self.head_page(page)?;
        let size = self.shapes().page.sizeof()?.max(1);
        let back = page.saturating_sub(head) / size;
        let page = address & !(target.page_size() - 1);
        Ok(page.wrapping_sub(back << target.page_shift()))
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
