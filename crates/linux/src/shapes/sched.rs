//! kernel/sched/sched.h, include/linux/sched.h, include/linux/kernfs.h

shapes! {
    /// What the scheduling classes queue of a task.
    TaskEntities = "task_struct" {
        fair: "se",
        realtime: "rt",
        deadline?o: "dl",
        on_rq?o: "on_rq",
    }
    /// A queue of the fair class, of a CPU or of a task group on it.
    CfsRq = "cfs_rq" {
        tasks: "tasks_timeline",                            // rb_root_cached, rb_root until 4.13
        curr: "curr",
        nr_queued: "nr_queued" | "nr_running",              // renamed in 6.14
        rq?o: "rq",
        tg?o: "tg",
        throttled?o: "throttled",
        throttled_list?o: "throttled_list",
    }
    /// A task or a group in the fair class.
    SchedEntity = "sched_entity" {
        node: "run_node",
        my_q?o: "my_q",
        delayed?o: "sched_delayed",                         // 6.12: asleep, and still queued
    }
    /// A queue of the real-time class.
    RtRq = "rt_rq" {
        active: "active",
        tg?o: "tg",
        throttled?o: "rt_throttled",
    }
    /// Its lists, one a priority.
    RtPrioArray = "rt_prio_array" {
        queue: "queue",
    }
    /// A task or a group in the real-time class.
    SchedRtEntity = "sched_rt_entity" {
        link: "run_list",
        my_q?o: "my_q",
    }
    /// A queue of the deadline class.
    DlRq = "dl_rq" {
        tasks?o: "root" | "rb_root",
    }
    /// A task in the deadline class, or a server for another class.
    SchedDlEntity = "sched_dl_entity" {
        node?o: "rb_node",
        is_server?o: "dl_server",                           // 6.8
    }
    /// A group of tasks.
    TaskGroup = "task_group" {
        list?o: "list",
        rt_rq?o: "rt_rq",
        cgroup?o: "css.cgroup",
        throttled?o: "cfs_bandwidth.throttled_cfs_rq",
    }
    /// A control group.
    Cgroup = "cgroup" {
        kernfs_node?o: "kn",
    }
    /// A file or directory of kernfs.
    KernfsNode = "kernfs_node" {
        name?o: "name",
    }
}
