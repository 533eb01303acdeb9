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

    /// Gives back the memory that reading a part of a mapped file took. The part can be read again.
    pub fn release(&self, range: std::ops::Range<usize>) {
        let Map::File(map) = self else { return };
        // Whole pages alone: a neighbour may still be in use.
        let start = range.start.next_multiple_of(PAGE);
        let end = range.end.min(map.len()) / PAGE * PAGE;
        if start < end {
            // SAFETY: dropping the pages of a private mapping loses what was written to them. This
            // one is read-only, so they are read from the file again, with the same bytes.
            #[allow(unsafe_code)]
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }
}

/// Bytes of a page, or a multiple.
const PAGE: usize = 1 << 16;

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Map::File(map) => map,
            Map::Bytes(bytes) => bytes,
        }
    }
}
