//! Files, mounts, mappings.

use necropsy_rows::{Faults, Hex, row};

row! {
    /// An open file of a task, its working directory or its root.
    #[derive(Debug)]
    pub struct FileRow {
        /// `fd`, `cwd` or `root`.
        pub kind: &'static str,
        /// The task.
        pub pid: Option<u64>,
        /// The file descriptor.
        pub fd: Option<u64>,
        /// Its `struct file`.
        pub file: Option<Hex>,
        /// Its `struct dentry`.
        pub dentry: Option<Hex>,
        /// Its `struct inode`.
        pub inode: Option<Hex>,
        /// What it is: `REG`, `DIR`, `CHR`, `BLK`, `LNK`, `FIFO`, `SOCK`; `UNKN` for timers, event
        /// queues and the like.
        pub file_type: Option<&'static str> [key "type"],
        /// Its path; of a socket the protocol, of a pipe its inode number.
        pub path: Option<String>,
        /// With -c, its `struct address_space`.
        pub mapping: Option<Hex> [maybe],
        /// With -c, its pages in memory.
        pub pages: Option<u64> [maybe, pages],
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A directory entry (`files -d`).
    #[derive(Debug)]
    pub struct DentryRow {
        /// The `struct dentry`.
        pub dentry: Hex,
        /// What it stands for; 0 if for nothing.
        pub inode: Option<Hex>,
        /// Its `struct super_block`.
        pub superblock: Option<Hex>,
        /// What it is.
        pub file_type: Option<&'static str> [key "type"],
        /// Its path within its file system.
        pub path: Option<String>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// The pages of a file on a NUMA node (`files -n`).
    #[derive(Debug)]
    pub struct NodeSpreadRow {
        /// The file's `struct inode`.
        pub inode: Hex,
        /// The node.
        pub node: u64,
        /// Pages on it.
        pub pages: u64 [pages],
    }

    /// A mount.
    #[derive(Debug)]
    pub struct MountRow {
        /// Its `struct mount`.
        pub mount: Hex,
        /// Its `struct super_block`.
        pub superblock: Hex,
        /// The kind of file system.
        pub fs_type: Option<String> [key "type"],
        /// What is mounted.
        pub device: Option<String>,
        /// Where.
        pub dir: Option<String>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A mapping.
    #[derive(Debug)]
    pub struct VmaRow {
        /// Its `struct vm_area_struct`.
        pub vma: Hex,
        /// First byte.
        pub start: Hex,
        /// The byte after the last.
        pub end: Hex,
        /// VM_ flags.
        pub flags: Hex,
        /// Path of what is mapped; `null` for anonymous memory.
        pub file: Option<String>,
    }

    /// An address space.
    #[derive(Debug)]
    pub struct VmRow {
        /// The task.
        pub pid: Option<u64>,
        /// Its `struct mm_struct`; `null` for a kernel thread.
        pub mm: Option<Hex>,
        /// Its root page table.
        pub pgd: Option<Hex>,
        /// Memory that it holds.
        pub rss_bytes: Option<u64> [bytes],
        /// Size of all mappings.
        pub total_bytes: Option<u64> [bytes],
        /// Its mappings, by address.
        pub vmas: Vec<VmaRow>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A page of a mapping (`vm -p`).
    #[derive(Debug)]
    pub struct UserPageRow {
        /// The task.
        pub pid: Option<u64>,
        /// Its mapping.
        pub vma: Hex,
        /// Address in the process.
        pub virtual_address: Hex [key "virtual"],
        /// Physical address; `null` if the page is not in memory.
        pub physical: Option<Hex>,
        /// Why it has none.
        pub reason: Option<&'static str>,
        /// Where it is: a file, or an area of swap.
        pub path: Option<String> [maybe],
        /// Where in that, in bytes.
        pub offset: Option<u64> [maybe, bytes],
    }

    /// A task that uses a file (`fuser`).
    #[derive(Debug)]
    pub struct FileUserRow {
        /// The task's id.
        pub pid: Option<u64>,
        /// The task.
        pub task: Hex,
        /// Its name.
        pub comm: Option<String>,
        /// How it uses the file: `root`, `cwd`, `fd`, `mmap`, `exe`.
        pub usage: Vec<&'static str>,
    }
}
