//! Arenas (`sys/vmem_impl.h`).

use hashbrown::HashMap;

use crate::{Kernel, Result, list::Walk};

/// An arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    /// Address of its `vmem_t`.
    pub address: u64,
    /// Its name.
    pub name: String,
    /// How many arenas its memory comes through.
    pub depth: usize,
    /// Bytes in use.
    pub inuse: u64,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that came from its source.
    pub import: u64,
    /// Allocations that succeeded.
    pub alloc: u64,
    /// Allocations that failed.
    pub fail: u64,
}

impl Kernel {
    /// Addresses of all arenas, each behind its source, with its depth.
    pub fn arenas(&self) -> (Vec<(u64, usize)>, Walk) {
        let shape = &self.shapes().vmem;
        let walk = match self.pointer("vmem_list") {
            Ok(first) => Walk::follow(first, |_| false, |at| shape.next.get(self, at)),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        };
        let mut children: HashMap<u64, Vec<u64>> = HashMap::new();
        for &at in &walk.found {
            let source = shape.source.get(self, at).unwrap_or(0);
            // One whose source is no arena of the list stands at the root.
            let source = if walk.found.contains(&source) { source } else { 0 };
            children.entry(source).or_default().push(at);
        }
        let mut order = Vec::new();
        let mut waiting: Vec<(u64, usize)> =
            children.remove(&0).unwrap_or_default().into_iter().rev().map(|at| (at, 0)).collect();
        while let Some((at, depth)) = waiting.pop() {
            order.push((at, depth));
            let below = children.remove(&at).unwrap_or_default();
            waiting.extend(below.into_iter().rev().map(|at| (at, depth + 1)));
        }
        (order, walk)
    }

    /// An arena by its address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn arena(&self, address: u64, depth: usize) -> Result<Arena> {
        let shape = &self.shapes().vmem;
        Ok(Arena {
            address,
            name: shape.name.text(self, address)?,
            depth,
            inuse: shape.inuse.get(self, address)?,
            total: shape.total.get(self, address)?,
            import: shape.import.get(self, address)?,
            alloc: shape.alloc.get(self, address)?,
            fail: shape.fail.get(self, address)?,
        })
    }

    /// The segments of an arena by address.
    pub fn arena_segments(&self, arena: u64) -> Walk {
        let shapes = self.shapes();
        let seg0 = match shapes.vmem.seg0.at(arena) {
            Ok(at) => at,
            Err(error) => return Walk { found: Vec::new(), problem: Some(error) },
        };
        let next = |at: u64| shapes.vmem_seg.anext.get(self, at);
        match next(seg0) {
            Ok(first) => Walk::follow(first, |at| at == seg0, next),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }
}
