//! Kernels, by what they had: a piece of their types that matters, and the alternatives that must
//! come of it. From the kernel's headers at those versions; members that no alternative is about
//! are left out.

/// A kernel, or two that agree in the point.
pub(super) struct Case {
    /// Which, and the source file.
    pub(super) kernel: &'static str,
    /// See [`super::build::Build`].
    pub(super) types: &'static str,
    /// Lines of its VMCOREINFO.
    pub(super) info: &'static str,
    /// Its symbols.
    pub(super) symbols: &'static [&'static str],
    /// `shape.alternative` that it has.
    pub(super) expected: &'static [&'static str],
    /// And those that it must not be taken to have.
    pub(super) absent: &'static [&'static str],
}

pub(super) const fn types(
    kernel: &'static str,
    types: &'static str,
    expected: &'static [&'static str],
    absent: &'static [&'static str],
) -> Case {
    Case { kernel, types, info: "", symbols: &[], expected, absent }
}

pub(super) const fn symbols(
    kernel: &'static str,
    symbols: &'static [&'static str],
    expected: &'static [&'static str],
) -> Case {
    Case { kernel, types: "", info: "", symbols, expected, absent: &[] }
}

const fn info(kernel: &'static str, info: &'static str, expected: &'static [&'static str]) -> Case {
    Case { kernel, types: "", info, symbols: &[], expected, absent: &[] }
}

