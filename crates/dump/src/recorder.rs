//! Remembers which frames were read: the way to a dump that holds only what a session needs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{Page, PhysicalMemory, Presence, Read};

/// Memory that remembers the frames that were read from it.
#[derive(Debug)]
pub struct Recorder<M> {
    memory: M,
    /// Frame number / 64 to the bits of the 64 frames.
    read: Mutex<BTreeMap<u64, u64>>,
}

impl<M: PhysicalMemory> Recorder<M> {
    /// Wraps `memory`; nothing has been read.
    pub fn new(memory: M) -> Self {
        Recorder { memory, read: Mutex::default() }
    }

    /// Whether the frame was read (with success) since the recorder was made.
    pub fn was_read(&self, pfn: u64) -> bool {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(&(pfn / 64)).is_some_and(|bits| bits & (1 << (pfn % 64)) != 0)
    }

    /// How many frames were read.
    pub fn count(&self) -> u64 {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.values().map(|bits| u64::from(bits.count_ones())).sum()
    }

    /// The memory that is recorded; what is read from it directly is not.
    pub fn inner(&self) -> &M {
        &self.memory
    }
}

impl<M: PhysicalMemory> PhysicalMemory for Recorder<M> {
    fn page_size(&self) -> u64 {
        self.memory.page_size()
    }
    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let page = self.memory.page(pfn)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read.entry(pfn / 64).or_default() |= 1 << (pfn % 64);
        Ok(page)
    }
    fn presence(&self, pfn: u64) -> Presence {
        self.memory.presence(pfn)
    }
    fn max_pfn(&self) -> u64 {
        self.memory.max_pfn()
    }
    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        self.memory.stored_run(from)
    }
    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        self.memory.memory_run(from)
    }
    fn frame_of_entry(&self, frame: u64) -> u64 {
        self.memory.frame_of_entry(frame)
    }
}
