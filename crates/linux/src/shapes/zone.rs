//! include/linux/mmzone.h, include/linux/hugetlb.h

shapes! {
    /// A memory node, as the page allocator has it.
    NodeMemory = "pglist_data" for kmem check {
        zones: array "node_zones",
        node_id: "node_id",
        start_pfn: "node_start_pfn",
        present_pages: "node_present_pages",
        spanned_pages: "node_spanned_pages",
        per_cpu_stats: maybe "per_cpu_nodestats",
        vm_stat: maybe "vm_stat",
    }
    /// A zone of a memory node.
    Zone = "zone" for kmem check {
        name: "name",
        start_pfn: "zone_start_pfn",
        spanned_pages: "spanned_pages",
        present_pages: "present_pages",
        managed_pages: maybe "managed_pages",
        watermarks: "_watermark" | "watermark",             // beside a boost since 5.0
        boost: maybe "watermark_boost",
        free_area: array "free_area",
        vm_stat: "vm_stat",
        page_sets: "per_cpu_pageset" | "pageset",           // the lists alone since 5.14
        per_cpu_stats: maybe "per_cpu_zonestats",           // 5.14
    }
    /// Free runs of frames of one order.
    FreeArea = "free_area" for kmem check {
        free_list: array "free_list",
        nr_free: "nr_free",
    }
    /// What a CPU has of a zone until 5.13, its free frames and its counters.
    PerCpuPageSet = "per_cpu_pageset" for kmem check {
        pages: "pcp",
        stat_diff: "vm_stat_diff",
    }
    /// A CPU's free frames of a zone.
    PerCpuPages = "per_cpu_pages" for kmem check {
        count: "count",
        high: maybe "high",
        batch: maybe "batch",
        lists: array "lists",
    }
    /// A CPU's counters of a zone, since 5.14.
    PerCpuZoneStat = "per_cpu_zonestat" for kmem check {
        stat_diff: "vm_stat_diff",
    }
    /// A CPU's counters of a node.
    PerCpuNodeStat = "per_cpu_nodestat" for kmem check {
        stat_diff: "vm_node_stat_diff",
    }
    /// Huge pages of one size.
    HugePages = "hstate" for kmem {
        order: "order",
        total: "nr_huge_pages",
        free: "free_huge_pages",
        name: "name",
    }
    /// A section of the memory map.
    MemSection = "mem_section" for kmem {
        map: "section_mem_map",
    }
    /// Sections that go online and offline together (include/linux/memory.h).
    MemoryBlock = "memory_block" for kmem {
        first_section: "start_section_nr",
        state: "state",                                     // an enum in later kernels, bits in 5.10
        node: maybe "nid",
        name: "dev.kobj.name",
    }
}

constants! {
    /// Counters by their place, and kinds of free lists.
    PageCounters = "counters of pages" for kmem check {
        free: "NR_FREE_PAGES",
        zone_items: "NR_VM_ZONE_STAT_ITEMS",
        node_items: "NR_VM_NODE_STAT_ITEMS",
        file: "NR_FILE_PAGES",
        slab_reclaimable: maybe "NR_SLAB_RECLAIMABLE_B" | "NR_SLAB_RECLAIMABLE", // bytes since 5.9
        slab_unreclaimable: maybe "NR_SLAB_UNRECLAIMABLE_B" | "NR_SLAB_UNRECLAIMABLE",
        swap_cache: maybe "NR_SWAPCACHE",                   // 5.12
        shared: maybe "NR_SHMEM",
    }
}

variables! {
    /// Memory as a whole.
    MemoryVariables = "memory as a whole" for kmem {
        node_data: maybe "node_data",
        only_node: maybe "contig_page_data",                // without NUMA
        total: "_totalram_pages" | "totalram_pages",        // atomic since 5.0
        zone_stat: maybe "vm_zone_stat",
        node_stat: maybe "vm_node_stat",
        events: maybe "vm_event_states",
        numa_events: maybe "vm_numa_event" | "vm_numa_stat",// 5.14
        committed: maybe "vm_committed_as",
        overcommit_ratio: maybe "sysctl_overcommit_ratio",
        overcommit_kbytes: maybe "sysctl_overcommit_kbytes",
        swap_total: maybe "total_swap_pages",
        swap_free: maybe "nr_swap_pages",
        huge: maybe "hstates",
        huge_kinds: maybe "hugetlb_max_hstate",
        block_devices: maybe "blockdev_superblock",
        migrate_names: maybe "migratetype_names",
        memory_blocks: maybe "memory_blocks",               // 5.8
        sections_per_block: maybe "sections_per_block",
    }
}
