//! The way through a tree of slots.

use std::fmt;

/// More levels than any tree of the kernel has; both walkers stop earlier.
const MAX_DEPTH: usize = 32;

/// The slots that lead from the root to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Path {
    slots: [u8; MAX_DEPTH],
    depth: usize,
}

impl Path {
    /// Slot numbers, the root's first.
    pub fn slots(&self) -> &[u8] {
        &self.slots[..self.depth]
    }

    /// How many levels it goes down.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// One level further down.
    pub(crate) fn then(mut self, slot: u64) -> Path {
        if let Some(place) = self.slots.get_mut(self.depth) {
            *place = slot as u8;
            self.depth += 1;
        }
        self
    }
}

/// `root/1/26`
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root")?;
        self.slots().iter().try_for_each(|slot| write!(f, "/{slot}"))
    }
}
