//! A kernel's address space: pages that appear where something is written.

use std::collections::BTreeMap;

pub(super) const PAGE: u64 = 4096;

/// Pages by number, each with the frame it lies in.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pages: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

impl Memory {
    pub(super) fn new(heap: u64) -> Memory {
        Memory { pages: BTreeMap::new(), next: heap }
    }

    /// Room for an object, on a boundary of 64 bytes.
    pub(super) fn room(&mut self, size: u64) -> u64 {
        let at = self.next;
        self.next = (at + size).next_multiple_of(64);
        self.put(at, &vec![0; size as usize]);
        at
    }

    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let here = at + done as u64;
            let offset = (here % PAGE) as usize;
            let n = (PAGE as usize - offset).min(bytes.len() - done);
            let page = self.pages.entry(here / PAGE).or_insert_with(|| vec![0; PAGE as usize]);
            page[offset..offset + n].copy_from_slice(&bytes[done..done + n]);
            done += n;
        }
    }

    pub(super) fn word(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) -> u64 {
        let at = self.room(text.len() as u64 + 1);
        self.put(at, text.as_bytes());
        at
    }

    pub(super) fn pages(&self) -> impl Iterator<Item = (u64, &Vec<u8>)> {
        self.pages.iter().map(|(&page, bytes)| (page, bytes))
    }
}
