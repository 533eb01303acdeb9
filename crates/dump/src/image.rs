//! A dump file's logical content: the mapped file itself, or what a flattened stream rearranges.

use std::{borrow::Cow, io, path::Path};

use crate::{
    flattened::{self, Index},
    map::Map,
};

/// Bytes a file with holes may be copied out of beyond its own size: bitmaps are rarely larger.
const HOLE_ALLOWANCE: usize = 64 << 20;

/// The content of one file of a dump.
#[derive(Debug)]
pub(crate) struct Image {
    map: Map,
    flattened: Option<Index>,
}

impl Image {
    /// Maps `path`; a flattened file (`makedumpfile -F`) is indexed, not copied.
    ///
    /// # Errors
    /// Those of opening the file, and `InvalidData` for a flattened file that is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::new(Map::open(path)?)
    }

    /// The content of a file that is in memory.
    ///
    /// # Errors
    /// `InvalidData` for a flattened file that is none.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        Self::new(Map::Bytes(bytes))
    }

    fn new(map: Map) -> io::Result<Self> {
        let flattened = flattened::is_flattened(&map).then(|| Index::build(&map)).transpose()?;
        Ok(Image { map, flattened })
    }

    pub(crate) fn is_flattened(&self) -> bool {
        self.flattened.is_some()
    }

    /// Whether a flattened stream stops before its end mark; a plain file cannot tell.
    pub(crate) fn is_cut(&self) -> bool {
        self.flattened.as_ref().is_some_and(|index| !index.complete)
    }

    /// Size of the content in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.flattened.as_ref().map_or(self.map.len() as u64, |index| index.len)
    }

    /// Size of the file as it lies on the disk, in bytes.
    pub(crate) fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// `len` bytes from `offset` on, borrowed when they are contiguous in the file. `None` when
    /// they are not all there.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        match &self.flattened {
            None => self.slice(offset, len).map(Cow::Borrowed),
            Some(index) => {
                if let Some(bytes) = self.slice(offset, len) {
                    return Some(Cow::Borrowed(bytes));
                }
                if len > self.map.len().saturating_add(HOLE_ALLOWANCE) {
                    return None;
                }
                index.gather(&self.map, offset, len).map(Cow::Owned)
            }
        }
    }

    /// How many of `len` bytes from `offset` on are there before the first that is missing.
    pub(crate) fn extent(&self, offset: u64, len: u64) -> u64 {
        match &self.flattened {
            None => self.len().saturating_sub(offset).min(len),
            Some(index) => index.extent(offset, len),
        }
    }

    /// Like [`get`](Self::get), and what is beyond the end of the content is left away.
    pub(crate) fn get_up_to(&self, offset: u64, len: usize) -> Cow<'_, [u8]> {
        let there = self.len().saturating_sub(offset).min(len as u64) as usize;
        self.get(offset, there).unwrap_or_default()
    }

    /// `len` bytes from `offset` on, when they are contiguous in the file.
    pub(crate) fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let at = match &self.flattened {
            None => offset,
            Some(index) => index.locate(offset, len)?,
        };
        let at = usize::try_from(at).ok()?;
        self.map.get(at..at.checked_add(len)?)
    }
}

/// A range of an image that is read over and over: borrowed from the file when it is contiguous
/// there, copied once when not.
#[derive(Debug)]
pub(crate) enum Span {
    InFile { offset: u64, len: usize },
    Copied(Box<[u8]>),
}

impl Span {
    /// `len` bytes from `offset` on, or as many of them as there are.
    pub(crate) fn new(image: &Image, offset: u64, len: usize) -> Self {
        match image.get_up_to(offset, len) {
            Cow::Borrowed(bytes) => Span::InFile { offset, len: bytes.len() },
            Cow::Owned(bytes) => Span::Copied(bytes.into()),
        }
    }

    /// The bytes; `image` is the one the span was made of.
    pub(crate) fn bytes<'a>(&'a self, image: &'a Image) -> &'a [u8] {
        match self {
            Span::InFile { offset, len } => image.slice(*offset, *len).unwrap_or(&[]),
            Span::Copied(bytes) => bytes,
        }
    }
}
