//! Mappings of processes (include/linux/mm_types.h): a maple tree since 6.1, a list before.

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::chain,
    maple,
};

/// A mapping (`struct vm_area_struct`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vma {
    /// Virtual address of it.
    pub address: u64,
    /// First byte, in the process.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
    /// `VM_*`.
    pub flags: u64,
    /// Virtual address of the `struct file`; 0 for anonymous memory.
    pub file: u64,
    /// Where in the file it begins, in pages.
    pub page_offset: u64,
}

/// Flags of mappings (include/linux/mm.h). The names are today's; a few of the high bits meant
/// something else in kernels long gone.
pub const FLAGS: [(u64, &str); 30] = [
    (0x1, "READ"),
    (0x2, "WRITE"),
    (0x4, "EXEC"),
    (0x8, "SHARED"),
    (0x10, "MAYREAD"),
    (0x20, "MAYWRITE"),
    (0x40, "MAYEXEC"),
    (0x80, "MAYSHARE"),
    (0x100, "GROWSDOWN"),
    (0x200, "UFFD_MISSING"),
    (0x400, "PFNMAP"),
    (0x800, "DENYWRITE"),
    (0x1000, "UFFD_WP"),
    (0x2000, "LOCKED"),
    (0x4000, "IO"),
    (0x8000, "SEQ_READ"),
    (0x1_0000, "RAND_READ"),
    (0x2_0000, "DONTCOPY"),
    (0x4_0000, "DONTEXPAND"),
    (0x8_0000, "LOCKONFAULT"),
    (0x10_0000, "ACCOUNT"),
    (0x20_0000, "NORESERVE"),
    (0x40_0000, "HUGETLB"),
    (0x80_0000, "SYNC"),
    (0x200_0000, "WIPEONFORK"),
    (0x400_0000, "DONTDUMP"),
    (0x800_0000, "SOFTDIRTY"),
    (0x1000_0000, "MIXEDMAP"),
    (0x2000_0000, "HUGEPAGE"),
    (0x4000_0000, "NOHUGEPAGE"),
];

impl Kernel {
    /// The mappings of an address space (`struct mm_struct`) by address, and what could not be
    /// read.
    ///
    /// # Errors
    /// When the kernel keeps them in no way that is known, or the first cannot be read.
    pub fn mappings(&self, mm: u64) -> Result<(Vec<Vma>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let (mut vmas, mut errors) = (Vec::new(), Vec::new());
        let mut add = |at: Result<u64>| match at.and_then(|at| self.vma_at(at)) {
            Ok(vma) => vmas.push(vma),
            Err(error) => errors.push(error),
        };
        if shapes.mm_mappings.tree.exists() {
            let tree = shapes.mm_mappings.tree.address(mm)?;
            for entry in maple::entries(target, maple::Layout::of(self)?, tree) {
                add(entry.map(|entry| entry.raw));
            }
        } else {
            let first = shapes.mm_mappings.first.read(target, mm)?;
            if first != 0 {
                chain(target, first, shapes.vma.next.offset()?).for_each(add);
            }
        }
        Ok((vmas, errors))
    }

    /// The mapping at an address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn vma_at(&self, address: u64) -> Result<Vma> {
        let vma = self.shapes().vma.at(self.target(), address);
        Ok(Vma {
            address,
            start: vma.start()?,
            end: vma.end()?,
            flags: vma.flags()?,
            file: vma.file()?,
            page_offset: vma.page_offset()?,
        })
    }
}
