//! Who has the memory.

use necropsy_rows::{Hex, Perhaps, row};

use super::locks::TaskRef;

row! {
    /// What a part of RAM is used for.
    #[derive(Debug)]
    pub struct UsageRow {
        /// `free`, `free_of_cpus` (free pages that CPUs keep), `anonymous`, `shmem`, `file`, `buffers`,
        /// `slab`, `large_kmalloc`, `page_tables`, `stacks`, `vmalloc`, `modules`, `per_cpu`, `hugetlb`, `trace`,
        /// `page_pool`, `zsmalloc`, `offline`, `kernel_image`, `memory_map`, `crash_kernel`,
        /// `reserved` (taken at boot), `unknown` (given out, and nobody tells for what),
        /// `not_in_dump`; `total`.
        pub used: &'static str [key "use"] => "USE" left 14,
        /// Page frames, counted one by one.
        pub frames: u64 [pages] => "PAGES" right 10,
        /// The same in kilobytes.
        pub kb: u64 [KiB] => "KB" right 12,
        /// Share of all RAM.
        pub percent: f64 [percent] => "SHARE%" right 7,
        /// What the kernel's own counter says, which lags a little behind; `null` for uses that it does
        /// not count.
        pub counter: Perhaps<u64> [pages] => "COUNTER" right 10,
    }

    /// A task with much memory.
    #[derive(Debug)]
    pub struct MemoryTaskRow {
        /// The task: the leader of its threads.
        pub memory_of: TaskRef,
        /// What it has in memory.
        pub rss_kb: u64 [KiB],
    }

    /// A slab cache with much memory.
    #[derive(Debug)]
    pub struct MemorySlabRow {
        /// Its `kmem_cache`.
        pub kmem_cache: Hex,
        /// Its name.
        pub cache: Option<String>,
        /// What its slabs take.
        pub kb: u64 [KiB],
    }

    /// A file with much memory.
    #[derive(Debug)]
    pub struct MemoryFileRow {
        /// Its `address_space`.
        pub mapping: Hex,
        /// Its inode.
        pub inode: Hex,
        /// `file`, `shmem` or `buffers`.
        pub used: &'static str [key "use"],
        /// The kind of file system.
        pub file_system: Option<String>,
        /// Its path within that; `null` where it has no name in memory.
        pub path: Option<String>,
        /// What it has in memory.
        pub kb: u64 [KiB],
    }

    /// Who asked for areas of vmalloc.
    #[derive(Debug)]
    pub struct MemoryAreaRow {
        /// The function.
        pub caller: String,
        /// Its areas.
        pub areas: u64,
        /// What they take.
        pub kb: u64 [KiB],
    }
}
