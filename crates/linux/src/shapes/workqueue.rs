//! kernel/workqueue.c, kernel/workqueue_internal.h, include/linux/workqueue_types.h

shapes! {
    /// A work queue.
    Workqueue = "workqueue_struct" for workqueue {
        list: "list",
        queues: "pwqs",
        name: "name",
    }
    /// What a work queue has in a pool.
    PoolWorkqueue = "pool_workqueue" for workqueue locks {
        pool: "pool",
        workqueue: "wq",
        node: "pwqs_node",
        active: "nr_active",
        inactive: "inactive_works" | "delayed_works",       // renamed in 5.15
    }
    /// Threads that share a list of work.
    WorkerPool = "worker_pool" for workqueue {
        cpu: "cpu",
        node: "node",
        id: "id",
        flags: "flags",
        work: "worklist",
        workers: "workers",
        worker_count: "nr_workers",
        idle_count: "nr_idle",
        progress: maybe "last_progress_ts" | "watchdog_ts", // jiffies
    }
    /// What a worker does.
    WorkerDoes = "worker" for workqueue {
        node: "node",
        work: "current_work",
        function: "current_func",
        queue: "current_pwq",
        began: maybe "current_start",                       // jiffies
        description: maybe "desc",
    }
    /// A piece of work.
    Work = "work_struct" for workqueue locks {
        data: "data",
        entry: "entry",
        function: "func",
    }
    /// A piece of work that a timer queues.
    DelayedWork = "delayed_work" for workqueue {
        work: "work",
        timer: "timer",
        workqueue: "wq",
    }
    /// Who waits until a queue is empty.
    WqFlusher = "wq_flusher" for locks {
        done: "done",
    }
    /// Those who do.
    WqFlushing = "workqueue_struct" for locks {
        first: "first_flusher",
        name: "name",
    }
}

constants! {
    /// Parts of `work_struct.data`.
    WorkBits = "parts of work_struct.data" for workqueue {
        queued: maybe "WORK_STRUCT_PWQ",
        shift: maybe "WORK_STRUCT_PWQ_SHIFT" | "WORK_STRUCT_FLAG_BITS",
    }
}

variables! {
    /// All work queues.
    WorkqueueVariables = "list of work queues" for workqueue {
        all: "workqueues",
    }
}
