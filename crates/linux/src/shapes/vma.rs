//! include/linux/mm_types.h

shapes! {
    /// A mapping of a process.
    Vma = "vm_area_struct" for vm fuser {
        start: "vm_start",
        end: "vm_end",
        flags: "vm_flags",
        file: "vm_file",
        page_offset: "vm_pgoff",
        next: maybe "vm_next",                              // until 6.0
        mm: "vm_mm",
    }
    /// Where an address space keeps its mappings.
    MmMappings = "mm_struct" for vm fuser {
        tree: maybe "mm_mt",                                // 6.1
        first: maybe "mmap",
        exe: "exe_file",
    }
}
