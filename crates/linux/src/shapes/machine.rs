//! arch/x86/include/asm/e820/types.h

shapes! {
    /// The firmware's map of memory.
    E820Table = "e820_table" for mach {
        count: "nr_entries",
        entries: "entries",
    }
    /// A range of it.
    E820Entry = "e820_entry" for mach {
        address: "addr",
        size: "size",
        kind: "type",
    }
}
