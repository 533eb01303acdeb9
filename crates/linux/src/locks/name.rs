//! Names of locks by the object that they lie in, where a slab cache alone would say little: inodes
//! and superblocks.

use super::{Lock, LockKind};
use crate::{Kernel, list::list};

/// More superblocks than a machine has.
const MAX_SUPERBLOCKS: usize = 100_000;

/// How far a superblock is frozen (`s_writers.frozen`, enum in include/linux/fs.h).
fn frozen(level: u64) -> &'static str {
    match level {
        0 => "",
        1 => ", frozen: writers wait",
        2 => ", frozen: page faults wait",
        3 => ", frozen: the file system waits",
        _ => ", frozen",
    }
}

impl Kernel {
    /// The name of a lock within an object that is known: `inode.i_rwsem of "/etc/passwd" (ext4)`,
    /// `superblock of ext4 on loop0, frozen`.
    pub fn lock_within(&self, lock: Lock) -> Option<String> {
        match lock.kind {
            LockKind::RwSemaphore => {
                self.lock_of_inode(lock.address).or_else(|| self.lock_of_superblock(lock.address))
            }
            LockKind::PercpuRwSemaphore => self.lock_of_superblock(lock.address),
            _ => None,
        }
    }

    fn lock_of_inode(&self, address: u64) -> Option<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let inode = address.checked_sub(shapes.lock_places.inode.offset().ok()?)?;
        let superblock = shapes.inode.superblock.read(target, inode).ok()?;
        let kind = self.file_system_kind(superblock).ok()?;
        // What only looks like an inode has no mapping that knows it.
        let mapping = shapes.inode.mapping.read(target, inode).ok()?;
        let host = shapes.mapping_of.host.read(target, mapping).ok()?;
        (host == inode || mapping == shapes.inode_names.data.address(inode).ok()?).then_some(())?;
        Some(match self.path_of_inode(inode) {
            Ok(path) => format!("inode.i_rwsem of \"{path}\" ({kind})"),
            Err(_) => format!("inode.i_rwsem of inode {inode:x} ({kind})"),
        })
    }

    fn lock_of_superblock(&self, address: u64) -> Option<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let link = shapes.superblock_state.list.offset().ok()?;
        let size = shapes.superblock_state.sizeof().ok()?;
        let head = shapes.superblock_list.all.address().ok()?;
        let found = list(target, head)
            .take(MAX_SUPERBLOCKS)
            .map_while(Result::ok)
            .map(|entry| entry.wrapping_sub(link))
            .find(|at| (*at..at.wrapping_add(size)).contains(&address))?;
        let kind = self.file_system_kind(found).unwrap_or_else(|_| "?".to_owned());
        let state = shapes.superblock_state.at(target, found);
        let id = state.text(|state| &state.id).unwrap_or_default();
        let level = state.frozen().unwrap_or(0);
        Some(format!("superblock of {kind} on {id}{}", frozen(level)))
    }
}
