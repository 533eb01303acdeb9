//! include/linux/mm_types.h, mm/slab.h, mm/slub.c

shapes! {
    /// What the kernel knows of a page frame.
    Page = "page" for bt rd kmem {
        flags: "flags.f" | "flags",                         // a structure of its own since 6.18
        compound: "compound_head" | "compound_info",        // renamed in 7.1
        page_type: maybe "page_type" | "_mapcount",
        mapcount: maybe "_mapcount",
        refcount: maybe "_refcount",
        mapping: maybe "mapping",
        index: maybe "index" | "__folio_index",             // renamed in 6.16
        private: maybe "private",
        destructor: maybe "compound_dtor",                  // of the second of several, until 6.2
        memcg_data: maybe "memcg_data",                     // 5.11, with CONFIG_MEMCG
        list: "lru",                                        // of free ones, of a CPU's, of an LRU
    }
    /// The part of `struct page` that slabs use; within `page` itself until 5.16.
    Slab = "slab" | "page" for bt rd kmem {
        slab_cache: "slab_cache",
        objects: maybe "objects",
        inuse: maybe "inuse",
        frozen: maybe "frozen",
        freelist: maybe "freelist",
        slab_list: maybe "slab_list" | "lru",               // named for slabs since 5.2
        next: maybe "next",                                 // of a CPU's partial slabs, until 6.19
        behind: maybe "slabs" | "pages",                    // in that list, this one included
    }
    /// A cache of objects.
    KmemCache = "kmem_cache" for bt rd kmem {
        name: "name",
        size: "size",
        object_size: "object_size",
        red_left_pad: maybe "red_left_pad",
        free_pointer: maybe "offset",
        reciprocal_m: maybe "reciprocal_size.m",            // how to divide by size, since 5.9
        reciprocal_sh1: maybe "reciprocal_size.sh1",
        reciprocal_sh2: maybe "reciprocal_size.sh2",
        useroffset: maybe "useroffset",
        usersize: maybe "usersize",
        align: maybe "align",
        sysfs: maybe "kobj.sd",                             // its folder
        min_partial: maybe "min_partial",
        ctor: maybe "ctor",
        sheaf_capacity: maybe "sheaf_capacity",             // 6.18
        random: maybe "random",                             // CONFIG_SLAB_FREELIST_HARDENED
        list: "list",
        flags: "flags",
        inuse: "inuse",
        refcount: "refcount",
        order_objects: maybe "oo.x",
        least_order_objects: maybe "min.x",
        cpu_slab: maybe "cpu_slab",                         // until 6.19
        cpu_sheaves: maybe "cpu_sheaves",                   // 6.18
        node: maybe array "node",
        per_node: maybe structs "per_node",                 // 7.1: sheaves' barns beside the nodes
    }
    /// Who allocated or freed an object (SLAB_STORE_USER).
    SlabTrack = "track" for kmem {
        addr: "addr",
        handle: maybe "handle",                             // of the stack depot, since 5.16
        addrs: maybe array "addrs",                         // the stack itself, until then
        cpu: "cpu",
        pid: "pid",
        when: "when",
    }
    /// A stack that the stack depot keeps.
    StackRecord = "stack_record" for kmem {
        size: "size",
        handle: "handle",
        entries: "entries",
    }
    /// How a handle leads to a stack.
    StackHandle = "handle_parts" for kmem {
        pool: "pool_index_plus_1" | "pool_index" | "slabindex", // renamed in 6.3, from 1 on since 6.8
        offset: "offset",
    }
    /// An object that KFENCE keeps (mm/kfence/kfence.h).
    KfenceMetadata = "kfence_metadata" for kmem check {
        state: maybe "state",
        addr: maybe "addr",
        size: maybe "size",                                       // bytes that were asked for
        cache: maybe "cache",
        allocated_by: maybe "alloc_track",
        freed_by: maybe "free_track",
    }
    /// Who allocated or freed it.
    KfenceTrack = "kfence_track" for kmem {
        pid: maybe "pid",
        cpu: maybe "cpu",                                   // since 5.15
        time_ns: maybe "ts_nsec",                           // of the CPU's clock; since 5.15
        count: maybe "num_stack_entries",
        entries: maybe array "stack_entries",
    }
    /// A set of objects that sysfs shows.
    Kset = "kset" for kmem {
        sysfs: "kobj.sd",
    }
    /// A file, folder or link of sysfs (include/linux/kernfs.h).
    KernfsTree = "kernfs_node" for kmem {
        node: "rb",
        name: "name",
        flags: "flags",
        children: "dir.children",
        leads_to: "symlink.target_kn",
    }
    /// A CPU's part of a cache, until 6.19.
    KmemCacheCpu = "kmem_cache_cpu" for kmem {
        freelist: "freelist",
        slab: "slab" | "page",                              // renamed in 5.17
        partial: maybe "partial",
    }
    /// A memory node's part of a cache.
    KmemCacheNode = "kmem_cache_node" for kmem {
        partial: maybe "partial",
        nr_partial: maybe "nr_partial",
        nr_slabs: maybe "nr_slabs",                         // CONFIG_SLUB_DEBUG
        total_objects: maybe "total_objects",
        barn: maybe "barn",                                 // 6.18 to 7.0
    }
    /// What a cache has for a memory node since 7.1.
    KmemCachePerNode = "kmem_cache_per_node_ptrs" for kmem {
        barn: "barn",
        node: "node",
    }
    /// A CPU's sheaves.
    PercpuSheaves = "slub_percpu_sheaves" for kmem {
        main: "main",
        spare: "spare",
        rcu_free: "rcu_free",
    }
    /// An array of free objects.
    SlabSheaf = "slab_sheaf" for kmem {
        barn_list: "barn_list",
        cache: "cache",
        size: "size",
        objects: "objects",
    }
    /// A memory node's sheaves.
    NodeBarn = "node_barn" for kmem {
        sheaves_full: "sheaves_full",
        sheaves_empty: "sheaves_empty",
        nr_full: "nr_full",
        nr_empty: "nr_empty",
    }
}

