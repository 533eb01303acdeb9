//! Faults are values: why a piece of memory could not be read.

use std::fmt;

/// What kind of address a [`Fault`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Machine physical memory.
    Physical,
    /// Kernel virtual memory.
    Kernel,
    /// A user address space.
    User,
}

/// Why memory could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The frame existed; the dump filter left it out.
    Excluded,
    /// The dump has no such frame: a memory hole, a part of a split set that was not given, or
    /// an ELF segment whose file size is smaller than its memory size.
    NotSaved,
    /// The frame's data would lie beyond the end of the file.
    Truncated,
    /// The file contradicts itself: a page does not decompress, a descriptor is impossible.
    Corrupt,
    /// No translation: the page-table entry at `level` (1 = last level) is not present.
    NotMapped {
        /// Page-table level, counted from the leaf: 1 = PTE, 2 = PMD, 3 = PUD, 4 = P4D/PGD, 5 = PGD.
        level: u8,
    },
    /// The page table needed at `level` could not itself be read.
    NoTable {
        /// Page-table level, counted from the leaf.
        level: u8,
    },
    /// The page-table entry holds a swap entry.
    Swapped {
        /// Swap device number.
        device: u8,
        /// Offset on it, in pages.
        offset: u64,
    },
    /// No such address can exist on this architecture, or none of this space.
    BadAddress,
}

impl Reason {
    /// The stable name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Excluded => "excluded",
            Reason::NotSaved => "not_saved",
            Reason::Truncated => "truncated",
            Reason::Corrupt => "corrupt",
            Reason::NotMapped { .. } => "not_mapped",
            Reason::NoTable { .. } => "no_page_table",
            Reason::Swapped { .. } => "swapped",
            Reason::BadAddress => "bad_address",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Excluded => f.write_str("page excluded by the dump filter"),
            Reason::NotSaved => f.write_str("not saved in the dump"),
            Reason::Truncated => f.write_str("beyond the end of the dump file"),
            Reason::Corrupt => f.write_str("corrupt page in the dump file"),
            Reason::NotMapped { level } => write!(f, "not mapped (level {level})"),
            Reason::NoTable { level } => write!(f, "page table of level {level} not readable"),
            Reason::Swapped { device, offset } => {
                write!(f, "swapped out (device {device}, offset {offset:#x})")
            }
            Reason::BadAddress => f.write_str("not a valid address"),
        }
    }
}

/// A failed read: the first address that could not be read, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// First byte that could not be read, in `space`.
    pub address: u64,
    /// Which address space `address` belongs to.
    pub space: Space,
    /// Why.
    pub reason: Reason,
}

impl Fault {
    /// A fault of physical memory.
    pub fn physical(address: u64, reason: Reason) -> Self {
        Fault { address, space: Space::Physical, reason }
    }
    /// A fault of kernel virtual memory.
    pub fn kernel(address: u64, reason: Reason) -> Self {
        Fault { address, space: Space::Kernel, reason }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = match self.space {
            Space::Physical => "physical",
            Space::Kernel => "kernel virtual",
            Space::User => "user virtual",
        };
        write!(f, "{}: {space} address {:x}", self.reason, self.address)
    }
}

impl std::error::Error for Fault {}

/// What every reader returns.
pub type Read<T> = Result<T, Fault>;
