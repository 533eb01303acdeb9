//! What all of RAM is used for: every page frame is looked at once and counted by what it is.
//!
//! What a frame is for, its `struct page` tells of free memory, slabs, page tables, and memory of
//! processes and files. The rest is told by those who have it: areas of vmalloc, stacks, per-CPU
//! memory, the memory map itself, trace rings, lists of free pages that CPUs keep. What nobody claims
//! was given to the kernel by its page allocator, and nothing says what for: [`Use::Kernel`].

mod claims;
mod counters;
mod files;
mod ram;
mod scan;

pub use counters::Counted;
pub use files::FileUse;
pub use ram::{Ram, Range};

use std::collections::{BTreeMap, HashMap};

use crate::{Error, Kernel, error::Result};

/// What a page frame is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
    /// On the free lists of the page allocator.
    Free,
    /// Free, kept by a CPU.
    FreeOfCpu,
    /// Memory of processes that belongs to no file.
    Anonymous,
    /// Shared memory: tmpfs, System V segments.
    Shared,
    /// Pages of files.
    File,
    /// Pages of block devices: what `free` calls buffers.
    Buffers,
    /// Slabs.
    Slab,
    /// Objects too large for slabs (kmalloc), where the kernel marks them: since 6.14.
    Kmalloc,
    /// Page tables.
    PageTables,
    /// Stacks of tasks and interrupts.
    Stacks,
    /// Areas of vmalloc.
    Vmalloc,
    /// Code and data of modules.
    Modules,
    /// Per-CPU memory beyond what is made at boot.
    PerCpu,
    /// Huge pages of hugetlbfs.
    Huge,
    /// Rings of ftrace.
    Trace,
    /// Buffers of network cards (page_pool).
    PagePool,
    /// Compressed memory (zsmalloc).
    Compressed,
    /// Given back to the hypervisor, or taken offline.
    Offline,
    /// Given out by the page allocator, for what nobody tells: unknown.
    Kernel,
    /// The kernel's code and data.
    Image,
    /// `struct page`s.
    MemoryMap,
    /// For the capture kernel.
    CrashKernel,
    /// Taken at boot, before the page allocator: per-CPU memory of variables, hash tables, firmware.
    Reserved,
    /// The dump does not hold what describes it.
    NotInDump,
}

impl Use {
    /// All of them, in the order of a table.
    pub const ALL: [Use; 24] = [
        Use::Free,
        Use::FreeOfCpu,
        Use::Anonymous,
        Use::Shared,
        Use::File,
        Use::Buffers,
        Use::Slab,
        Use::Kmalloc,
        Use::PageTables,
        Use::Stacks,
        Use::Vmalloc,
        Use::Modules,
        Use::PerCpu,
        Use::Huge,
        Use::Trace,
        Use::PagePool,
        Use::Compressed,
        Use::Offline,
        Use::Kernel,
        Use::Image,
        Use::MemoryMap,
        Use::CrashKernel,
        Use::Reserved,
        Use::NotInDump,
    ];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Use::Free => "free",
            Use::FreeOfCpu => "free_of_cpus",
            Use::Anonymous => "anonymous",
            Use::Shared => "shmem",
            Use::File => "file",
            Use::Buffers => "buffers",
            Use::Slab => "slab",
            Use::Kmalloc => "large_kmalloc",
            Use::PageTables => "page_tables",
            Use::Stacks => "stacks",
            Use::Vmalloc => "vmalloc",
            Use::Modules => "modules",
            Use::PerCpu => "per_cpu",
            Use::Huge => "hugetlb",
            Use::Trace => "trace",
            Use::PagePool => "page_pool",
            Use::Compressed => "zsmalloc",
            Use::Offline => "offline",
            Use::Kernel => "unknown",
            Use::Image => "kernel_image",
            Use::MemoryMap => "memory_map",
            Use::CrashKernel => "crash_kernel",
            Use::Reserved => "reserved",
            Use::NotInDump => "not_in_dump",
        }
    }
}

/// All of RAM by use.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Frames of RAM.
    pub total: u64,
    /// Frames by use.
    pub frames: BTreeMap<Use, u64>,
    /// Pages of files and shared memory, by the `address_space` they are in.
    pub mappings: HashMap<u64, u64>,
    /// What was wrong on the way.
    pub errors: Vec<Error>,
}

impl Usage {
    /// Frames that are used for something.
    pub fn of(&self, used: Use) -> u64 {
        self.frames.get(&used).copied().unwrap_or(0)
    }
}

impl Kernel {
    /// What all of RAM is used for.
    ///
    /// # Errors
    /// The memory map, or the types that tell of it, are not known.
    pub fn usage(&self) -> Result<Usage> {
        let ram = self.ram()?;
        let mut errors = Vec::new();
        let claims = claims::Claims::of(self, &ram, &mut errors);
        let scan = scan::scan(self, &ram, &claims)?;
        let mut usage = Usage { total: ram.frames(), errors, ..Usage::default() };
        for (used, frames) in scan.frames {
            *usage.frames.entry(used).or_default() += frames;
        }
        for (mapping, frames) in scan.mappings {
            let kind = self.mapping_kind(mapping);
            *usage.frames.entry(kind.unwrap_or(Use::Kernel)).or_default() += frames;
            if kind.is_some() {
                usage.mappings.insert(mapping, frames);
            }
        }
        Ok(usage)
    }
}
