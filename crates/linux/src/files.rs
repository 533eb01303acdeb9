//! Open files (include/linux/fdtable.h, fs.h): what a process has open, and where it stands.

use crate::{
    dentry::Place,
    error::{Error, Result},
    kernel::Kernel,
    task::Task,
    xarray,
};

/// The most file descriptors of a process that are looked at (`fs.nr_open` allows 2^30, nobody
/// needs as many; a damaged table claims any number).
const MAX_FDS: u64 = 1 << 22;

/// What an inode is, from the type in its mode (include/uapi/linux/stat.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FileKind {
    Regular,
    Directory,
    Character,
    Block,
    Link,
    Pipe,
    Socket,
    /// Of no type: timers, event queues.
    Other,
}

impl FileKind {
    fn of(mode: u64) -> FileKind {
        match mode >> 12 & 0xf {
            1 => FileKind::Pipe,
            2 => FileKind::Character,
            4 => FileKind::Directory,
            6 => FileKind::Block,
            8 => FileKind::Regular,
            10 => FileKind::Link,
            12 => FileKind::Socket,
            _ => FileKind::Other,
        }
    }

    /// As crash's `files` has it.
    pub fn word(self) -> &'static str {
        match self {
            FileKind::Regular => "REG",
            FileKind::Directory => "DIR",
            FileKind::Character => "CHR",
            FileKind::Block => "BLK",
            FileKind::Link => "LNK",
            FileKind::Pipe => "FIFO",
            FileKind::Socket => "SOCK",
            FileKind::Other => "UNKN",
        }
    }
}

/// Pages of a file that are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedPage {
    /// Where in the file, in pages.
    pub index: u64,
    /// How many in a row.
    pub count: u64,
    /// Virtual address of the `struct page` of the first.
    pub page: u64,
}

/// An open file, by its descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFile {
    /// The descriptor.
    pub fd: u64,
    /// Virtual address of the `struct file`.
    pub file: u64,
}

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it takes for `/`.
    pub root: Place,
    /// Its working directory.
    pub cwd: Place,
}

impl Task<'_> {
    /// Its open files by descriptor, and what could not be read.
    ///
    /// # Errors
    /// The table cannot be read. A task that is exiting has none: an empty list.
    pub fn open_files(&self) -> Result<(Vec<OpenFile>, Vec<Error>)> {
        let (target, shapes) = (self.kernel().target(), self.kernel().shapes());
        let files = self.get(&shapes.task.files)?;
        if files == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        let table = shapes.files_struct.at(target, files).table()?;
        let table = shapes.fd_table.at(target, table);
        let (count, pointers, open) = (table.max()?.min(MAX_FDS), table.files()?, table.open()?);
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let width = 8 * u64::from(target.pointer_size());
        for word in 0..count.div_ceil(width) {
            // The words of a bitmap lie together: one that cannot be read speaks for the rest.
            let mut bits = target.read_pointer_at(open, word)?;
            while bits != 0 {
                let fd = word * width + u64::from(bits.trailing_zeros());
                bits &= bits - 1;
                match target.read_pointer_at(pointers, fd) {
                    // A number that was handed out and has no file yet.
                    Ok(0) => {}
                    Ok(file) => found.push(OpenFile { fd, file }),
                    Err(fault) => errors.push(fault.into()),
                }
            }
        }
        Ok((found, errors))
    }

    /// Its root and working directory; `None` for a task that is exiting.
    ///
    /// # Errors
    /// A fault.
    pub fn standing(&self) -> Result<Option<Standing>> {
        let (target, shapes) = (self.kernel().target(), self.kernel().shapes());
        let fs = self.get(&shapes.task.fs)?;
        if fs == 0 {
            return Ok(None);
        }
        let fs = shapes.fs_struct.at(target, fs);
        Ok(Some(Standing {
            root: Place { dentry: fs.root_dentry()?, mount: fs.root_mount()? },
            cwd: Place { dentry: fs.cwd_dentry()?, mount: fs.cwd_mount()? },
        }))
    }
}

