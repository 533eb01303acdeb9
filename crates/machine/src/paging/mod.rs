//! Page-table walks: one format a file, all behind [`PagingFormat`].
//!
//! A walk reads one entry a level through a reader of physical memory and keeps every step, so
//! that `vtop` can show the whole way and a fault names its level.

mod aarch64;
mod arm;
pub(crate) mod hash;
mod ia32;
mod pfn;
mod ppc64;
mod radix;
mod riscv64;
mod s390x;
mod x86_64;

use necropsy_dump::{Dump, PhysicalMemory, Read, Reason};

use crate::protection::Protection;

/// The widths of a virtual address's parts in bits: the page offset, then the index of each table
/// level from the last (PTE) to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    bits: [u8; 7],
    len: u8,
}

impl Fields {
    /// From widths; `None` when there are none, too many, or more than 64 bits in all.
    pub fn new(widths: &[u8]) -> Option<Fields> {
        let total: u32 = widths.iter().map(|&w| u32::from(w)).sum();
        if widths.len() < 2 || widths.len() > 7 || total > 64 || widths.iter().any(|w| *w >= 32) {
            return None;
        }
        let mut bits = [0; 7];
        bits[..widths.len()].copy_from_slice(widths);
        Some(Fields { bits, len: widths.len() as u8 })
    }

    /// Number of table levels.
    pub fn levels(&self) -> u8 {
        self.len - 1
    }

    /// Bits below the index of a level: log2 of what one of its entries maps.
    pub fn shift(&self, level: u8) -> u32 {
        self.bits[..usize::from(level)].iter().map(|&w| u32::from(w)).sum()
    }

    /// Bits of a whole virtual address.
    pub fn total(&self) -> u32 {
        self.shift(self.len)
    }

    /// The index of an address into the table of a level.
    pub fn index(&self, level: u8, address: u64) -> u64 {
        let width = u32::from(self.bits[usize::from(level)]);
        address.checked_shr(self.shift(level)).unwrap_or(0) & ((1 << width) - 1)
    }

    /// The bits of an address above all fields, shifted down with their sign.
    pub fn above(&self, address: u64) -> i64 {
        if self.total() >= 64 { 0 } else { address as i64 >> self.total() }
    }

    /// Whether the bits above the fields repeat the topmost one.
    pub fn sign_extended(&self, address: u64) -> bool {
        let top = address as i64 >> (self.total() - 1).min(63);
        top == 0 || top == -1
    }
}

