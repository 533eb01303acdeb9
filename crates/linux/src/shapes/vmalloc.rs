//! include/linux/vmalloc.h, mm/vmalloc.c

shapes! {
    /// An area of kernel addresses that are mapped page by page.
    VmapArea = "vmap_area" for kmem {
        va_start: "va_start",
        va_end: "va_end",
        list: "list",
        vm: maybe "vm",
    }
    /// What an area was made for.
    VmStruct = "vm_struct" for kmem {
        addr: "addr",
        size: "size",                                       // bytes, the guard page among them
        flags: "flags",
        nr_pages: "nr_pages",
        caller: "caller",
    }
    /// A share of the areas, since 6.9.
    VmapNode = "vmap_node" for kmem {
        head: "busy.head",
    }
}

variables! {
    /// The areas in use: one list until 6.8, then one for each of several nodes.
    VmapVariables = "areas of vmalloc" for kmem {
        list: maybe "vmap_area_list",
        nodes: maybe "vmap_nodes",
        nr_nodes: maybe "nr_vmap_nodes",
    }
}
