//! Mounts (fs/mount.h): a list of each namespace until 6.7, then a tree.

use crate::{
    dentry::Place,
    error::{Error, Result},
    kernel::Kernel,
    list::list,
    rbtree::{Order, rbtree},
    task::Task,
};

/// Longest name of a device, in bytes.
const MAX_NAME: usize = 4096;

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Virtual address of the `struct mount`.
    pub address: u64,
    /// Virtual address of its `struct super_block`.
    pub superblock: u64,
    /// The kind of file system: `ext4`.
    pub kind: Result<String>,
    /// What is mounted, as mount was told.
    pub device: Result<String>,
    /// Where.
    pub directory: Result<String>,
    /// The mount's root, seen through it.
    pub place: Place,
}

impl Kernel {
    /// The mounts that a task sees, in the order of /proc/mounts, and what could not be read.
    ///
    /// # Errors
    /// The task has no namespaces (it is exiting), or they cannot be read.
    pub fn mounts(&self, task: Task<'_>) -> Result<(Vec<Mount>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let namespace = shapes.nsproxy.at(target, task.namespaces()?).mount()?;
        let space = &shapes.mount_namespace;
        let (mut mounts, mut errors) = (Vec::new(), Vec::new());
        let mut add = |link: Result<u64>, offset: u64| match link
            .and_then(|link| self.mount_at(link.wrapping_sub(offset)))
        {
            Ok(mount) => mounts.push(mount),
            Err(error) => errors.push(error),
        };
        if space.tree.exists() {
            let node = shapes.mount.node.offset()?;
            for found in rbtree(target, space.tree.address(namespace)?, Order::Sorted) {
                add(found.map(|found| found.address), node);
            }
        } else {
            let link = shapes.mount.list.offset()?;
            for found in list(target, space.list.address(namespace)?) {
                add(found, link);
            }
        }
        Ok((mounts, errors))
    }

    /// The mount at an address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn mount_at(&self, address: u64) -> Result<Mount> {
        let (target, shape) = (self.target(), &self.shapes().mount);
        let mount = shape.at(target, address);
        let superblock = mount.superblock()?;
        let place = Place { dentry: mount.root()?, mount: mount.address_of(|s| &s.inner)? };
        let device = mount.device().and_then(|name| match name {
            0 => Ok("none".to_owned()),
            name => Ok(target.read_cstr(name, MAX_NAME)?),
        });
        Ok(Mount {
            address,
            superblock,
            kind: self.file_system_kind(superblock),
            device,
            directory: self.path_of(place),
            place,
        })
    }
}

impl Task<'_> {
    /// Virtual address of its `struct nsproxy`.
    ///
    /// # Errors
    /// A fault; [`Error::Absent`] for a task that is exiting.
    pub fn namespaces(&self) -> Result<u64> {
        match self.get(&self.kernel().shapes().task.nsproxy)? {
            0 => Err(Error::absent("namespaces: the task is exiting")),
            address => Ok(address),
        }
    }
}
