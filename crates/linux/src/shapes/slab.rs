//! include/linux/mm_types.h, mm/slab.h

shapes! {
    /// What the kernel knows of a page frame.
    Page = "page" {
        flags: "flags.f" | "flags",                         // a structure of its own since 6.18
        compound: "compound_head" | "compound_info",        // renamed in 7.1
        page_type?o: "page_type" | "_mapcount",
        slab_cache?o: "slab_cache",                         // until 5.16
    }
    /// The part of `struct page` that slabs use, since 5.17.
    Slab = "slab" {
        slab_cache?o: "slab_cache",
        objects?o: "objects",
        inuse?o: "inuse",
    }
    /// A cache of objects.
    KmemCache = "kmem_cache" {
        name: "name",
        size_: "size",
        object_size: "object_size",
        red_left_pad?o: "red_left_pad",
        free_pointer?o: "offset",
        random?o: "random",                                 // CONFIG_SLAB_FREELIST_HARDENED
    }
}
