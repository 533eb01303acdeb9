//! Memory: slab caches and their objects.

use necropsy_rows::{Hex, row};

row! {
    /// A slab cache (`kmem -s`).
    #[derive(Debug)]
    pub struct CacheRow {
        /// Its `struct kmem_cache`.
        pub cache: Hex,
        /// Its name.
        pub name: Option<String>,
        /// Size of an object, as its user has it.
        pub object_size: u64 [bytes],
        /// Bytes from one object to the next.
        pub stride: u64 [bytes],
        /// Objects in use; those that cannot be known to be free are among them.
        pub allocated: u64,
        /// Objects that there is room for.
        pub total: u64,
        /// Objects of which the dump does not tell whether they are in use.
        pub unknown: u64,
        /// Slabs.
        pub slabs: u64,
        /// Size of a slab of the usual order.
        pub slab_bytes: u64 [bytes],
        /// Caches that were merged into this one, itself included: where there are several, its
        /// name does not tell what the objects are.
        pub users: u64,
    }

    /// A slab (`kmem -S`).
    #[derive(Debug)]
    pub struct SlabRow {
        /// Its cache's `struct kmem_cache`.
        pub cache: Hex,
        /// The cache's name.
        pub name: Option<String>,
        /// Its `struct slab`, until 5.16 `struct page`.
        pub slab: Hex,
        /// Its first byte.
        pub memory: Hex,
        /// The memory node that it is of.
        pub node: Option<u64>,
        /// Whose it is: of a CPU, on a list, or `full`.
        pub held: String,
        /// Objects that there is room for.
        pub total: u64,
        /// Objects in use.
        pub allocated: u64,
        /// Objects of which the dump does not tell whether they are in use.
        pub unknown: u64,
        /// What is wrong with its free list.
        pub flaw: Option<String>,
        /// Its objects.
        pub objects: Vec<ObjectRow>,
    }

    /// An object of a slab.
    #[derive(Debug)]
    pub struct ObjectRow {
        /// Its first byte.
        pub object: Hex,
        /// Whether it is in use; `null` where the dump does not tell.
        pub allocated: Option<bool>,
        /// Where a free one is kept, unless it is on its slab's list: a CPU's free list, a sheaf.
        pub kept: Option<String>,
    }

    /// What an address is (`kmem ADDRESS`).
    #[derive(Debug, Default)]
    pub struct IdentityRow {
        /// The address.
        pub address: Hex,
        /// `slab`, `stack`, `symbol`, `module`, `percpu`, `vmalloc`, `vmemmap`, `page`, `user`,
        /// `null`, `noncanonical` or `unmapped`.
        pub kind: &'static str,
        /// In words.
        pub about: Option<String>,
        /// Slab: the cache's name.
        pub cache: Option<String> [maybe],
        /// Slab: first byte of the object.
        pub object: Option<Hex> [maybe],
        /// Bytes into the object, or behind the symbol.
        pub offset: Option<u64> [maybe],
        /// Slab: whether the object is in use; `null` where the dump does not tell.
        pub allocated: Option<bool>,
        /// Slab: its `struct slab`.
        pub slab: Option<Hex> [maybe],
        /// Slab: where a free object is kept, and otherwise whose the slab is, or `full`.
        pub held: Option<String> [key "where"],
        /// Slab: names of the caches that are one with this one, where they are known.
        pub merged: Vec<String> [maybe],
        /// The structure that lies there, where its cache or a list that leads to it tells.
        pub structure: Option<&'static str> [key "type"],
        /// How that is known.
        pub type_reason: Option<&'static str> [maybe],
        /// The member of the structure that the address is.
        pub member: Option<String> [maybe],
        /// Slab: who allocated the object, where the cache keeps it (slub_debug).
        pub alloc: Option<TrackRow> [maybe],
        /// Slab: who freed it last.
        pub free: Option<TrackRow> [maybe],
        /// Stack: the task.
        pub task: Option<Hex> [maybe],
        /// Stack: the task's thread id.
        pub pid: Option<u64> [maybe],
        /// Stack: the task's command.
        pub comm: Option<String> [maybe],
        /// Stack: which one.
        pub stack: Option<&'static str> [maybe],
        /// The symbol.
        pub symbol: Option<String> [maybe],
        /// The module.
        pub module: Option<String> [maybe],
        /// Per-CPU memory: the CPU.
        pub cpu: Option<u32> [maybe],
        /// vmalloc: first address of the area.
        pub start: Option<Hex> [maybe],
        /// vmalloc: one past the last.
        pub end: Option<Hex> [maybe],
        /// vmalloc: the function that asked for the area.
        pub caller: Option<String> [maybe],
        /// vmalloc: frames that it maps.
        pub pages: Option<u64> [maybe],
        /// The physical address.
        pub physical: Option<Hex>,
        /// The frame's `struct page`.
        pub page: Option<Hex>,
        /// The page frame number.
        pub pfn: Option<Hex>,
        /// Its flags.
        pub flags: Vec<&'static str>,
        /// References.
        pub refcount: Option<i64>,
        /// Mappings in page tables.
        pub mapcount: Option<i64>,
        /// The `address_space`, or `anon_vma` with its marks.
        pub mapping: Option<Hex>,
        /// Pages into the file or mapping.
        pub index: Option<Hex>,
        /// What the frame is used for: `slab`, `buddy`, `anonymous`, `file`, `page_table`,
        /// `reserved`, `hugetlb`, `offline`, `free` or `other`.
        pub used: Option<&'static str> [key "use"],
        /// A page of a file: its path, as far as one is known.
        pub path: Option<String> [maybe],
        /// Free in the buddy allocator: so many frames, as a power of two.
        pub order: Option<u64> [maybe],
    }
}

