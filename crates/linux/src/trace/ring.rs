//! The ring of one CPU: which pages it has, and what of them is still to be read.
//!
//! A reader takes a page out of the ring and puts the one that it has read before in its place. So
//! the page in the reader's hands comes first, then the ring from the page to whose link the kernel
//! gave a mark (`RB_PAGE_HEAD`) to the page that is being written. What lies behind that has been
//! read, or was never written; the kernel forgets how much was in it, and leaves the bytes.

use std::collections::HashSet;

use crate::{
    Kernel,
    error::{Error, Result, or_missing},
};

/// A page of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Virtual address of its `struct buffer_data_page`.
    pub address: u64,
    /// Time of its first event, in units of the trace's clock.
    pub time: u64,
    /// Whether that is what the page says. Since 7.0 a reader wipes it out: then it is the latest
    /// that fits before the page that follows.
    pub exact: bool,
    /// Bytes of its data; `None` where that is forgotten.
    pub length: Option<u64>,
    /// How many of these bytes have been read.
    pub read: u64,
}

/// The ring of a CPU.
#[derive(Debug, Clone)]
pub struct Ring {
    /// Virtual address of its `struct ring_buffer_per_cpu`.
    pub address: u64,
    /// Its CPU.
    pub cpu: u32,
    /// Its pages with something in them, in the order of time.
    pub pages: Vec<Page>,
    /// Virtual addresses of the data of all its pages, those without events too.
    pub all: Vec<u64>,
    /// Bytes of each page, its header included.
    pub page_bytes: u64,
    /// Events that were ever written.
    pub written: u64,
    /// Events that were overwritten before anybody read them.
    pub overrun: u64,
    /// Events that found no room, or no chance to be written; `None` where that cannot be read.
    pub dropped: Option<u64>,
    /// Events that were read.
    pub read: u64,
    /// What of its pages could not be read.
    pub errors: Vec<Error>,
}

/// More pages than any ring has: 64 GB of them.
const MAX_PAGES: u64 = 1 << 24;
/// RB_PAGE_HEAD: of the link that leads to the oldest page.
const HEAD: u64 = 1;
/// RB_FLAG_MASK.
const MARKS: u64 = 3;
/// RB_MISSED_EVENTS and RB_MISSED_STORED, in `commit`; the length is below.
const COMMITTED: u64 = (1 << 30) - 1;

impl Ring {
    /// The ring at an address, with pages of `1 << order` page frames.
    pub(super) fn at(kernel: &Kernel, cpu: u32, address: u64, order: u32) -> Result<Ring> {
        let (target, shapes) = (kernel.target(), kernel.shapes());
        let ring = shapes.cpu_ring.at(target, address);
        let (reader, commit, tail) = (ring.reader_page()?, ring.commit_page()?, ring.tail_page()?);
        let (entries, overrun) = (ring.entries()?, ring.overrun()?);
        let dropped = or_missing(ring.dropped(), 0)
            .and_then(|dropped| Ok(dropped.saturating_add(or_missing(ring.commit_overrun(), 0)?)));
        let mut found = Ring {
            address,
            cpu,
            pages: Vec::new(),
            all: Vec::new(),
            page_bytes: target.page_size() << order,
            written: entries,
            overrun,
            dropped: None,
            read: ring.read()?,
            errors: Vec::new(),
        };
        match dropped {
            Ok(dropped) => found.dropped = Some(dropped),
            Err(error) => found.errors.push(error),
        }
        let (around, head) = found.around(kernel, ring.pages()?, ring.page_count()?)?;
        let head = match head {
            Some(head) => head,
            None => {
                let named = ring.head_page()?;
                around.iter().position(|page| *page == named).unwrap_or(0)
            }
        };
        let mut unread = Vec::new();
        unread.extend(found.page(kernel, reader, false));
        let mut consumed = reader == commit;
        // Pages between the one that is committed and the one that is written hold what was not
        // finished.
        let mut unfinished = reader == commit && reader != tail;
        for page in around[head..].iter().chain(&around[..head]) {
            if unfinished {
                unfinished = *page != tail;
                continue;
            }
            let read = found.page(kernel, *page, consumed);
            match consumed {
                true => found.pages.extend(read),
                false => unread.extend(read),
            }
            if *page == commit {
                consumed = true;
                unfinished = *page != tail;
            }
        }
        found.pages.extend(unread);
        found.date(kernel);
        Ok(found)
    }

    /// Gives pages without a time the latest one that they can have.
    fn date(&mut self, kernel: &Kernel) {
        if self.pages.iter().all(|page| page.exact) {
            self.pages.sort_by_key(|page| page.time);
            return;
        }
        let mut next = None;
        for page in self.pages.iter_mut().rev() {
            if !page.exact {
                let data = super::event::page_data(kernel, page, self.page_bytes);
                let lasts = data.map_or(0, |data| {
                    super::record::Records::new(&data, 0).last().map_or(0, |last| last.time)
                });
                page.time = next.unwrap_or(u64::MAX).saturating_sub(lasts);
            }
            next = Some(page.time);
        }
    }

    /// The pages of the ring in its order, and which of them is the head.
    fn around(
        &mut self,
        kernel: &Kernel,
        first: u64,
        count: u64,
    ) -> Result<(Vec<u64>, Option<usize>)> {
        let target = kernel.target();
        let link = kernel.shapes().buffer_page.list.offset()?;
        let (mut pages, mut seen) = (Vec::new(), HashSet::new());
        let (mut head, mut at, mut marked) = (None, first & !MARKS, false);
        while pages.len() as u64 <= count.min(MAX_PAGES) && seen.insert(at) {
            if marked {
                head = Some(pages.len());
            }
            pages.push(at.wrapping_sub(link));
            match target.read_u64(at) {
                Ok(next) => (at, marked) = (next & !MARKS, next & MARKS == HEAD),
                Err(fault) => {
                    self.errors.push(fault.into());
                    break;
                }
            }
        }
        // The mark may be on the link that leads back to where the walk began.
        if marked && head.is_none() && at == first & !MARKS {
            head = Some(0);
        }
        Ok((pages, head))
    }

    /// A page, if there is something in it.
    fn page(&mut self, kernel: &Kernel, page: u64, consumed: bool) -> Option<Page> {
        let (target, shapes) = (kernel.target(), kernel.shapes());
        let mut read = || -> Result<Option<Page>> {
            let page = shapes.buffer_page.at(target, page);
            let address = page.page()?;
            self.all.push(address);
            let data = shapes.buffer_data_page.at(target, address);
            let (time, committed, read) = (data.time()?, data.commit()? & COMMITTED, page.read()?);
            // A reader takes the length away and leaves how far it came.
            let (length, read) = match consumed {
                true if committed > 0 => (Some(committed), committed),
                true if read > 0 => (Some(read), read),
                true => (None, u64::MAX),
                false => (Some(committed), read.min(committed)),
            };
            let first = target.read_u32(data.address_of(|data| &data.data)?)?;
            let empty = length == Some(0) || (length.is_none() && (time == 0 || first == 0));
            Ok((!empty).then_some(Page { address, time, exact: time != 0, length, read }))
        };
        read().map_err(|error| self.errors.push(error)).ok().flatten()
    }

    /// Events that nobody has read.
    pub fn unread(&self) -> u64 {
        self.written.saturating_sub(self.overrun).saturating_sub(self.read)
    }
}
