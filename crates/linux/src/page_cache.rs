//! The page cache (mm/filemap.c): what of a file is in memory.

use necropsy_dump::{Fault, Reason};

use crate::{
    Kernel,
    dentry::Place,
    error::{Error, Result},
    hlist::hlist,
    list::list,
    task::Task,
    xarray::{self, Kind},
};

/// What stands in the cache for some pages of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// They are in memory: the `struct page` of the first.
    Page(u64),
    /// Of shared memory: they are in swap.
    Swapped,
    /// They were in memory.
    Evicted,
}

/// Pages of a file that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedRange {
    /// The first page of the file.
    pub index: u64,
    /// How many.
    pub count: u64,
    /// What of them there is.
    pub cached: Cached,
}

/// No file is longer, in pages: a loff_t of bytes.
const MAX_PAGES: u64 = 1 << 51;
/// More entries than a directory in memory has, and than a path has parts.
const MAX_CHILDREN: usize = 10_000_000;

impl Kernel {
    /// What of a file is in memory, by its `struct address_space`; and what could not be read.
    ///
    /// # Errors
    /// This kernel keeps it in no way that is known.
    pub fn page_cache(&self, mapping: u64) -> Result<(Vec<CachedRange>, Vec<Error>)> {
        let root = self.shapes().page_cache.pages.address(mapping)?;
        let layout = xarray::Layout::of(self)?;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        // Shared memory keeps places in swap where files keep the shadows of pages.
        let shared = self.is_shared_memory(mapping);
        for entry in xarray::entries(self.target(), layout, root) {
            match entry {
                Ok(entry) => {
                    let cached = match entry.kind {
                        Kind::Pointer => Cached::Page(entry.raw & !3),
                        Kind::Value(_) if shared => Cached::Swapped,
                        Kind::Value(_) => Cached::Evicted,
                        Kind::Reserved => continue,
                    };
                    if entry.index < MAX_PAGES {
                        let count = entry.span.clamp(1, MAX_PAGES);
                        found.push(CachedRange { index: entry.index, count, cached });
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        Ok((found, errors))
    }

    fn is_shared_memory(&self, mapping: u64) -> bool {
        let operations = self.shapes().mapping_of.operations.read(self.target(), mapping);
        let name = operations.ok().and_then(|at| self.target().locate(at));
        name.is_some_and(|found| found.symbol.name == "shmem_aops")
    }

    /// Physical address of a page of a range, by its number in that.
    ///
    /// # Errors
    /// It is not in memory.
    pub fn cached_page(&self, range: &CachedRange, number: u64) -> Result<u64> {
        let address = (range.index + number) << self.target().page_shift();
        match range.cached {
            Cached::Page(page) => {
                let pfn = self.pfn_of(page)?.wrapping_add(number);
                Ok(pfn << self.target().page_shift())
            }
            Cached::Swapped | Cached::Evicted => Err(Fault {
                address,
                space: necropsy_dump::Space::User,
                reason: Reason::NotMapped { level: 1 },
            }
            .into()),
        }
    }

    /// Bytes of a file, by its inode.
    ///
    /// # Errors
    /// A fault.
    pub fn inode_bytes(&self, inode: u64) -> Result<u64> {
        self.shapes().inode_size.bytes.read(self.target(), inode)
    }

    /// The `struct address_space` of an inode.
    ///
    /// # Errors
    /// A fault.
    pub fn inode_mapping(&self, inode: u64) -> Result<u64> {
        self.shapes().inode.mapping.read(self.target(), inode)
    }

    /// The inode that a path leads to, as `task` sees it: through the names that are in memory.
    ///
    /// # Errors
    /// There is no such name in memory, or a fault on the way.
    pub fn inode_at_path(&self, task: Task<'_>, path: &str) -> Result<u64> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (mounts, _) = self.mounts(task)?;
        // The mount with the longest part of the path; of those, the one on top.
        let within = |directory: &str| {
            let own: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
            parts.starts_with(&own).then_some(own.len())
        };
        let mount = mounts
            .iter()
            .filter_map(|mount| Some((within(mount.directory.as_deref().ok()?)?, mount)))
            .max_by_key(|(length, _)| *length);
        let (length, mount) = mount.ok_or_else(|| Error::absent("file system with that path"))?;
        let mut place = Place { dentry: mount.place.dentry, mount: mount.place.mount };
        for part in parts.get(length..).unwrap_or_default() {
            let child = self.child(place.dentry, part)?;
            place.dentry = child.ok_or_else(|| {
                Error::absent(format!("{path} in memory: there is no name {part}"))
            })?;
        }
        match self.inode_of(place.dentry)? {
            0 => Err(Error::absent(format!("{path}: the name is known to be of nothing"))),
            inode => Ok(inode),
        }
    }

    /// The entry below a directory with a name.
    fn child(&self, directory: u64, name: &str) -> Result<Option<u64>> {
        let shape = &self.shapes().dentry_tree;
        let head = shape.children.address(directory)?;
        let link = shape.sibling.offset()?;
        // The head of an hlist is one pointer.
        let links: Box<dyn Iterator<Item = Result<u64>>> = match shape.children.size()? {
            8 => Box::new(hlist(self.target(), head)),
            _ => Box::new(list(self.target(), head)),
        };
        for entry in links.take(MAX_CHILDREN) {
            let dentry = entry?.wrapping_sub(link);
            if self.dentry_name(dentry).is_ok_and(|own| own == name) {
                return Ok(Some(dentry));
            }
        }
        Ok(None)
    }
}