impl Kernel {
    /// The name that a `struct file` was opened by.
    ///
    /// # Errors
    /// A fault.
    pub fn place_of_file(&self, file: u64) -> Result<Place> {
        let file = self.shapes().file.at(self.target(), file);
        Ok(Place { dentry: file.dentry()?, mount: file.mount()? })
    }

    /// The inode of a directory entry; 0 for a name of nothing.
    ///
    /// # Errors
    /// A fault.
    pub fn inode_of(&self, dentry: u64) -> Result<u64> {
        self.shapes().dentry.inode.read(self.target(), dentry)
    }

    /// What an inode is.
    ///
    /// # Errors
    /// A fault.
    pub fn inode_kind(&self, inode: u64) -> Result<FileKind> {
        Ok(FileKind::of(self.shapes().inode.mode.read(self.target(), inode)?))
    }

    /// The path, within its file system, of the file that an `address_space` has the pages of;
    /// `None` for what has no name.
    pub fn path_of_mapping(&self, mapping: u64) -> Option<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let inode = shapes.mapping_host.host.read(target, mapping).ok()?;
        let first = shapes.inode_links.names.read(target, inode).ok().filter(|at| *at != 0)?;
        let dentry = first.wrapping_sub(shapes.dentry_links.alias.offset().ok()?);
        let path = self.path_of(Place { dentry, mount: 0 }).ok()?;
        Some(path).filter(|path| !path.is_empty())
    }

    /// Pages of an inode that are in memory.
    ///
    /// # Errors
    /// A fault.
    pub fn inode_pages(&self, inode: u64) -> Result<(u64, u64)> {
        let (target, shapes) = (self.target(), self.shapes());
        let mapping = shapes.inode.at(target, inode).mapping()?;
        if mapping == 0 {
            return Ok((0, 0));
        }
        Ok((mapping, shapes.address_space.at(target, mapping).pages()?))
    }

    /// The pages of a `struct address_space` that are in memory, by their place in the file: of each folio
    /// its `struct page`, and how many pages it is. And what could not be read.
    ///
    /// # Errors
    /// This kernel keeps them in no way that is known.
    pub fn cached_pages(&self, mapping: u64) -> Result<(Vec<CachedPage>, Vec<Error>)> {
        let tree = self.shapes().address_space.tree.address(mapping)?;
        let (mut pages, mut errors) = (Vec::new(), Vec::new());
        for entry in xarray::entries(self.target(), xarray::Layout::of(self)?, tree) {
            match entry {
                // What was there and is not any more leaves a number behind.
                Ok(entry) if entry.kind == xarray::Kind::Pointer => pages.push(CachedPage {
                    index: entry.index,
                    count: entry.span.max(1),
                    page: entry.raw,
                }),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        Ok((pages, errors))
    }

    /// The path of an open file; what has none is told by what it is: a socket by its protocol
    /// (`TCP`), a pipe by its inode (`pipe:[189]`).
    ///
    /// # Errors
    /// A fault.
    pub fn name_of_file(&self, file: u64) -> Result<String> {
        let place = self.place_of_file(file)?;
        let path = self.path_of(place)?;
        if !path.is_empty() && path != "/" {
            return Ok(path);
        }
        let inode = self.inode_of(place.dentry)?;
        match (self.inode_kind(inode)?, path.as_str()) {
            (FileKind::Socket, _) => {
                let socket = self.shapes().file.private_data.read(self.target(), file)?;
                self.socket_protocol(socket)
            }
            (_, "/")
                if self.shapes().dentry.at(self.target(), place.dentry).name()? != 0
                    && !self.dentry_name(place.dentry)?.is_empty() =>
            {
                Ok(path)
            }
            (kind, _) => {
                let number = self.shapes().inode.number.read(self.target(), inode)?;
                let what = match kind {
                    FileKind::Pipe => "pipe".to_owned(),
                    _ => self.file_system_of(place.dentry)?,
                };
                Ok(format!("{what}:[{number}]"))
            }
        }
    }
}