row! {
    /// Who allocated or freed an object.
    #[derive(Debug)]
    pub struct TrackRow {
        /// The code.
        pub by: Hex,
        /// The same as symbol and offset.
        pub symbol: Option<String>,
        /// The thread.
        pub pid: u64,
        /// The CPU.
        pub cpu: Option<u32>,
        /// How long before the machine died.
        pub age: Option<f64> [seconds],
        /// The calls that led there, the innermost first.
        pub stack: Vec<String>,
        /// What it names that cannot be: the record was written over.
        pub doubt: Option<String>,
    }

    /// A word that points at or into an object (`refs`).
    #[derive(Debug)]
    pub struct ReferenceRow {
        /// How many steps from the object that was asked for: 1 points at it.
        pub depth: u64,
        /// Where the word lies.
        pub address: Hex,
        /// The word.
        pub value: Hex,
        /// Bytes into the object that it points at.
        pub into: u64,
        /// The structure that the word is a part of.
        pub structure: Option<&'static str> [key "type"],
        /// Its first byte; of an object whose type nobody tells, the object's.
        pub object: Option<Hex>,
        /// The member that the word is.
        pub member: Option<String>,
        /// What lies there, in words.
        pub about: Option<String>,
        /// Whether the object that the word is a part of is in use.
        pub allocated: Option<bool>,
    }
}

