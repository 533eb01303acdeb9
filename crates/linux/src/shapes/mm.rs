//! include/linux/mm_types.h, include/linux/percpu_counter.h

shapes! {
    /// An address space.
    Mm = "mm_struct" for ps vtop rd {
        pgd: "pgd",
        total_vm: "total_vm",                               // pages
        rss: array "rss_stat" | embedded "rss_stat.count",  // percpu counters since 6.2
        map_count: "map_count",
        arg_start: "arg_start",
        arg_end: "arg_end",
        env_start: "env_start",
        env_end: "env_end",
        mm_users: "mm_users",
        mm_count: "mm_count",
    }
    /// A counter with a per-CPU part.
    PercpuCounter = "percpu_counter" for ps {
        count: "count",
        counters: "counters",
    }
}

constants! {
    /// The kinds of pages that an address space counts and holds; swap is not among them.
    PageKinds = "counters of pages" for ps {
        file: "MM_FILEPAGES",
        anonymous: "MM_ANONPAGES",
        shared: maybe "MM_SHMEMPAGES",                      // 4.5; among those of files before
    }
}
