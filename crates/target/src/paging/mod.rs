//! Page-table walks: one format a file, all behind [`PagingFormat`].
//!
//! A walk reads one entry a level through a reader of physical memory and keeps every step, so
//! that `vtop` can show the whole way and a fault names its level.

mod x86_64;

use necropsy_dump::{Read, Reason};

/// How virtual addresses are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PagingFormat {
    /// x86_64 with 4 or 5 levels (arch/x86/include/asm/pgtable_64_types.h).
    X86_64 {
        /// 4, or 5 with LA57.
        levels: u8,
        /// Bits cleared from every entry: the memory-encryption bit (SME, SEV).
        mask: u64,
    },
}

/// One entry that a walk read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// 1 = the last level (PTE).
    pub level: u8,
    /// Physical address of the entry.
    pub entry: u64,
    /// Its value.
    pub value: u64,
}

/// Where a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Physical address of the byte asked for.
    pub physical: u64,
    /// Bytes of the page or block it lies in.
    pub page_size: u64,
    /// The leaf entry.
    pub entry: u64,
}

/// A finished walk: at most six steps, and where they led.
#[derive(Debug, Clone)]
pub struct Walk {
    steps: [Step; 6],
    len: usize,
    /// The mapping, or why there is none.
    pub end: Result<Mapping, Reason>,
}

impl Walk {
    fn new() -> Self {
        let none = Step { level: 0, entry: 0, value: 0 };
        Walk { steps: [none; 6], len: 0, end: Err(Reason::BadAddress) }
    }

    fn push(&mut self, level: u8, entry: u64, value: u64) {
        if let Some(slot) = self.steps.get_mut(self.len) {
            *slot = Step { level, entry, value };
            self.len += 1;
        }
    }

    /// The entries read, from the root on.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

/// Reads the `size`-byte page-table entry at a physical address, in host order.
pub type ReadEntry<'a> = &'a dyn Fn(u64, u32) -> Read<u64>;

impl PagingFormat {
    /// Walks the tables at physical address `root` for `address`.
    pub fn walk(self, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
        match self {
            PagingFormat::X86_64 { levels, mask } => {
                x86_64::walk(levels, mask, root, address, read)
            }
        }
    }
}