row! {
    /// A part of memory (`kmem -i`).
    #[derive(Debug)]
    pub struct UsageRow {
        /// `TOTAL MEM`, `FREE`, …
        pub name: &'static str,
        /// Pages.
        pub pages: Option<u64>,
        /// The same in bytes.
        pub bytes: Option<u64> [bytes],
        /// Its share of the total that it is a part of, in percent.
        pub percent: Option<u64>,
    }

    /// A counter (`kmem -V`, `kmem -z`).
    #[derive(Debug)]
    pub struct CounterRow {
        /// What is counted: `zone`, `node` or `event`.
        pub group: &'static str,
        /// The zone, of the counters of one.
        pub zone: Option<String> [maybe],
        /// The kernel's constant for it.
        pub name: String,
        /// Its value.
        pub value: i64,
    }

    /// A zone (`kmem -z`, `kmem -n`).
    #[derive(Debug)]
    pub struct ZoneRow {
        /// Its `struct zone`.
        pub zone: Hex,
        /// Its memory node.
        pub node: u64,
        /// Its place among the zones of a node.
        pub number: u64,
        /// Its name.
        pub name: String,
        /// Its first frame.
        pub start_pfn: Hex,
        /// Frames from the first to the last.
        pub spanned: u64,
        /// Of them, those that there are.
        pub present: u64,
        /// Of them, those that the page allocator has or gave away.
        pub managed: Option<u64>,
        /// Watermark: below it only who frees memory gets any.
        pub min: Option<u64>,
        /// Watermark: below it memory is reclaimed.
        pub low: Option<u64>,
        /// Watermark: up to it memory is reclaimed.
        pub high: Option<u64>,
    }

    /// A memory node (`kmem -n`).
    #[derive(Debug)]
    pub struct NodeRow {
        /// Its number.
        pub node: u64,
        /// Frames from its first to its last.
        pub pages: u64,
        /// Its `pglist_data`.
        pub pglist_data: Hex,
        /// Its zones.
        pub zones: Vec<Hex>,
        /// The `struct page` of its first frame.
        pub mem_map: Option<Hex>,
        /// Its first physical address.
        pub start: Hex,
        /// Its first frame.
        pub start_pfn: u64,
    }

    /// A section of the memory map (`kmem -n`).
    #[derive(Debug)]
    pub struct SectionRow {
        /// Its number.
        pub number: u64,
        /// Its `mem_section`.
        pub section: Hex,
        /// Where its map would begin if frame 0 were in it.
        pub coded_map: Hex,
        /// Where its map begins.
        pub mem_map: Hex,
        /// Letters: present, has a map, online, early.
        pub state: String,
        /// Its first frame.
        pub pfn: u64,
    }

    /// Memory that goes online and offline as one (`kmem -n`).
    #[derive(Debug)]
    pub struct MemoryBlockRow {
        /// Its `memory_block`.
        pub memory_block: Hex,
        /// Its name in sysfs.
        pub name: String,
        /// Its first physical address.
        pub start: Hex,
        /// Its last physical address.
        pub last: Hex,
        /// Its memory node.
        pub node: Option<i64>,
        /// Whether it is online, or on its way.
        pub state: String,
        /// Number of its first section.
        pub first_section: u64,
    }

    /// Huge pages of one size (`kmem -h`).
    #[derive(Debug)]
    pub struct HugePagesRow {
        /// Its `hstate`.
        pub hstate: Hex,
        /// Their size.
        pub size: u64 [bytes],
        /// How many are free.
        pub free: u64,
        /// How many there are.
        pub total: u64,
        /// Their name in sysfs.
        pub name: String,
    }

    /// A list of free runs of frames (`kmem -f`, `kmem -F`).
    #[derive(Debug)]
    pub struct FreeListRow {
        /// The zone.
        pub zone: String,
        /// Each run has 2 to the power of this frames.
        pub order: u64,
        /// What the frames of the list are kept for.
        pub kind: Option<String>,
        /// The list's head.
        pub list: Hex,
        /// Size of a run.
        pub size: u64 [bytes],
        /// Runs on the list.
        pub blocks: u64,
        /// Frames in them.
        pub pages: u64,
        /// The `struct page` of each run's first frame (`-F`).
        pub runs: Vec<Hex> [maybe],
    }

    /// A page frame (`kmem -p`).
    #[derive(Debug)]
    pub struct PageRow {
        /// Its `struct page`.
        pub page: Hex,
        /// Its physical address.
        pub physical: Hex,
        /// The `address_space`, or `anon_vma` with its marks.
        pub mapping: Option<Hex>,
        /// Pages into the file or mapping.
        pub index: Option<Hex>,
        /// References.
        pub refcount: Option<i64>,
        /// The word of flags.
        pub raw_flags: Hex,
        /// Names of those that are set.
        pub flags: Vec<&'static str>,
        /// What the frame is used for.
        pub used: &'static str [key "use"],
    }

    /// Members of a `struct page` (`kmem -m`).
    #[derive(Debug)]
    pub struct PageMembersRow {
        /// The `struct page`.
        pub page: Hex,
        /// The members.
        pub names: Vec<String>,
        /// Their values; of what is larger than a word, the first word.
        pub values: Vec<Option<Hex>>,
    }

    /// A flag of page frames (`kmem -g`).
    #[derive(Debug)]
    pub struct PageFlagRow {
        /// Its name.
        pub name: String,
        /// Its bit.
        pub bit: u32,
        /// The same as a value.
        pub value: Hex,
    }

    /// An area of kernel addresses that are mapped page by page (`kmem -v`).
    #[derive(Debug)]
    pub struct AreaRow {
        /// Its `struct vmap_area`.
        pub vmap_area: Hex,
        /// Its `struct vm_struct`; `null` where it has none.
        pub vm_struct: Option<Hex>,
        /// First address.
        pub start: Hex,
        /// One past the last.
        pub end: Hex,
        /// Its size, with the guard page.
        pub size: u64 [bytes],
        /// Frames that it maps.
        pub pages: Option<u64>,
        /// VM_ flags (include/linux/vmalloc.h).
        pub flags: Option<Hex>,
        /// The function that asked for it.
        pub caller: Option<String>,
    }

    /// Where a CPU's per-CPU memory is (`kmem -o`).
    #[derive(Debug)]
    pub struct OffsetRow {
        /// The CPU.
        pub cpu: u32,
        /// What is added to the address of a per-CPU variable.
        pub offset: Hex,
    }
}
