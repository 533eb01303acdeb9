//! include/linux/sched.h, include/linux/pid.h, arch/x86/include/asm/switch_to.h

shapes! {
    /// A task.
    Task = "task_struct" for ps bt foreach task runq {
        state: "__state" | "state",                         // renamed in 5.14
        exit_state: "exit_state",
        flags: "flags",
        pid: "pid",
        tgid: "tgid",
        comm: "comm",
        stack: "stack",
        cpu: "thread_info.cpu" | "cpu",                     // moved into thread_info in 5.16
        on_cpu: maybe "on_cpu",
        mm: "mm",
        active_mm: "active_mm",
        parent: "parent",
        real_parent: "real_parent",
        group_leader: "group_leader",
        signal: "signal",
        children: "children",
        sibling: "sibling",
        tasks: "tasks",
        thread_node: "thread_node",
        pid_link: "pid_links[0]" | "pids[0].node",          // 4.19; before, in a pid_link
        thread_sp: "thread.sp",
        policy: "policy",
        prio: "prio",
        static_prio: "static_prio",
        rt_priority: "rt_priority",
        utime: "utime",
        stime: "stime",
        start_time: "start_time",                           // ns, monotonic
        start_boottime: maybe "start_boottime" | "real_start_time",
        last_arrival: maybe "sched_info.last_arrival",      // ns of the run queue's clock
        cred: "cred",
        nsproxy: "nsproxy",
        files: "files",
        fs: "fs",
        thread_info_flags: "thread_info.flags",
        ret_stack: maybe "ret_stack",
        nvcsw: "nvcsw",
        nivcsw: "nivcsw",
        last_switch_count: maybe "last_switch_count",       // hung-task detector
        last_switch_time: maybe "last_switch_time",
        rss_cache: maybe "rss_stat.count",                  // until 6.1 each thread counts apart
    }
    /// A process id.
    Pid = "pid" for ps foreach {
        tasks: "tasks",
        level: "level",
        numbers: "numbers",
    }
    /// A PID namespace.
    PidNamespace = "pid_namespace" for ps foreach {
        idr: "idr.idr_rt",
        idr_base: maybe "idr.idr_base",
    }
    /// What the threads of a process share.
    Signal = "signal_struct" for ps {
        thread_head: "thread_head",
        nr_threads: "nr_threads",
        rlim: "rlim",
        leader_pid: maybe "pids",
    }
    /// What __switch_to_asm leaves on the stack of a task that sleeps.
    InactiveFrame = "inactive_task_frame" for bt foreach {
        r15: "r15",
        r14: "r14",
        r13: "r13",
        r12: "r12",
        bx: "bx",
        bp: "bp",
        ret_addr: "ret_addr",
    }
}
