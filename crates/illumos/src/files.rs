//! Open files of a process (`sys/user.h`, `sys/file.h`, `sys/vnode.h`).

use crate::{Kernel, Result};

/// Most files of a process.
const MAX_FILES: u64 = 1 << 20;
/// Longest path.
const MAX_PATH: usize = 1024;
/// `vtype_t` by number, as `::pfiles` prints it.
const KINDS: [&str; 13] =
    ["NON", "REG", "DIR", "BLK", "CHR", "LNK", "FIFO", "DOOR", "PROC", "SOCK", "PORT", "BAD", "?"];

/// An open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFile {
    /// Its number in the process.
    pub number: u64,
    /// Address of its `struct file`.
    pub file: u64,
}

impl Kernel {
    /// The files that a process has open.
    ///
    /// # Errors
    /// Their table cannot be read.
    pub fn open_files(&self, process: u64) -> Result<Vec<OpenFile>> {
        let shapes = self.shapes();
        let info = shapes.proc.finfo.at(process)?;
        let count = shapes.uf_info.nfiles.get(self, info)?.min(MAX_FILES);
        let table = shapes.uf_info.list.get(self, info)?;
        let size = self.types().size_of(self.type_named("uf_entry_t")?).unwrap_or(0);
        let place = shapes.uf_entry.file.offset()?;
        let mut found = Vec::new();
        for number in 0..count {
            let at = table.wrapping_add(number.wrapping_mul(size)).wrapping_add(place);
            match self.read_u64(at)? {
                0 => {}
                file => found.push(OpenFile { number, file }),
            }
        }
        Ok(found)
    }

    /// The path that a vnode was last looked up by; none is kept for some.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn vnode_path(&self, vnode: u64) -> Result<Option<String>> {
        match self.shapes().vnode.path.get(self, vnode)? {
            0 => Ok(None),
            at => Ok(Some(self.read_string(at, MAX_PATH)?)),
        }
    }

    /// What kind of file a vnode is: `REG`, `DIR`, `CHR`, …
    ///
    /// # Errors
    /// It cannot be read.
    pub fn vnode_kind(&self, vnode: u64) -> Result<&'static str> {
        let kind = self.shapes().vnode.kind.get(self, vnode)? as usize;
        Ok(KINDS.get(kind).copied().unwrap_or("?"))
    }
}
