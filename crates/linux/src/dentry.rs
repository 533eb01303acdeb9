//! Names of files (fs/d_path.c): from a directory entry up, through the mounts on the way.

use crate::{error::Result, kernel::Kernel};

/// Longest name of one directory entry, in bytes (NAME_MAX).
const MAX_NAME: usize = 255;
/// More steps than any path has: PATH_MAX bytes of names, and mounts on mounts.
const MAX_STEPS: usize = 4096;

/// A directory entry seen through a mount: `struct path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Virtual address of the `struct dentry`.
    pub dentry: u64,
    /// Virtual address of the `struct vfsmount`.
    pub mount: u64,
}

impl Kernel {
    /// The path of a place, from the root of all mounts on. What lies in no tree of names (a pipe,
    /// a segment of shared memory) has a name and no `/`; it may be empty.
    ///
    /// # Errors
    /// A fault on the way.
    pub fn path_of(&self, place: Place) -> Result<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let inner = shapes.mount.inner.offset()?;
        let Place { mut dentry, mut mount } = place;
        let mut names: Vec<String> = Vec::new();
        for _ in 0..MAX_STEPS {
            let above = shapes.mount.at(target, mount.wrapping_sub(inner));
            if mount != 0 && above.root()? == dentry {
                let parent = above.parent()?;
                if parent == above.address || parent == 0 {
                    break;
                }
                (dentry, mount) = (above.mountpoint()?, parent.wrapping_add(inner));
                continue;
            }
            let entry = shapes.dentry.at(target, dentry);
            let parent = entry.parent()?;
            if parent == dentry || parent == 0 {
                // In no tree, unless names lead here: then the mount is not what it seems.
                if names.is_empty() {
                    return self.dentry_name(dentry);
                }
                break;
            }
            names.push(self.dentry_name(dentry)?);
            dentry = parent;
        }
        // A dentry without a mount still has names: those within its file system.
        names.reverse();
        if names.is_empty() {
            let own = self.dentry_name(dentry)?;
            return Ok(if own.is_empty() { "/".to_owned() } else { own });
        }
        Ok(names.iter().fold(String::new(), |path, name| path + "/" + name))
    }

    /// The last part of an entry's name.
    ///
    /// # Errors
    /// A fault.
    pub fn dentry_name(&self, dentry: u64) -> Result<String> {
        let shape = &self.shapes().dentry;
        let name = shape.name.read(self.target(), dentry)?;
        if name == 0 {
            return Ok(String::new());
        }
        let text = self.target().read_cstr(name, MAX_NAME)?;
        Ok(text
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect())
    }

    /// The kind of file system that a directory entry belongs to: `pipefs`, `ext4`.
    ///
    /// # Errors
    /// A fault.
    pub fn file_system_of(&self, dentry: u64) -> Result<String> {
        let superblock = self.shapes().dentry.superblock.read(self.target(), dentry)?;
        self.file_system_kind(superblock)
    }

    /// The kind of a file system, by its `struct super_block`.
    ///
    /// # Errors
    /// A fault.
    pub fn file_system_kind(&self, superblock: u64) -> Result<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let kind = shapes.super_block.at(target, superblock).kind()?;
        let name = shapes.file_system_type.at(target, kind).name()?;
        Ok(target.read_cstr(name, MAX_NAME)?)
    }
}
