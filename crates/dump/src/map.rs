//! The one place that maps files into memory.

use std::{
    fs::File,
    io::{self, Seek},
    ops::{Deref, Range},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
    path::Path,
};

use rustix::fs::{SeekFrom, seek};

/// A whole file, mapped read-only, or bytes that stand for one.
#[derive(Debug)]
pub struct Map {
    bytes: Bytes,
    file: Option<File>,
    /// The file takes less room on the disk than it is long: it has holes.
    is_sparse: bool,
}

#[derive(Debug)]
enum Bytes {
    File(memmap2::Mmap),
    Memory(Vec<u8>),
}

/// Bytes of a page, or a multiple.
const PAGE: usize = 1 << 16;
/// More pieces between holes than this are not told apart.
const PIECES: usize = 1 << 16;

impl Map {
    /// Maps `path`. An empty file yields an empty slice.
    ///
    /// # Errors
    /// Those of opening and mapping the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of_file(File::open(path)?)
    }

    /// Maps a file that is open.
    ///
    /// # Errors
    /// Those of mapping the file; it is no file that can be mapped.
    pub fn of_file(mut file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder, not a file"));
        }
        let is_disk = meta.file_type().is_block_device();
        if !meta.is_file() && !is_disk {
            let what =
                "not a regular file: a dump is read here and there, which this does not allow";
            return Err(io::Error::other(what));
        }
        let len = if is_disk { file.seek(io::SeekFrom::End(0))? } else { meta.len() };
        if len == 0 {
            return Ok(Map::of(Vec::new()));
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        // SAFETY: the mapping is private and read-only, and is handed out as `&[u8]` bound to
        // `self`. What remains is another process changing or cutting the file meanwhile: changed
        // bytes are input like any other (nothing is validated once and trusted later), and a cut
        // ends the process with SIGBUS, as it does every program that maps files.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(&file)? };
        let is_sparse = !is_disk && meta.blocks().saturating_mul(512) < meta.len();
        Ok(Map { bytes: Bytes::File(map), file: Some(file), is_sparse })
    }

    /// Bytes that were unpacked, or made.
    pub fn of(bytes: Vec<u8>) -> Self {
        Map { bytes: Bytes::Memory(bytes), file: None, is_sparse: false }
    }

    /// `len` bytes from `at` on, read from the file past the mapping: what is looked at once need not
    /// stay in memory, with its neighbours, for as long as the file is open. `None` where they are not
    /// all there, or this is no file.
    pub fn read_once(&self, at: u64, len: usize) -> Option<Vec<u8>> {
        if at.checked_add(len as u64)? > self.len() as u64 {
            return None;
        }
        let mut bytes = vec![0; len];
        self.file.as_ref()?.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    fn sparse(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| self.is_sparse)
    }

    /// Gives back the memory that reading a part of a mapped file took. The part can be read again.
    pub fn release(&self, range: Range<usize>) {
        let Bytes::File(map) = &self.bytes else { return };
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

    /// The parts of `range` that may hold something other than zeros: what is between them is a
    /// hole of a sparse file. Disjoint, ascending; where the file system does not tell, all of it.
    pub fn data_in(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let end = range.end.min(self.len() as u64);
        let mut parts = Vec::new();
        let mut at = range.start;
        while at < end {
            let data = self.next_data(at).min(end);
            if data >= end {
                break;
            }
            let hole = match self.sparse() {
                Some(file) if parts.len() < PIECES => seek(file, SeekFrom::Hole(data)).ok(),
                _ => None,
            };
            let stop = hole.unwrap_or(end).min(end).max(data + 1);
            parts.push(data..stop);
            at = stop;
        }
        parts
    }

    /// The first offset from `at` on that is not in a hole; the file's size when there is none.
    pub fn next_data(&self, at: u64) -> u64 {
        let Some(file) = self.sparse() else { return at };
        match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.max(at),
            Err(rustix::io::Errno::NXIO) => self.len() as u64,
            Err(_) => at,
        }
    }
}

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::File(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}
