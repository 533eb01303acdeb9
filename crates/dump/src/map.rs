//! The one place that maps files into memory.

use std::{fs::File, io, ops::Deref, path::Path};

/// A whole file, mapped read-only, or bytes that stand for one.
#[derive(Debug)]
pub enum Map {
    /// A mapped file.
    File(memmap2::Mmap),
    /// Bytes that were unpacked, or made.
    Bytes(Vec<u8>),
}

impl Map {
    /// Maps `path`. An empty file yields an empty slice.
    ///
    /// # Errors
    /// Those of opening and mapping the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        if meta.len() == 0 {
            return Ok(Map::Bytes(Vec::new()));
        }
        // SAFETY: the mapping is private and read-only, and is handed out as `&[u8]` bound to
        // `self`. What remains is another process changing or cutting the file meanwhile: changed
        // bytes are input like any other (nothing is validated once and trusted later), and a cut
        // ends the process with SIGBUS, as it does every program that maps files.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Map::File(map))
    }
}

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Map::File(map) => map,
            Map::Bytes(bytes) => bytes,
        }
    }
}
