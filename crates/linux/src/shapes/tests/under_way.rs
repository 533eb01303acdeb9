//! Kernels, by what they had of traces, memory in use, work that is under way. See [`super::table`].

use super::table::{Case, symbols, types};

pub(super) const KERNELS: &[Case] = &[
    // ---- kernel/trace ----
    types(
        "5.7 to 7.x: array_buffer",
        "array_buffer { tr: long, buffer: long } trace_array { name: long, array_buffer: array_buffer }
         saved_cmdlines_buffer { cmdline_num: int, saved_cmdlines: char[4] }",
        &["trace_array.array_buffer.buffer", "saved_cmdlines_buffer.array saved_cmdlines"],
        &[],
    ),
    types(
        "5.6 and before: trace_buffer; 3.15 to 6.8: names by themselves",
        "trace_buffer { tr: long, buffer: long } trace_array { name: long, trace_buffer: trace_buffer }
         saved_cmdlines_buffer { cmdline_num: int, saved_cmdlines: *char }",
        &["trace_array.trace_buffer.buffer", "saved_cmdlines_buffer.pointer saved_cmdlines"],
        &[],
    ),
    // ---- include/linux/mmzone.h, mm_types.h, dcache.h, fs.h ----
    types(
        "6.8 to 7.0: dentries in hlists",
        "list_head { next: long, prev: long } hlist_node { next: long, pprev: long }
         hlist_head { first: long } alias { d_alias: hlist_node } xarray { xa_lock: int, xa_head: long }
         dentry { d_u: alias, d_children: hlist_head, d_sib: hlist_node }
         address_space { host: long, i_pages: xarray }",
        &[
            "dentry.d_u.d_alias",
            "dentry.embedded d_children",
            "dentry.d_sib",
            "address_space.i_pages",
        ],
        &["address_space.page_tree"],
    ),
    types(
        "4.16 and before; dentries like those of 7.1 without a union's name",
        "list_head { next: long, prev: long } radix_tree_root { height: int, rnode: long }
         dentry { d_alias: list_head, d_subdirs: list_head, d_child: list_head }
         address_space { host: long, page_tree: radix_tree_root }",
        &[
            "dentry.d_alias",
            "dentry.embedded d_subdirs",
            "dentry.d_child",
            "address_space.page_tree",
        ],
        &[],
    ),
    // ---- kernel/workqueue.c, kernel/rcu/tree.c ----
    types(
        "7.0: time of progress renamed; inactive works since 5.15; parts of the data since 6.9",
        "list_head { next: long, prev: long } worker_pool { cpu: int, last_progress_ts: long }
         pool_workqueue { pool: long, inactive_works: list_head } enum { WORK_STRUCT_PWQ_SHIFT = 8 }",
        &[
            "worker_pool.last_progress_ts",
            "pool_workqueue.inactive_works",
            "parts of work_struct.data.WORK_STRUCT_PWQ_SHIFT",
        ],
        &[],
    ),
    types(
        "5.14 and before: delayed works",
        "list_head { next: long, prev: long } worker_pool { cpu: int, watchdog_ts: long }
         pool_workqueue { pool: long, delayed_works: list_head } enum { WORK_STRUCT_FLAG_BITS = 8 }",
        &[
            "worker_pool.watchdog_ts",
            "pool_workqueue.delayed_works",
            "parts of work_struct.data.WORK_STRUCT_FLAG_BITS",
        ],
        &[],
    ),
    symbols("4.20: one flavour", &["rcu_state"], &["state of RCU.rcu_state"]),
    symbols("4.19: preemptible", &["rcu_preempt_state"], &["state of RCU.rcu_preempt_state"]),
    symbols("4.19 and before", &["rcu_sched_state"], &["state of RCU.rcu_sched_state"]),
    // ---- include/linux/cgroup-defs.h, page_counter.h, blk-mq.h ----
    types(
        "6.1 to 7.x: pressure of each group by itself; a counter's limit is max",
        "page_counter { usage: long, high: long, max: long } mem_cgroup { css: long, memory: page_counter }
         cgroup { self: long, subsys: long[4], psi: *int } xarray { xa_lock: int, xa_head: long }
         request_queue { nr_hw_queues: int, hctx_table: xarray }
         sbitmap { depth: int, shift: int } sbitmap_queue { sb: sbitmap, wake_batch: int }
         blk_mq_tags { nr_tags: int, bitmap_tags: sbitmap_queue }",
        &[
            "cgroup.pointer psi",
            "mem_cgroup.memory.high",
            "page_counter.max",
            "request_queue.radix hctx_table",
            "blk_mq_tags.embedded bitmap_tags.sb",
        ],
        &[],
    ),
    types(
        "4.18, 5.10: groups' own high, tags behind a pointer, an array of hardware queues",
        "psi_group { avg: long } page_counter { usage: long, limit: long }
         mem_cgroup { css: long, memory: page_counter, high: long }
         cgroup { self: long, subsys: long[4], psi: psi_group }
         request_queue { queue_hw_ctx: *int, nr_hw_queues: int }
         blk_mq_tags { nr_tags: int, bitmap_tags: *int }",
        &[
            "cgroup.embedded psi",
            "mem_cgroup.high",
            "page_counter.limit",
            "request_queue.pointer queue_hw_ctx",
            "blk_mq_tags.pointer bitmap_tags",
        ],
        &[],
    ),
];
