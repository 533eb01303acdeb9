//! What an address can be, by where it lies.

/// The part of the address space that an address lies in, on one machine with its paging in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AddressClass {
    /// Of a process.
    User,
    /// The processor accepts no such address: neither of user space nor of the kernel.
    NonCanonical,
    /// The kernel's map of all physical memory.
    DirectMap,
    /// vmalloc and ioremap, stacks of kernels with `VMAP_STACK` among them.
    Vmalloc,
    /// The array of `struct page`.
    Vmemmap,
    /// vmlinux.
    KernelImage,
    /// Code and data of modules.
    Modules,
    /// Mappings at addresses that are fixed when the kernel is built.
    Fixmap,
    /// The kernel's, and none of those above as far as is known.
    Kernel,
}

impl AddressClass {
    /// Whether the kernel may use it.
    pub fn is_kernel(self) -> bool {
        !matches!(self, AddressClass::User | AddressClass::NonCanonical)
    }

    /// Whether the processor accepts it.
    pub fn is_canonical(self) -> bool {
        self != AddressClass::NonCanonical
    }

    /// The stable name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            AddressClass::User => "user",
            AddressClass::NonCanonical => "non-canonical",
            AddressClass::DirectMap => "direct-map",
            AddressClass::Vmalloc => "vmalloc",
            AddressClass::Vmemmap => "vmemmap",
            AddressClass::KernelImage => "kernel-image",
            AddressClass::Modules => "modules",
            AddressClass::Fixmap => "fixmap",
            AddressClass::Kernel => "kernel",
        }
    }
}
