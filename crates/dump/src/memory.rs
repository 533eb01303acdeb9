//! The one trait behind which every dump format stands.

use std::{ops::Deref, sync::Arc};

use crate::{Fault, Read, Reason};

/// Whether a page frame is in the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Its content is in the file.
    Stored,
    /// It existed, and the filter left it out.
    Excluded,
    /// The machine had no such frame, or this file (set) does not cover it.
    NotSaved,
    /// It should be in the file, beyond its present end.
    Truncated,
}

/// One page of physical memory: borrowed from the mapped file, or shared with the page cache.
#[derive(Debug, Clone)]
pub enum Page<'a> {
    /// Lies uncompressed in the mapped file.
    Mapped(&'a [u8]),
    /// Was decompressed into the cache.
    Cached(Arc<[u8]>),
    /// Lies in a piece of several pages that was decompressed.
    Within {
        /// The piece.
        piece: Arc<[u8]>,
        /// First byte of the page in it.
        at: usize,
        /// Bytes of the page.
        len: usize,
    },
}

impl Deref for Page<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Page::Mapped(bytes) => bytes,
            Page::Cached(bytes) => bytes,
            Page::Within { piece, at, len } => piece.get(*at..at + len).unwrap_or(&[]),
        }
    }
}

/// Physical memory of a stopped machine.
///
/// Everything is `&self` and thread-safe: walkers read from many threads.
pub trait PhysicalMemory: Send + Sync {
    /// Page size in bytes; a power of two.
    fn page_size(&self) -> u64;

    /// The page frame `pfn`, `page_size` bytes.
    ///
    /// # Errors
    /// A physical-space [`Fault`] at the first missing byte of the page.
    fn page(&self, pfn: u64) -> Read<Page<'_>>;

    /// Whether `pfn` is in the dump, without reading it.
    fn presence(&self, pfn: u64) -> Presence;

    /// One past the highest page frame number that the dump knows of.
    fn max_pfn(&self) -> u64;

    /// The next run of stored frames that ends after `from`: `(first pfn, end pfn)`, with
    /// `first >= from`. `None` when there is none. Walking all stored memory is
    /// `while let Some((first, end)) = memory.stored_run(at) { …; at = end }`.
    fn stored_run(&self, from: u64) -> Option<(u64, u64)>;

    /// The next run of frames that the machine had, stored or not, that ends after `from`; like
    /// [`stored_run`](Self::stored_run), which it equals where the format does not know more.
    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        self.stored_run(from)
    }

    /// The frame that the frame number in a page-table entry stands for: another one only in
    /// paravirtual guests, whose tables hold the host's numbers.
    fn frame_of_entry(&self, frame: u64) -> u64 {
        frame
    }

    /// Fills `buf` with physical memory from `address` on.
    ///
    /// # Errors
    /// The first byte that cannot be read; `buf` before it has been filled.
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        let size = self.page_size();
        let mut done = 0usize;
        while done < buf.len() {
            let at = address
                .checked_add(done as u64)
                .ok_or(Fault::physical(address, Reason::BadAddress))?;
            let offset = (at & (size - 1)) as usize;
            let page = self
                .page(at / size)
                .map_err(|fault| Fault { address: fault.address.max(at), ..fault })?;
            let n = (buf.len() - done).min(page.len().saturating_sub(offset));
            if n == 0 {
                return Err(Fault::physical(at, Reason::Corrupt));
            }
            buf[done..done + n].copy_from_slice(&page[offset..offset + n]);
            done += n;
        }
        Ok(())
    }
}

impl<M: PhysicalMemory + ?Sized> PhysicalMemory for Arc<M> {
    fn page_size(&self) -> u64 {
        (**self).page_size()
    }
    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        (**self).page(pfn)
    }
    fn presence(&self, pfn: u64) -> Presence {
        (**self).presence(pfn)
    }
    fn max_pfn(&self) -> u64 {
        (**self).max_pfn()
    }
    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        (**self).stored_run(from)
    }
    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        (**self).memory_run(from)
    }
    fn frame_of_entry(&self, frame: u64) -> u64 {
        (**self).frame_of_entry(frame)
    }
}
