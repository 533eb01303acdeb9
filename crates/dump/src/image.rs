//! A dump file's logical content: the mapped file or a part of it, or what a flattened stream or a
//! disk image rearranges.

use std::{borrow::Cow, collections::BTreeMap, io, ops::Range, path::Path, sync::Arc};

use crate::{
    Reason,
    flattened::{self, Index},
    map::Map,
};

/// Bytes a file with holes may be copied out of beyond its own size.
const HOLE_ALLOWANCE: usize = 64 << 20;

/// Content that is put into the mapped file when it is first asked for.
pub(crate) trait Fill: std::fmt::Debug + Send + Sync {
    /// Sees to it that these bytes of the file are there; whether they are.
    fn fill(&self, range: Range<u64>) -> bool;
}

/// The content of one file of a dump.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    map: Arc<Map>,
    filler: Option<Arc<dyn Fill>>,
    /// The part of the file that is the content: all of it, or a member of an archive.
    window: Range<usize>,
    arranged: Option<Arc<Index>>,
    flattened: bool,
}

impl Image {
    /// Maps `path`; a flattened file (`makedumpfile -F`) is indexed, not copied.
    ///
    /// # Errors
    /// Those of opening the file, and `InvalidData` for a flattened file that is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::new(Map::open(path)?)
    }

    /// Maps a file that is open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn of_file(file: std::fs::File) -> io::Result<Self> {
        Self::new(Map::of_file(file)?)
    }

    /// The content of a file that is in memory.
    ///
    /// # Errors
    /// `InvalidData` for a flattened file that is none.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        Self::new(Map::of(bytes))
    }

    fn new(map: Map) -> io::Result<Self> {
        let window = 0..map.len();
        Self::of_part(Arc::new(map), None, window)
    }

    /// The content of a file that is filled as it is read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn filled(file: std::fs::File, filler: impl Fill + 'static) -> io::Result<Self> {
        let map = Map::of_file(file)?;
        let window = 0..map.len();
        Self::of_part(Arc::new(map), Some(Arc::new(filler)), window)
    }

    fn of_part(
        map: Arc<Map>,
        filler: Option<Arc<dyn Fill>>,
        window: Range<usize>,
    ) -> io::Result<Self> {
        let mut image = Image { map, filler, window, arranged: None, flattened: false };
        let head = image.in_file(0, flattened::SIGNATURE.len());
        if head.is_some_and(flattened::is_flattened) {
            if !image.fill_whole() {
                let what = "a part of the packed file does not unpack";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            image.arranged = Some(Arc::new(Index::build(image.file())?));
            image.flattened = true;
        }
        Ok(image)
    }

    /// A file within the file: `len` bytes from `offset` on, as far as they are there.
    ///
    /// # Errors
    /// `InvalidData` where this content is itself rearranged, or for a flattened part that is
    /// none.
    pub(crate) fn part(&self, offset: u64, len: u64) -> io::Result<Self> {
        if self.arranged.is_some() {
            let what = "a file inside a rearranged file: unpack it first";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let size = self.window.len() as u64;
        let start = self.window.start + offset.min(size) as usize;
        let end = start + len.min(size - offset.min(size)) as usize;
        Self::of_part(self.map.clone(), self.filler.clone(), start..end)
    }

    /// The same file, rearranged: `index` speaks of this file's bytes.
    pub(crate) fn arranged(&self, index: Index) -> Self {
        // What cannot be had is not there.
        let lost = || Index::of(BTreeMap::new(), false);
        let index = if self.fill_whole() { index } else { lost() };
        Image { arranged: Some(Arc::new(index)), flattened: false, ..self.clone() }
    }

    pub(crate) fn is_flattened(&self) -> bool {
        self.flattened
    }

    /// Whether a flattened stream stops before its end mark; a plain file cannot tell.
    pub(crate) fn is_cut(&self) -> bool {
        self.arranged.as_ref().is_some_and(|index| !index.complete)
    }

    /// Size of the content in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.arranged.as_ref().map_or(self.window.len() as u64, |index| index.len)
    }

    /// Size of the file (or the archive's member) as it lies on the disk, in bytes.
    pub(crate) fn file_len(&self) -> u64 {
        self.window.len() as u64
    }

    /// Pieces lie anywhere: all of the file has to be there.
    fn fill_whole(&self) -> bool {
        let all = self.window.start as u64..self.window.end as u64;
        self.filler.as_ref().is_none_or(|filler| filler.fill(all))
    }

    /// Bytes of the file as it lies on the disk.
    fn in_file(&self, at: usize, len: usize) -> Option<&[u8]> {
        let range = at..at.checked_add(len)?;
        let bytes = self.file().get(range)?;
        let start = (self.window.start + at) as u64;
        let is_there = match &self.filler {
            Some(filler) if self.arranged.is_none() => filler.fill(start..start + len as u64),
            _ => true,
        };
        is_there.then_some(bytes)
    }

    fn file(&self) -> &[u8] {
        self.map.get(self.window.clone()).unwrap_or(&[])
    }

    /// `len` bytes from `offset` on, borrowed when they are contiguous in the file. `None` when
    /// they are not all there.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        if let Some(bytes) = self.slice(offset, len) {
            return Some(Cow::Borrowed(bytes));
        }
        let index = self.arranged.as_ref()?;
        if len > self.window.len().saturating_add(HOLE_ALLOWANCE) {
            return None;
        }
        index.gather(self.file(), offset, len).map(Cow::Owned)
    }

    /// As [`get`](Self::get), of bytes that are looked at once and kept in another form.
    pub(crate) fn get_once(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        if self.filler.is_some()
            || self.arranged.is_some()
            || self.extent(offset, len as u64) < len as u64
        {
            return self.get(offset, len);
        }
        let at = (self.window.start as u64).checked_add(offset)?;
        self.map.read_once(at, len).map(Cow::Owned).or_else(|| self.get(offset, len))
    }

    /// How many of `len` bytes from `offset` on are there before the first that is missing.
    pub(crate) fn extent(&self, offset: u64, len: u64) -> u64 {
        match &self.arranged {
            None => self.len().saturating_sub(offset).min(len),
            Some(index) => index.extent(offset, len),
        }
    }

    /// Why `len` bytes from `offset` on could not be had: they are beyond the end, or lie in a part of
    /// a packed file that does not unpack.
    pub(crate) fn why_missing(&self, offset: u64, len: u64) -> Reason {
        match self.extent(offset, len) == len && self.filler.is_some() {
            true => Reason::Corrupt,
            false => Reason::Truncated,
        }
    }

    /// How many of `len` bytes from `offset` on can be had before the first that cannot. What is
    /// packed is unpacked for that.
    pub(crate) fn readable(&self, offset: u64, len: u64) -> u64 {
        let there = self.extent(offset, len);
        let Some(filler) = self.filler.as_ref().filter(|_| self.arranged.is_none()) else {
            return there;
        };
        const STEP: u64 = 1 << 16;
        let base = self.window.start as u64 + offset;
        if filler.fill(base..base + there) {
            return there;
        }
        let is_lost = |&at: &u64| !filler.fill(base + at..base + (at + STEP).min(there));
        (0..there).step_by(STEP as usize).find(is_lost).unwrap_or(there)
    }

    /// Like [`get`](Self::get), and what is beyond the end of the content is left away.
    pub(crate) fn get_up_to(&self, offset: u64, len: usize) -> Cow<'_, [u8]> {
        let there = self.len().saturating_sub(offset).min(len as u64) as usize;
        self.get(offset, there).unwrap_or_default()
    }

    /// Gives back the memory that reading a part took, where that can be had again from the file.
    pub(crate) fn release(&self, range: Range<u64>) {
        let place = |at: u64| Some(self.window.start.saturating_add(usize::try_from(at).ok()?));
        if self.filler.is_none()
            && self.arranged.is_none()
            && let (Some(start), Some(end)) = (place(range.start), place(range.end))
        {
            self.map.release(start..end);
        }
    }

    /// `len` bytes from `offset` on, when they are contiguous in the file.
    pub(crate) fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let at = match &self.arranged {
            None => offset,
            Some(index) => index.locate(offset, len)?,
        };
        self.in_file(usize::try_from(at).ok()?, len)
    }

    /// The parts of `len` bytes from `offset` on that may hold something other than zeros:
    /// offsets of content, disjoint and ascending.
    pub(crate) fn data_in(&self, offset: u64, len: u64) -> Vec<Range<u64>> {
        let end = offset.saturating_add(len).min(self.len());
        match &self.arranged {
            Some(index) => index.pieces_in(offset..end),
            // What is not filled yet is no hole.
            None if self.filler.is_some() => {
                Some(offset..end).filter(|part| !part.is_empty()).into_iter().collect()
            }
            None => {
                let base = self.window.start as u64;
                let parts = self.map.data_in(base.saturating_add(offset)..base.saturating_add(end));
                parts.into_iter().map(|part| part.start - base..part.end - base).collect()
            }
        }
    }

    /// The first offset of content from `at` on that is not in a hole.
    pub(crate) fn next_data(&self, at: u64) -> u64 {
        match &self.arranged {
            Some(index) => index.next_data(at),
            None if self.filler.is_some() => at.min(self.len()),
            None => {
                let base = self.window.start as u64;
                self.map.next_data(base.saturating_add(at)).saturating_sub(base)
            }
        }
    }
}
