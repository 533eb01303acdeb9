//! A packed file that is unpacked where it is read: its parts go into a sparse copy in the cache, each
//! when something in it is first asked for.

use std::{
    fs::{File, OpenOptions as Open},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{
    blocks::{Block, Blocks},
    cache::UnpackCache,
};
use crate::image::{Fill, Image};

/// Parts that are unpacked one after the other.
const FEW: usize = 4;
/// What of the copy is there: a byte a part, in a file beside it.
const THERE: u8 = 1;

/// A copy that grows as it is read.
#[derive(Debug)]
pub(super) struct Lazy {
    packed: Image,
    blocks: Blocks,
    copy: File,
    marks: File,
    /// Whether each part could be unpacked, once somebody asked.
    done: Vec<OnceLock<bool>>,
}

impl Lazy {
    /// A copy at `place`, with what an earlier reader left there.
    ///
    /// # Errors
    /// Those of making the files; a file system that has no files of that size.
    pub(super) fn open(packed: &Image, blocks: Blocks, place: &Path) -> io::Result<Lazy> {
        let open = |path: &Path| {
            Open::new().read(true).write(true).create(true).truncate(false).open(path)
        };
        let (copy, marks) = (open(place)?, open(&UnpackCache::marks_of(place))?);
        let count = blocks.blocks.len();
        if copy.metadata()?.len() != blocks.len || marks.metadata()?.len() != count as u64 {
            marks.set_len(0)?;
            copy.set_len(0)?;
            copy.set_len(blocks.len)?;
            marks.set_len(count as u64)?;
        }
        let mut there = vec![0; count];
        marks.read_exact_at(&mut there, 0)?;
        let done = there.iter().map(|&mark| match mark {
            THERE => OnceLock::from(true),
            _ => OnceLock::new(),
        });
        Ok(Lazy { packed: packed.clone(), blocks, copy, marks, done: done.collect() })
    }

    /// The file that the parts go into.
    pub(super) fn copy(&self) -> io::Result<File> {
        self.copy.try_clone()
    }

    fn unpack(&self, index: usize, block: Block) -> bool {
        let put = || -> io::Result<()> {
            let content = self.blocks.unpack(&self.packed, block)?;
            self.copy.write_all_at(&content, block.offset)?;
            self.marks.write_all_at(&[THERE], index as u64)
        };
        put().is_ok()
    }
}

impl Fill for Lazy {
    fn fill(&self, range: Range<u64>) -> bool {
        let all = &self.blocks.blocks;
        let first = all.partition_point(|block| block.offset + block.size <= range.start);
        let end = first + all[first..].partition_point(|block| block.offset < range.end);
        let one = |index: usize| {
            let (Some(block), Some(done)) = (all.get(index), self.done.get(index)) else {
                return false;
            };
            *done.get_or_init(|| self.unpack(index, *block))
        };
        if end - first <= FEW {
            return (first..end).all(one);
        }
        // Threads of its own: whoever asks may hold a lock, and must not be lent to another task that
        // waits for it.
        let (next, all_there) = (AtomicUsize::new(first), AtomicBool::new(true));
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= end {
                    break;
                }
                if !one(index) {
                    all_there.store(false, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            let helpers = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
            for _ in 0..helpers {
                // Without them it takes longer.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        all_there.into_inner()
    }
}

/// The content of a file of parts, where it is one, and its copy.
///
/// # Errors
/// Those of making the copy.
pub(super) fn open(
    image: &Image,
    place: impl FnOnce() -> io::Result<PathBuf>,
) -> io::Result<Option<(Image, PathBuf, usize)>> {
    let Some(blocks) = Blocks::of(image) else { return Ok(None) };
    let count = blocks.blocks.len();
    let place = place()?;
    let lazy = Lazy::open(image, blocks, &place)?;
    let copy = lazy.copy()?;
    Ok(Some((Image::filled(copy, lazy)?, place, count)))
}
