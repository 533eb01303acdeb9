//! Objects of slab caches, and their neighbours, as detectors speak of them.

use std::sync::Arc;

use necropsy_linux::{Kernel, slub};

use crate::finding::Object;

/// An object of a slab cache around an address.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its cache.
    pub(crate) cache: Arc<slub::Cache>,
    /// Its slab.
    pub(crate) slab: slub::Slab,
    /// First byte.
    pub(crate) start: u64,
    /// Bytes from there to the address.
    pub(crate) offset: u64,
    /// Whether it is in use, where that is known.
    pub(crate) allocated: Option<bool>,
}

impl Place {
    /// The object that an address lies in; `None` for what lies in none.
    pub(crate) fn of(kernel: &Kernel, address: u64) -> Option<Place> {
        let found = kernel.slab_object(address).ok()??;
        let (start, offset) = (found.address?, u64::try_from(found.offset).ok()?);
        let allocated = found.state.allocated();
        Some(Place { cache: found.cache, slab: found.slab, start, offset, allocated })
    }

    /// The cache's name.
    pub(crate) fn cache_name(&self) -> String {
        self.cache.name.clone().unwrap_or_else(|| format!("the cache at {:x}", self.cache.address))
    }

    /// For a verdict.
    pub(crate) fn object(&self, member: Option<String>) -> Object {
        Object { address: self.start, cache: self.cache.name.clone(), member }
    }

    /// `object ffff… of slab cache kmalloc-64 (in use)`.
    pub(crate) fn words(&self) -> String {
        let state = match self.allocated {
            Some(true) => " (in use)",
            Some(false) => " (free)",
            None => "",
        };
        format!("object {:x} of slab cache {}{state}", self.start, self.cache_name())
    }

    /// Objects of the same slab that are in use, but for this one.
    pub(crate) fn peers<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = u64> + 'a {
        let held = kernel.held_of(&self.cache);
        let states = kernel.slab_states(&self.cache, &self.slab, &held);
        (0..self.slab.objects).filter_map(move |number| {
            let object = self.cache.nth(&self.slab, number);
            let used = states.of(number, object, &held).allocated() == Some(true);
            (used && object != self.start).then_some(object)
        })
    }
}

/// A run of memory that holds one byte over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The byte.
    pub(crate) byte: u8,
    /// First address.
    pub(crate) start: u64,
    /// One past the last.
    pub(crate) end: u64,
}

/// How far a run is followed each way.
const FAR: u64 = 64 << 10;

impl Run {
    /// The run of equal bytes around the word at `address`, if the word is made of one byte that
    /// is neither 0 nor all ones.
    pub(crate) fn around(kernel: &Kernel, address: u64) -> Option<Run> {
        let target = kernel.target();
        let word = target.read_u64(address).ok()?;
        let byte = word as u8;
        if word != u64::from_le_bytes([byte; 8]) || byte == 0 || byte == 0xff {
            return None;
        }
        let is = |at: u64| target.read_u8(at) == Ok(byte);
        let mut start = address;
        while address - start < FAR && is(start.wrapping_sub(1)) {
            start -= 1;
        }
        let mut end = address + 8;
        while end - address < FAR && is(end) {
            end += 1;
        }
        Some(Run { byte, start, end })
    }

    /// `24 bytes 0x4b ('K') from ffff… to ffff…`.
    pub(crate) fn words(&self) -> String {
        let char = char::from(self.byte);
        let shown = if char.is_ascii_graphic() { format!(" ({char:?})") } else { String::new() };
        let bytes = self.end - self.start;
        format!("{bytes} bytes {:#04x}{shown} from {:x} to {:x}", self.byte, self.start, self.end)
    }
}
