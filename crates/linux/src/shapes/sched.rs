//! kernel/sched/sched.h, include/linux/sched.h, include/linux/kernfs.h

shapes! {
    /// What the scheduling classes queue of a task.
    TaskEntities = "task_struct" for ps bt foreach task runq {
        fair: "se",
        realtime: "rt",
        deadline: maybe "dl",
        on_rq: maybe "on_rq",
    }
    /// A queue of the fair class, of a CPU or of a task group on it.
    CfsRq = "cfs_rq" for runq {
        tasks: "tasks_timeline",                            // rb_root_cached, rb_root until 4.13
        curr: "curr",
        nr_queued: "nr_queued" | "nr_running",              // renamed in 6.14
        rq: maybe "rq",
        tg: maybe "tg",
        throttled: maybe "throttled",
        throttled_list: maybe "throttled_list",
    }
    /// A task or a group in the fair class.
    SchedEntity = "sched_entity" for runq {
        node: "run_node",
        my_q: maybe "my_q",
        delayed: maybe "sched_delayed",                     // 6.12: asleep, and still queued
    }
    /// A queue of the real-time class.
    RtRq = "rt_rq" for runq {
        active: "active",
        tg: maybe "tg",
        throttled: maybe "rt_throttled",
    }
    /// Its lists, one a priority.
    RtPrioArray = "rt_prio_array" for runq {
        queue: "queue",
    }
    /// A task or a group in the real-time class.
    SchedRtEntity = "sched_rt_entity" for runq {
        link: "run_list",
        my_q: maybe "my_q",
    }
    /// A queue of the deadline class.
    DlRq = "dl_rq" for runq {
        tasks: maybe "root" | "rb_root",
    }
    /// A task in the deadline class, or a server for another class.
    SchedDlEntity = "sched_dl_entity" for runq {
        node: maybe "rb_node",
        is_server: maybe "dl_server",                       // 6.8
    }
    /// A group of tasks.
    TaskGroup = "task_group" for runq {
        list: maybe "list",
        rt_rq: maybe "rt_rq",
        cgroup: maybe "css.cgroup",
        throttled: maybe "cfs_bandwidth.throttled_cfs_rq",
    }
    /// A control group.
    Cgroup = "cgroup" for runq {
        kernfs_node: maybe "kn",
    }
    /// A file or directory of kernfs.
    KernfsNode = "kernfs_node" for runq {
        name: maybe "name",
    }
}
