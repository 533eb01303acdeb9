//! include/linux/mm_types.h, include/linux/percpu_counter.h

shapes! {
    /// An address space.
    Mm = "mm_struct" {
        pgd: "pgd",
        total_vm: "total_vm",                               // pages
        rss_stat: "rss_stat",                               // percpu counters since 6.2
        rss_count?o: "rss_stat.count",
        map_count: "map_count",
        arg_start: "arg_start",
        arg_end: "arg_end",
        env_start: "env_start",
        env_end: "env_end",
        mm_users: "mm_users",
        mm_count: "mm_count",
    }
    /// A counter with a per-CPU part.
    PercpuCounter = "percpu_counter" {
        count: "count",
        counters: "counters",
    }
}