/// How wide physical addresses are stored in aarch64 descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lpa {
    /// 48 bits.
    None,
    /// FEAT_LPA with 64 KiB pages: bits 51:48 in descriptor bits 15:12.
    Lpa,
    /// FEAT_LPA2 with 4 or 16 KiB pages: bits 51:50 in descriptor bits 9:8.
    Lpa2,
}

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
    /// i386 with two levels of 4-byte entries.
    Ia32,
    /// i386 with PAE.
    Ia32Pae,
    /// arm short descriptors.
    Arm,
    /// aarch64 with any granule.
    Aarch64 {
        /// Page offset and index widths.
        fields: Fields,
        /// Physical address width.
        lpa: Lpa,
    },
    /// riscv64: Sv39 (3 levels), Sv48 (4), Sv57 (5).
    Riscv64 {
        /// Table levels.
        levels: u8,
    },
    /// s390x with 2 to 5 levels.
    S390x {
        /// Table levels, page tables included.
        levels: u8,
    },
    /// ppc64 Linux, hash MMU since 4.6: directories of physical addresses.
    Ppc64Hash {
        /// Page offset and index widths.
        fields: Fields,
    },
    /// The same before: directories of kernel virtual addresses, frame number from bit 30.
    Ppc64Rpn30 {
        /// Page offset and index widths.
        fields: Fields,
    },
    /// ppc64 Linux, radix MMU (Power ISA 3.0, book III 6.7.10).
    Ppc64Radix {
        /// Page offset and index widths.
        fields: Fields,
    },
    /// Tables of page frame numbers.
    Pfn {
        /// Bytes of an entry, 4 or 8.
        entry_size: u32,
        /// Page offset and index widths.
        fields: Fields,
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

    /// Reads the entry of a level, keeping the step.
    fn read(&mut self, level: u8, entry: u64, size: u32, read: ReadEntry<'_>) -> Option<u64> {
        match read(entry, size) {
            Ok(value) => {
                self.push(level, entry, value);
                Some(value)
            }
            Err(_) => {
                self.end = Err(Reason::NoTable { level });
                None
            }
        }
    }

    fn stop(mut self, level: u8) -> Walk {
        self.end = Err(Reason::NotMapped { level });
        self
    }

    /// Ends at a page of `1 << shift` bytes whose physical base is `base`.
    fn map(mut self, base: u64, shift: u32, address: u64, entry: u64) -> Walk {
        let offset = (1u64 << shift) - 1;
        self.end = Ok(Mapping {
            physical: (base & !offset) | (address & offset),
            page_size: 1 << shift,
            entry,
        });
        self
    }

    /// The entries read, from the root on.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

/// Reads the `size`-byte page-table entry at a physical address, in host order.
pub type ReadEntry<'a> = &'a dyn Fn(u64, u32) -> Read<u64>;

impl PagingFormat {
    /// log2 of the size of the smallest page.
    pub fn page_shift(self) -> u32 {
        match self {
            PagingFormat::Aarch64 { fields, .. }
            | PagingFormat::Ppc64Rpn30 { fields }
            | PagingFormat::Ppc64Hash { fields }
            | PagingFormat::Ppc64Radix { fields }
            | PagingFormat::Pfn { fields, .. } => fields.shift(1),
            _ => 12,
        }
    }

    /// log2 of what an entry of the last level but one maps: of a transparent huge page, in bytes
    /// (PMD_SHIFT).
    pub fn huge_shift(self) -> u32 {
        match self {
            PagingFormat::Aarch64 { fields, .. }
            | PagingFormat::Ppc64Rpn30 { fields }
            | PagingFormat::Ppc64Hash { fields }
            | PagingFormat::Ppc64Radix { fields }
            | PagingFormat::Pfn { fields, .. } => fields.shift(2),
            // Entries of 4 bytes: 1024 to a page.
            PagingFormat::Ia32 => 22,
            PagingFormat::S390x { .. } | PagingFormat::Arm => 20,
            PagingFormat::X86_64 { .. } | PagingFormat::Ia32Pae | PagingFormat::Riscv64 { .. } => {
                21
            }
        }
    }

    /// The names of the flags that are set in an entry which maps a page of `page_size` bytes, as
    /// crash prints them. Empty for formats whose flags are not known here.
    pub fn entry_flags(self, value: u64, page_size: u64) -> Vec<&'static str> {
        match self {
            PagingFormat::X86_64 { .. } => x86_64::flags(value, page_size),
            PagingFormat::Aarch64 { lpa, .. } => aarch64::flags(lpa, value),
            PagingFormat::Riscv64 { .. } => riscv64::flags(value),
            PagingFormat::S390x { .. } => s390x::flags(value),
            PagingFormat::Ppc64Radix { .. } | PagingFormat::Ppc64Hash { .. } => radix::flags(value),
            _ => Vec::new(),
        }
    }

    /// What the entries of a walk allow the kernel; `None` for formats whose flags are not known
    /// here, and where a table could not be read.
    pub fn protection(self, walk: &Walk) -> Option<Protection> {
        match self {
            PagingFormat::X86_64 { .. } => x86_64::protection(walk),
            _ => None,
        }
    }

    /// What a last-level entry maps without further tables: the physical address of its page, or
    /// why there is none (a swap entry, no entry at all).
    ///
    /// # Errors
    /// [`Reason::Swapped`] and [`Reason::NotMapped`]; [`Reason::BadAddress`] for formats whose
    /// entries are not known here.
    pub fn entry_target(self, value: u64) -> Result<u64, Reason> {
        match self {
            PagingFormat::X86_64 { mask, .. } => x86_64::target(value & !mask),
            PagingFormat::Aarch64 { fields, lpa } => aarch64::target(&fields, lpa, value),
            PagingFormat::Riscv64 { .. } => riscv64::target(value),
            PagingFormat::S390x { .. } => s390x::target(value),
            PagingFormat::Ppc64Radix { .. } => radix::target(value),
            PagingFormat::Ppc64Hash { .. } => hash::target(value),
            _ => Err(Reason::BadAddress),
        }
    }

    /// Whether the most significant byte of an entry comes first, whatever the kernel's own order.
    pub fn big_endian(self) -> bool {
        matches!(
            self,
            PagingFormat::S390x { .. }
                | PagingFormat::Ppc64Rpn30 { .. }
                | PagingFormat::Ppc64Hash { .. }
                | PagingFormat::Ppc64Radix { .. }
        )
    }

    /// [`PagingFormat::walk`] through the tables in `dump`, with frames as the kernel itself has
    /// them: the tables of paravirtual guests hold frames of the host.
    pub fn walk_memory(self, dump: &Dump, root: u64, address: u64) -> Walk {
        /// The frame in an entry of x86, the only one with such guests.
        const FRAME: u64 = 0x000f_ffff_ffff_f000;
        let big_endian = self.big_endian();
        let is_x86_64 = matches!(self, PagingFormat::X86_64 { .. });
        self.walk(root, address, &|at, size| {
            let mut bytes = [0; 8];
            let n = (size as usize).min(8);
            dump.read(at, &mut bytes[..n])?;
            if big_endian {
                bytes[..n].reverse();
            }
            let entry = u64::from_le_bytes(bytes);
            let frame = (entry & FRAME) >> 12;
            match is_x86_64 && frame != 0 && entry & 1 != 0 {
                true => Ok(entry & !FRAME | (dump.frame_of_entry(frame) << 12) & FRAME),
                false => Ok(entry),
            }
        })
    }

    /// Where the tables in `dump` lead from `address`: a physical address, if any.
    pub fn find(self, dump: &Dump, root: u64, address: u64) -> Option<u64> {
        self.walk_memory(dump, root, address).end.map(|mapping| mapping.physical).ok()
    }

    /// Walks the tables at physical address `root` for `address`.
    pub fn walk(self, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
        match self {
            PagingFormat::X86_64 { levels, mask } => {
                x86_64::walk(levels, mask, root, address, read)
            }
            PagingFormat::Ia32 => ia32::walk(root, address, read),
            PagingFormat::Ia32Pae => ia32::walk_pae(root, address, read),
            PagingFormat::Arm => arm::walk(root, address, read),
            PagingFormat::Aarch64 { fields, lpa } => {
                aarch64::walk(&fields, lpa, root, address, read)
            }
            PagingFormat::Riscv64 { levels } => riscv64::walk(levels, root, address, read),
            PagingFormat::S390x { levels } => s390x::walk(levels, root, address, read),
            PagingFormat::Ppc64Rpn30 { fields } => ppc64::walk(&fields, root, address, read),
            PagingFormat::Ppc64Hash { fields } => hash::walk(&fields, root, address, read),
            PagingFormat::Ppc64Radix { fields } => radix::walk(&fields, root, address, read),
            PagingFormat::Pfn { entry_size, fields } => {
                pfn::walk(&fields, entry_size, root, address, read)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Lpa, PagingFormat};

    #[test]
    fn huge_pages_are_as_large_as_the_tables_say() {
        let order = |paging: PagingFormat| paging.huge_shift() - paging.page_shift();
        let fields = |widths: &[u8]| Fields::new(widths).unwrap();
        assert_eq!(order(PagingFormat::X86_64 { levels: 4, mask: 0 }), 9);
        assert_eq!(order(PagingFormat::S390x { levels: 3 }), 8);
        let granule = |widths| PagingFormat::Aarch64 { fields: fields(widths), lpa: Lpa::None };
        assert_eq!(order(granule(&[14, 11, 11, 11])), 11);
        // Radix tables of 64 KiB pages: 32 entries in the last.
        let fields = fields(&[16, 5, 9, 9, 13]);
        assert_eq!(order(PagingFormat::Ppc64Radix { fields }), 5);
    }
}