pub(super) const KERNELS: &[Case] = &[
    // ---- include/linux/sched.h ----
    types(
        "4.18 (RHEL 8), 4.4 to 4.18",
        "hlist_node { next: long, pprev: long } pid_link { node: hlist_node, pid: long }
         thread_info { flags: long }
         task_struct { thread_info: thread_info, state: long, cpu: int, real_start_time: long,
                       pids: pid_link[4] }",
        &[
            "task_struct.state",
            "task_struct.cpu",
            "task_struct.real_start_time",
            "task_struct.pids[0].node",
        ],
        &["task_struct.__state", "task_struct.thread_info.cpu"],
    ),
    types(
        "5.4, 5.10: pid_links since 4.19, start_boottime since 5.5",
        "hlist_node { next: long, pprev: long } thread_info { flags: long }
         task_struct { thread_info: thread_info, state: long, cpu: int, start_boottime: long,
                       pid_links: hlist_node[4] }",
        &["task_struct.state", "task_struct.start_boottime", "task_struct.pid_links[0]"],
        &["task_struct.real_start_time"],
    ),
    types(
        "5.14 (RHEL 9), 5.15: __state, cpu still in the task",
        "thread_info { flags: long } task_struct { thread_info: thread_info, __state: int, cpu: int }",
        &["task_struct.__state", "task_struct.cpu"],
        &["task_struct.state"],
    ),
    types(
        "5.16 to 7.x: cpu in thread_info",
        "thread_info { flags: long, cpu: int } task_struct { thread_info: thread_info, __state: int }",
        &["task_struct.__state", "task_struct.thread_info.cpu"],
        &["task_struct.cpu"],
    ),
    // ---- mm/kfence/kfence.h ----
    types(
        "5.12 to 5.14: KFENCE's records have neither CPU nor time",
        "kfence_track { pid: int, num_stack_entries: int, stack_entries: long[64] }
         kfence_metadata { state: int, addr: long, size: long, cache: long,
                           alloc_track: kfence_track, free_track: kfence_track }",
        &["kfence_track.array stack_entries", "kfence_metadata.alloc_track"],
        &["kfence_track.cpu", "kfence_track.ts_nsec"],
    ),
    types(
        "5.15 and later: they have",
        "kfence_track { pid: int, cpu: int, ts_nsec: long, num_stack_entries: int,
                        stack_entries: long[64] }",
        &["kfence_track.cpu", "kfence_track.ts_nsec"],
        &[],
    ),
    // ---- include/linux/mm_types.h, mm/slab.h ----
    types(
        "5.14, 5.15: slabs within struct page",
        "page { flags: long, slab_cache: long, objects: int, inuse: int, compound_head: long,
                page_type: int }",
        &["page.flags", "page.slab_cache", "page.compound_head", "page.page_type"],
        &[],
    ),
    types(
        "4.17 and before: no page_type; _mapcount holds it",
        "page { flags: long, _mapcount: int, compound_head: long }",
        &["page._mapcount"],
        &["page.page_type"],
    ),
    types(
        "5.17 to 6.17: struct slab",
        "page { flags: long, compound_head: long, page_type: int }
         slab { __page_flags: long, slab_cache: long, objects: int }",
        &["slab.slab_cache", "page.flags"],
        &["page.slab_cache"],
    ),
    types(
        "6.18: memdesc_flags_t; 7.1: compound_info",
        "memdesc_flags { f: long } page { flags: memdesc_flags, compound_info: long }",
        &["page.flags.f", "page.compound_info"],
        &["page.flags", "page.compound_head"],
    ),
    types(
        "5.1 and before: lists of slabs by lru; until 5.16 a CPU's slab is a page",
        "list_head { next: long, prev: long }
         page { flags: long, lru: list_head, index: long, slab_cache: long }
         kmem_cache_cpu { freelist: long, page: long }",
        &["page.lru", "page.index", "kmem_cache_cpu.page"],
        &["page.slab_list"],
    ),
    types(
        "5.17 to 6.19: a CPU's slab; 6.16: __folio_index",
        "list_head { next: long, prev: long } slab { slab_cache: long, slab_list: list_head }
         page { flags: long, __folio_index: long }
         kmem_cache_cpu { freelist: long, slab: long }",
        &["slab.slab_list", "page.__folio_index", "kmem_cache_cpu.slab"],
        &["kmem_cache_cpu.page"],
    ),
    types(
        "4.18 to 6.1: rss_stat of plain counts",
        "counter { counter: long } mm_rss_stat { count: counter[4] } mm_struct { rss_stat: mm_rss_stat }",
        &["mm_struct.embedded rss_stat.count"],
        &["mm_struct.array rss_stat"],
    ),
    types(
        "6.2 and later: an array of percpu_counter",
        "percpu_counter { lock: int, count: long, counters: *int }
         mm_struct { rss_stat: percpu_counter[4] } enum { MM_FILEPAGES = 0, MM_ANONPAGES = 1 }",
        &["mm_struct.array rss_stat", "percpu_counter.count", "counters of pages.MM_ANONPAGES"],
        &["mm_struct.embedded rss_stat.count"],
    ),
    info("6.9 and before: a flag", "NUMBER(PG_slab)=9\n", &["marks of slabs.flag PG_slab"]),
    info(
        "6.10 and later: a kind",
        "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=4110417920\n",
        &["marks of slabs.kind PAGE_SLAB_MAPCOUNT_VALUE"],
    ),
    types(
        "6.11: the constant PG_slab means a kind, VMCOREINFO says nothing: no mark",
        "enum { PG_slab = 67108864 }",
        &[],
        &["marks of slabs.flag PG_slab"],
    ),
    // ---- include/linux/xarray.h, radix-tree.h ----
    types(
        "4.18: radix trees, with two spellings of the root",
        "radix_tree_root { gfp_mask: int, rnode: long } radix_tree_node { shift: char, slots: long[64] }",
        &["radix_tree_root.rnode", "radix_tree_node.shift"],
        &["xarray.xa_head"],
    ),
    types(
        "4.20 and later: XArray",
        "xarray { xa_lock: int, xa_head: long } xa_node { shift: char, slots: long[64] }",
        &["xarray.xa_head", "xa_node.slots"],
        &["radix_tree_node.slots"],
    ),
    // ---- kernel/sched/sched.h ----
    types(
        "4.18, 5.x: rb_root_cached",
        "rq { curr: long } cfs_rq { nr_running: int } dl_rq { root: long }",
        &["rq.curr", "cfs_rq.nr_running", "dl_rq.root"],
        &[],
    ),
    types(
        "4.13 and before: rb_root; 6.14: nr_queued; a __curr in later ones",
        "rq { __curr: long } cfs_rq { nr_queued: int } dl_rq { rb_root: long }",
        &["rq.__curr", "cfs_rq.nr_queued", "dl_rq.rb_root"],
        &["rq.curr"],
    ),
    // ---- include/linux/irq.h, irqdesc.h ----
    types(
        "4.18 to 6.9 with CPUMASK_OFFSTACK (distributions)",
        "irq_common_data { affinity: *long } irq_desc { irq_common_data: irq_common_data, kstat_irqs: *int }",
        &["irq_desc.pointer irq_common_data.affinity", "irq_desc.numbers kstat_irqs"],
        &["irq_desc.structs kstat_irqs"],
    ),
    types(
        "6.10 and later, without it: one mask, irqstat",
        "irqstat { cnt: int } cpumask { bits: long[1] }
         irq_common_data { affinity: cpumask[1] }
         irq_desc { irq_common_data: irq_common_data, kstat_irqs: *irqstat }",
        &["irq_desc.embedded irq_common_data.affinity", "irq_desc.structs kstat_irqs", "irqstat.cnt"],
        &["irq_desc.numbers kstat_irqs"],
    ),
    types(
        "4.2 and before, with it",
        "irq_data { affinity: *long } irq_desc { irq_data: irq_data }",
        &["irq_desc.pointer irq_data.affinity"],
        &[],
    ),
    types(
        "4.2 and before, without it",
        "cpumask { bits: long[1] } irq_data { affinity: cpumask[1] } irq_desc { irq_data: irq_data }",
        &["irq_desc.embedded irq_data.affinity"],
        &[],
    ),
    symbols("6.5", &["irq_desc", "sparse_irqs"], &["tables of interrupts.maple sparse_irqs"]),
    symbols("6.4", &["irq_desc_tree"], &["tables of interrupts.radix irq_desc_tree"]),
    symbols("no SPARSE_IRQ", &["irq_desc"], &["tables of interrupts.table irq_desc"]),
    symbols("6.13", &["total_nr_irqs"], &["tables of interrupts.total_nr_irqs"]),
    symbols("6.12", &["nr_irqs"], &["tables of interrupts.nr_irqs"]),
    // ---- kernel/time ----
    types(
        "4.18, 5.4, 5.14: cached trees, plain ktime_t",
        "rb_root_cached { rb_root: long, rb_leftmost: long } timerqueue_head { rb_root: rb_root_cached }
         timerqueue_node { node: long[3], expires: long }
         hrtimer_clock_base { active: timerqueue_head, offset: long }
         hrtimer { node: timerqueue_node, _softexpires: long }
         timekeeper { tkr_mono: long, offs_boot: long } seqcount_t { sequence: int }",
        &[
            "hrtimer_clock_base.active.rb_root",
            "hrtimer_clock_base.offset",
            "hrtimer.node.expires",
            "hrtimer._softexpires",
            "timekeeper.tkr_mono",
            "timekeeper.offs_boot",
            "seqcount_t.sequence",
        ],
        &[],
    ),
    types(
        "5.10 to 6.12: a sequence counter with its lock",
        "seqcount { sequence: int } seqcount_raw_spinlock_t { seqcount: seqcount }",
        &["seqcount_raw_spinlock_t.seqcount.sequence"],
        &[],
    ),
    types(
        "4.0 and before: the timekeeper's tkr, trees that are not cached",
        "timerqueue_head { head: long, next: long } hrtimer_clock_base { active: timerqueue_head }
         timekeeper { tkr: long }",
        &["hrtimer_clock_base.active.head", "timekeeper.tkr"],
        &[],
    ),
    types(
        "4.9 and before: a ktime_t is a union, and reads as the number in it",
        "ktime { tv64: long } timerqueue_node { node: long[3], expires: ktime }
         hrtimer_clock_base { pad: int, offset: ktime }
         hrtimer { node: timerqueue_node, _softexpires: ktime } timekeeper { offs_boot: ktime }",
        &["hrtimer.node.expires", "hrtimer._softexpires", "timekeeper.offs_boot"],
        &[],
    ),
    symbols("6.17", &["timekeeper_data"], &["the system's clock.timekeeper_data"]),
    symbols("6.16", &["tk_core"], &["the system's clock.tk_core"]),
    symbols("x86_64", &["jiffies", "jiffies_64"], &["variables of the tick.jiffies_64"]),
    symbols("no jiffies_64", &["jiffies"], &["variables of the tick.jiffies"]),
    // ---- include/linux/mutex_types.h, rwsem.h, semaphore.h, wait.h, kernel/locking/rtmutex_common.h ----
    types(
        "5.3 to 7.0: lists with heads",
        "list_head { next: long, prev: long } mutex { owner: long, wait_list: list_head }
         rw_semaphore { count: long, owner: long, wait_list: list_head }
         semaphore { lock: int, count: int, wait_list: list_head }
         swait_queue_head { lock: int, task_list: list_head }
         completion { done: int, wait: swait_queue_head }
         rb_node { parent: long[3] } rt_waiter_node { entry: rb_node, prio: int }
         rt_mutex_waiter { tree: rt_waiter_node, task: long, lock: long }
         wait_queue_entry { flags: int, private: long, func: long, entry: list_head }
         wait_queue_head { lock: int, head: list_head }
         wait_bit_queue_entry { key: long, wq_entry: wait_queue_entry }
         wait_page_queue { folio: long, bit_nr: int, wait: wait_queue_entry }
         task_struct { blocker: long, worker_private: long }",
        &[
            "mutex.embedded wait_list",
            "rw_semaphore.embedded owner",
            "rw_semaphore.embedded wait_list",
            "semaphore.embedded wait_list",
            "completion.wait.task_list",
            "rt_mutex_waiter.tree.entry",
            "wait_queue_entry.entry",
            "wait_queue_head.head",
            "wait_bit_queue_entry.wq_entry",
            "wait_page_queue.folio",
            "task_struct.worker_private",
        ],
        &["mutex.pointer first_waiter", "rw_semaphore.pointer owner"],
    ),
    types(
        "7.1: rings without heads",
        "mutex { owner: long, first_waiter: *int } rw_semaphore { count: long, first_waiter: *int }
         semaphore { count: int, first_waiter: *int, last_holder: long }",
        &[
            "mutex.pointer first_waiter",
            "rw_semaphore.pointer first_waiter",
            "semaphore.pointer first_waiter",
            "semaphore.last_holder",
        ],
        &["mutex.embedded wait_list"],
    ),
    types(
        "4.12, 4.18: an owner that is a pointer, threads' data in the task's set_child_tid",
        "list_head { next: long, prev: long } rw_semaphore { count: long, owner: *int }
         wait_queue_head { lock: int, head: list_head } completion { done: int, wait: wait_queue_head }
         rt_mutex_waiter { tree_entry: long[3], task: long, lock: long }
         wait_page_queue { page: long, bit_nr: int, wait: long } task_struct { set_child_tid: long }",
        &[
            "rw_semaphore.pointer owner",
            "completion.wait.head",
            "rt_mutex_waiter.tree_entry",
            "wait_page_queue.page",
            "task_struct.set_child_tid",
        ],
        &[],
    ),
    types(
        "4.12 and before: wait queues by their old names",
        "list_head { next: long, prev: long } __wait_queue { flags: int, private: long, func: long,
                                                             task_list: list_head }
         __wait_queue_head { lock: int, task_list: list_head }
         wait_bit_queue { key: long, wait: __wait_queue }",
        &[
            "__wait_queue.task_list",
            "__wait_queue_head.task_list",
            "wait_bit_queue.wait",
        ],
        &[],
    ),
    // ---- include/linux/module.h, kernel/module/sysfs.c ----
    types(
        "4.18, 5.14, up to 6.3: two layouts",
        "module_layout { base: long, size: int, text_size: int }
         module { core_layout: module_layout, init_layout: module_layout }",
        &["module.embedded core_layout", "module.init_layout", "module_layout.text_size"],
        &["module.array mem"],
    ),
    types(
        "6.4 and later: seven ranges",
        "module_memory { base: long, size: int } module { mem: module_memory[7] }",
        &["module.array mem", "module_memory.size"],
        &["module.embedded core_layout"],
    ),
    types(
        "4.18, 5.4: a section with a name of its own",
        "module_sect_attr { mattr: long, name: long, address: long }",
        &["module_sect_attr.name"],
        &[],
    ),
    types(
        "5.8 to 6.13: named by its attribute",
        "attribute { name: long, mode: int } bin_attribute { attr: attribute }
         module_sect_attr { battr: bin_attribute, address: long }",
        &["module_sect_attr.battr.attr.name"],
        &["module_sect_attr.name"],
    ),
    // ---- ipc, net, include/linux/wait.h ----
    types(
        "3.10 (RHEL 7): semaphores apart, wait queues by their older names",
        "sem_array { sem_base: *long } sock { sk_backlog: int, sk_rmem_alloc: int }
         inet6_ifaddr { if_next: *long } neigh_hash_table { hash_buckets: *long }
         __wait_queue_head { task_list: long } __wait_queue { private: *long, task_list: long }",
        &[
            "sem_array.sem_base",
            "sock.sk_rmem_alloc",
            "inet6_ifaddr.if_next",
            "neigh_hash_table.hash_buckets",
            "__wait_queue_head.task_list",
            "__wait_queue.task_list",
        ],
        &["sem_array.sems"],
    ),
    types(
        "6.13 to 7.x: neighbours in hlists",
        "part { rmem_alloc: int } sem_array { sems: long } sock { sk_backlog: part }
         inet6_ifaddr { if_list: long } neigh_hash_table { hash_heads: *long }
         wait_queue_head { head: long } wait_queue_entry { private: *long, entry: long }",
        &[
            "sem_array.sems",
            "sock.sk_backlog.rmem_alloc",
            "inet6_ifaddr.if_list",
            "neigh_hash_table.hash_heads",
            "wait_queue_head.head",
            "wait_queue_entry.entry",
        ],
        &["sock.sk_rmem_alloc"],
    ),
    // ---- include/linux/fs.h ----
    types(
        "4.18 to 7.0: d_u",
        "d_u { d_alias: long } dentry { d_u: d_u }",
        &["dentry.d_u.d_alias"],
        &["dentry.d_alias"],
    ),
    types("7.1 and later", "dentry { d_alias: long }", &["dentry.d_alias"], &["dentry.d_u.d_alias"]),
    types("4.18 to 6.12: f_count", "file { f_count: long }", &["file.f_count"], &["file.f_ref.refcnt"]),
    types(
        "6.13 and later: f_ref",
        "file_ref { refcnt: long } file { f_ref: file_ref }",
        &["file.f_ref.refcnt"],
        &["file.f_count"],
    ),
    // ---- include/linux/mmzone.h ----
    types(
        "4.18: watermark, a CPU's set of pages with its counters",
        "zone { watermark: long[3], pageset: *long } enum { NR_SLAB_RECLAIMABLE = 5, NR_SLAB_UNRECLAIMABLE = 6 }",
        &[
            "zone.watermark",
            "zone.pageset",
            "counters of pages.NR_SLAB_RECLAIMABLE",
            "counters of pages.NR_SLAB_UNRECLAIMABLE",
        ],
        &["zone._watermark"],
    ),
    types(
        "5.14 and later",
        "zone { _watermark: long[4], per_cpu_pageset: *long } enum { NR_SLAB_RECLAIMABLE_B = 5, NR_SLAB_UNRECLAIMABLE_B = 6 }",
        &[
            "zone._watermark",
            "zone.per_cpu_pageset",
            "counters of pages.NR_SLAB_RECLAIMABLE_B",
            "counters of pages.NR_SLAB_UNRECLAIMABLE_B",
        ],
        &["zone.watermark"],
    ),
    symbols(
        "4.20",
        &["totalram_pages", "vm_numa_stat"],
        &["memory as a whole.totalram_pages", "memory as a whole.vm_numa_stat"],
    ),
    symbols(
        "5.14",
        &["_totalram_pages", "vm_numa_event"],
        &["memory as a whole._totalram_pages", "memory as a whole.vm_numa_event"],
    ),
    // ---- mm/slub.c, lib/stackdepot.c ----
    types(
        "5.10: pages in a CPU's list; 5.16 to 6.2: slabs of the stack depot",
        "page { flags: long, pages: int } handle_parts { slabindex: int, offset: int }",
        &["page.pages", "handle_parts.slabindex"],
        &["page.slabs"],
    ),
    types(
        "6.3 to 6.7: pools of the stack depot",
        "slab { slab_cache: long, slabs: int } handle_parts { pool_index: int, offset: int }",
        &["slab.slabs", "handle_parts.pool_index"],
        &["slab.pages", "handle_parts.pool_index_plus_1"],
    ),
    types(
        "6.8 and later: pools counted from one",
        "handle_parts { pool_index_plus_1: int, offset: int }",
        &["handle_parts.pool_index_plus_1"],
        &["handle_parts.pool_index"],
    ),
    symbols("6.2: stack_slabs", &["stack_slabs"], &["list of slab caches.stack_slabs"]),
    symbols("6.3: stack_pools", &["stack_pools"], &["list of slab caches.stack_pools"]),
    // ---- include/linux/fs.h ----
    types(
        "4.17 and before: the page cache in page_tree",
        "address_space { page_tree: long, nrpages: long }",
        &["address_space.radix page_tree"],
        &["address_space.radix i_pages"],
    ),
    types(
        "4.18 to 7.x: in i_pages",
        "address_space { i_pages: long, nrpages: long }",
        &["address_space.radix i_pages"],
        &["address_space.radix page_tree"],
    ),
    // ---- block, kernel/bpf, lib/sbitmap.c ----
    types(
        "5.10: a disk's counters in its first part, an array of hardware queues",
        "hd_struct { dkstats: *long } gendisk { part0: hd_struct } memory { pages: int, user: *long }
         request_queue { nr_hw_queues: int, queue_hw_ctx: *long } bpf_map { id: int, memory: memory }
         sbitmap { depth: int } sbitmap_queue { sb: sbitmap, alloc_hint: *int, round_robin: int }",
        &[
            "gendisk.embedded part0",
            "request_queue.pointer queue_hw_ctx",
            "bpf_map.memory.pages",
            "bpf_map.memory.user",
            "sbitmap_queue.pointer alloc_hint",
            "sbitmap_queue.round_robin",
        ],
        &["request_queue.radix hctx_table"],
    ),
    types(
        "5.18 to 6.x: a block device for the whole disk, hardware queues in a tree",
        "block_device { bd_stats: *long } gendisk { part0: *block_device }
         request_queue { nr_hw_queues: int, hctx_table: long } bpf_map { id: int }
         sbitmap { depth: int, alloc_hint: *int, round_robin: int } sbitmap_queue { sb: sbitmap }",
        &[
            "gendisk.pointer part0",
            "request_queue.radix hctx_table",
            "sbitmap_queue.pointer sb.alloc_hint",
            "sbitmap_queue.sb.round_robin",
        ],
        &["gendisk.embedded part0", "request_queue.pointer queue_hw_ctx"],
    ),
    types(
        "4.18: a map's pages are charged to a user",
        "bpf_map { id: int, pages: int, user: *long }",
        &["bpf_map.pages", "bpf_map.user"],
        &["bpf_map.memory.pages"],
    ),
    // ---- kernel/printk ----
    types(
        "4.18, 5.4: records",
        "printk_log { ts_nsec: long, len: short, text_len: short, dict_len: short, facility: char }",
        &["printk_log.dict_len"],
        &["printk_info.seq"],
    ),
    types(
        "3.10 and before: struct log",
        "log { ts_nsec: long, len: short, text_len: short, dict_len: short, level: short }",
        &["log.level"],
        &["log.facility"],
    ),
    symbols("5.10", &["prb", "log_buf"], &["variables of the log.ring prb"]),
    symbols("3.5", &["log_first_idx", "log_buf"], &["variables of the log.records log_first_idx"]),
    symbols("3.4", &["log_buf", "log_end"], &["variables of the log.text log_buf"]),
];
