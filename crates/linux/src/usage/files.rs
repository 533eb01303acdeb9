//! Whose pages of files are: from the `address_space` to a name.

use super::{Usage, Use};
use crate::{
    Kernel,
    dentry::Place,
    error::{Error, Result},
    hlist::hlist,
};

/// A file with pages in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUse {
    /// Its `struct address_space`.
    pub mapping: u64,
    /// Its `struct inode`.
    pub inode: u64,
    /// Frames in memory.
    pub frames: u64,
    /// What they count as.
    pub used: Use,
    /// The kind of file system.
    pub file_system: Option<String>,
    /// A path within that, where it has a name.
    pub path: Option<String>,
}

impl Kernel {
    /// What pages in an `address_space` are; `None` where that is none.
    pub(super) fn mapping_kind(&self, mapping: u64) -> Option<Use> {
        let (target, shapes) = (self.target(), self.shapes());
        if !mapping.is_multiple_of(4) {
            return None;
        }
        let of = shapes.mapping_of.at(target, mapping);
        let operations = of.operations().ok()?;
        let name = target.locate(operations).filter(|found| found.offset == 0)?.symbol.name;
        let inode = of.host().ok()?;
        // The inode must know it; some file systems have pages that belong to no inode.
        let known = inode == 0
            || shapes.inode.at(target, inode).mapping().is_ok_and(|own| own == mapping)
            || shapes.inode_names.data.address(inode).is_ok_and(|own| own == mapping);
        known.then_some(match name {
            "shmem_aops" => Use::Shared,
            "def_blk_aops" => Use::Buffers,
            _ => Use::File,
        })
    }

    /// The files with most pages in memory, the first `most` of them.
    pub fn files_in_memory(&self, usage: &Usage, most: usize) -> Vec<FileUse> {
        let mut mappings: Vec<(u64, u64)> =
            usage.mappings.iter().map(|(mapping, frames)| (*mapping, *frames)).collect();
        mappings.sort_unstable_by_key(|(mapping, frames)| (std::cmp::Reverse(*frames), *mapping));
        mappings.truncate(most);
        let file = |(mapping, frames): (u64, u64)| {
            let inode = self.shapes().mapping_of.host.read(self.target(), mapping).unwrap_or(0);
            let superblock = self.shapes().inode.superblock.read(self.target(), inode);
            FileUse {
                mapping,
                inode,
                frames,
                used: self.mapping_kind(mapping).unwrap_or(Use::File),
                file_system: superblock.and_then(|at| self.file_system_kind(at)).ok(),
                path: self.path_of_inode(inode).ok(),
            }
        };
        mappings.into_iter().map(file).collect()
    }

    /// A path of an inode within its file system, by the first of its names.
    ///
    /// # Errors
    /// A fault, or it has no name in memory.
    pub fn path_of_inode(&self, inode: u64) -> Result<String> {
        if inode == 0 {
            return Err(Error::absent("inode"));
        }
        let shapes = self.shapes();
        let head = shapes.inode_names.names.address(inode)?;
        let link = shapes.dentry_alias.alias.offset()?;
        let first = hlist(self.target(), head).next();
        let dentry = first.ok_or_else(|| Error::absent("name of the inode in memory"))??;
        self.path_of(Place { dentry: dentry.wrapping_sub(link), mount: 0 })
    }
}
