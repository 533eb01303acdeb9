//! Memory and addresses.

use super::files::VmaRow;
use necropsy_rows::{Hex, row};

use super::tasks::Header;

row! {
    /// Memory, as much as one line of text shows.
    #[derive(Debug)]
    pub struct MemoryRow {
        /// Where it lies.
        pub address: Hex,
        /// The words.
        pub values: Vec<Hex> [maybe],
        /// The symbol or slab cache that each word leads to (`-s`, `-S`).
        pub symbols: Vec<Option<String>> [maybe],
        /// As characters.
        pub text: Option<String> [maybe],
    }

    /// Memory that was written to a file (`rd -r`).
    #[derive(Debug)]
    pub struct CopiedRow {
        /// Where it begins.
        pub address: Hex,
        /// How much of it.
        pub bytes: u64 [bytes],
        /// The file.
        pub file: String,
    }

    /// A place where something was found.
    #[derive(Debug)]
    pub struct FoundRow {
        /// Where it lies: in the direct map, or (`-p`) in physical memory.
        pub address: Hex,
        /// The word.
        pub value: Option<Hex>,
        /// What stands there, when text was searched for.
        pub text: Option<String>,
        /// What lies there, in words (`-n`).
        pub about: Option<String> [maybe],
        /// Words before it (`-x`).
        pub before: Option<Vec<Hex>> [maybe],
        /// Words behind it (`-x`).
        pub after: Option<Vec<Hex>> [maybe],
    }

    /// A place on a task's stack where something was found (`search -t`).
    #[derive(Debug)]
    pub struct FoundOnStackRow {
        /// The task.
        pub header: Header [flat],
        /// Where it lies.
        pub address: Hex,
        /// The word.
        pub value: Hex,
    }

    /// A step of a page walk.
    #[derive(Debug)]
    pub struct StepRow {
        /// The table: PGD, P4D, PUD, PMD or PTE.
        pub level: &'static str,
        /// Physical address of the entry.
        pub entry: Hex,
        /// The entry.
        pub value: Hex,
    }

    /// What a virtual address is mapped to.
    #[derive(Debug)]
    pub struct MappingRow {
        /// The virtual address.
        pub virtual_address: Hex,
        /// The physical one.
        pub physical: Option<Hex>,
        /// Kernel virtual address of the root table.
        pub root: Option<Hex>,
        /// The tables on the way.
        pub steps: Vec<StepRow>,
        /// Size of the page.
        pub page_size: Option<u64> [bytes],
        /// Flags of the last entry: PRESENT, RW, …
        pub flags: Vec<&'static str>,
        /// The `struct page` of the frame.
        pub page: Option<Hex>,
        /// What is known of that page.
        pub page_facts: Option<PageRow> [maybe],
        /// The mapping of the process that the address is in.
        pub vma: Option<VmaRow> [maybe],
        /// Why there is no physical address.
        pub reason: Option<&'static str> [maybe],
    }

    /// A page-table entry.
    #[derive(Debug)]
    pub struct EntryRow {
        /// The entry.
        pub value: Hex,
        /// The page that it maps.
        pub physical: Option<Hex>,
        /// Its flags: PRESENT, RW, …
        pub flags: Vec<&'static str>,
        /// The swap device that has the page.
        pub swap_device: Option<u8>,
        /// Where on it.
        pub swap_offset: Option<u64> [pages],
    }

    /// A page of memory, as its `struct page` tells.
    #[derive(Debug)]
    pub struct PageRow {
        /// Its `struct page`.
        pub page: Hex,
        /// Its physical address.
        pub physical: Hex,
        /// Its `struct address_space`, or `struct anon_vma` with a mark.
        pub mapping: Option<Hex>,
        /// Where in what it maps, in pages.
        pub index: Option<Hex> [pages],
        /// References to it.
        pub count: Option<i64>,
        /// Its flags, with the numbers of its zone and node.
        pub raw_flags: Hex,
        /// Names of those that are set.
        pub flags: Vec<&'static str>,
        /// What it is used for.
        pub used: &'static str,
    }

    /// A physical address and the virtual one by which the kernel reaches it.
    #[derive(Debug)]
    pub struct VirtualRow {
        /// The physical address.
        pub physical: Hex,
        /// Its address in the kernel's map of all memory.
        pub virtual_address: Hex,
    }

    /// Where a CPU has a per-CPU variable.
    #[derive(Debug)]
    pub struct PerCpuRow {
        /// The CPU.
        pub cpu: u32,
        /// The variable's offset.
        pub offset: Hex,
        /// Where it lies.
        pub virtual_address: Hex,
    }

    /// An address and its page.
    #[derive(Debug)]
    pub struct FrameNumberRow {
        /// The address.
        pub address: Hex,
        /// Page frame number.
        pub pfn: Hex,
    }
}
