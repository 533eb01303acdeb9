//! arch/x86/include/asm/e820/types.h

shapes! {
    /// The firmware's map of memory.
    E820Table = "e820_table" {
        count: "nr_entries",
        entries: "entries",
    }
    /// A range of it.
    E820Entry = "e820_entry" {
        address: "addr",
        size_: "size",
        kind: "type",
    }
}