constants! {
    /// Numbers of the bits of a cache's flags, since 6.9; they were fixed until then.
    SlabFlags = "flags of slab caches" for kmem check {
        red_zone: maybe "_SLAB_RED_ZONE",
        poison: maybe "_SLAB_POISON",
        store_user: maybe "_SLAB_STORE_USER",
        kmalloc: maybe "_SLAB_KMALLOC",
        object_poison: maybe "_SLAB_OBJECT_POISON",
    }
}

constants! {
    /// States of an object that KFENCE keeps.
    KfenceStates = "states of KFENCE's objects" for kmem check {
        allocated: maybe "KFENCE_OBJECT_ALLOCATED",
        being_freed: maybe "KFENCE_OBJECT_RCU_FREEING",     // since 6.12
        freed: maybe "KFENCE_OBJECT_FREED",
    }
}

variables! {
    /// KFENCE's pages and what it knows of them.
    KfenceVariables = "pool of KFENCE" for kmem check {
        pool: maybe "__kfence_pool",
        metadata: maybe "kfence_metadata",                  // a pointer since 6.6
    }
}

constants! {
    /// How a page frame is known to be a slab's: a bit of `page.flags` until 6.9, then a kind in
    /// `page.page_type`. VMCOREINFO tells it.
    SlabMarks = "marks of slabs" for bt rd {
        slab: flag "PG_slab" | kind "PAGE_SLAB_MAPCOUNT_VALUE",
    }
}

variables! {
    /// The list of all caches, and how many memory nodes there can be.
    SlabVariables = "list of slab caches" for kmem {
        slab_caches: "slab_caches",
        nr_node_ids: maybe "nr_node_ids",                   // CONFIG_NUMA
        init_on_free: maybe "init_on_free",
        slab_kset: maybe "slab_kset",                       // the folder of all
        stack_pools: maybe "stack_pools" | "stack_slabs",   // of the stack depot; renamed in 6.3
    }
}
