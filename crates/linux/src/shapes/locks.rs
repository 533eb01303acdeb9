//! include/linux/mutex_types.h, rwsem.h, rwbase_rt.h, semaphore.h, rtmutex.h, completion.h, swait.h,
//! wait.h, wait_bit.h, pagemap.h, percpu-rwsem.h; kernel/locking/rtmutex_common.h

shapes! {
    /// A mutex. 7.1 took the head of its list away; on PREEMPT_RT it is an rt_mutex.
    Mutex = "mutex" for locks {
        owner: maybe "owner",                               // task, flags in the low bits
        waiters: maybe embedded "wait_list" | pointer "first_waiter",
        rtmutex: maybe "rtmutex",
    }
    /// A task that waits for a mutex.
    MutexWaiter = "mutex_waiter" for locks {
        list: "list",
        task: "task",
    }
    /// A mutex with a ticket.
    WwMutex = "ww_mutex" for locks {
        base: "base",
    }
    /// A reader-writer semaphore; on PREEMPT_RT an rt_mutex with a count of readers.
    RwSemaphore = "rw_semaphore" for locks {
        count: maybe "count",
        owner: maybe pointer "owner" | embedded "owner",    // a pointer until 5.3
        waiters: maybe embedded "wait_list" | pointer "first_waiter",
        rtmutex: maybe "rwbase.rtmutex",
        readers: maybe "rwbase.readers",
    }
    /// A task that waits for one.
    RwsemWaiter = "rwsem_waiter" for locks {
        list: "list",
        task: "task",
        kind: maybe "type",
    }
    /// A counting semaphore.
    Semaphore = "semaphore" for locks {
        count: "count",
        waiters: embedded "wait_list" | pointer "first_waiter",
        last_holder: maybe "last_holder",                   // for the hung-task detector
    }
    /// A task that waits for one.
    SemaphoreWaiter = "semaphore_waiter" for locks {
        list: "list",
        task: "task",
    }
    /// A mutex with priority inheritance.
    RtMutex = "rt_mutex_base" | "rt_mutex" for locks {
        waiters: "waiters.rb_root",
        owner: "owner",                                     // task, bit 0: it has waiters
    }
    /// A task that waits for one.
    RtMutexWaiter = "rt_mutex_waiter" for locks {
        tree: "tree.entry" | "tree_entry",
        task: "task",
        lock: "lock",
    }
    /// A task on a simple wait queue.
    SwaitQueue = "swait_queue" for locks {
        task: "task",
        list: "task_list",
    }
    /// Something to be completed.
    Completion = "completion" for locks {
        done: "done",
        waiters: "wait.task_list" | "wait.head",            // a simple queue since 5.7
    }
    /// A task on a wait queue.
    WaitQueueEntry = "wait_queue_entry" | "__wait_queue" for locks waitq {
        task: "private",
        function: "func",
        list: "entry" | "task_list",
    }
    /// The head of a wait queue.
    WaitQueueHead = "wait_queue_head" | "__wait_queue_head" for locks waitq {
        head: "head" | "task_list",
    }
    /// A task that waits for a bit.
    WaitBitEntry = "wait_bit_queue_entry" | "wait_bit_queue" for locks {
        word: "key.flags",
        bit: "key.bit_nr",
        entry: "wq_entry" | "wait",
    }
    /// A task that waits for a bit of a folio.
    WaitFolioEntry = "wait_page_queue" for locks {
        folio: "folio" | "page",                            // renamed in 5.16
        bit: "bit_nr",
        entry: "wait",
    }
    /// A reader-writer semaphore that readers take by CPU.
    PercpuRwsem = "percpu_rw_semaphore" for locks {
        waiters: maybe "waiters.head",
        writer: maybe "writer.task",                        // who keeps new readers out
    }
    /// Where locks of files lie.
    LockPlaces = "inode" for locks {
        inode: maybe "i_rwsem",
    }
    /// How far a file system is frozen.
    SuperblockState = "super_block" for locks {
        list: "s_list",
        id: "s_id",
        frozen: "s_writers.frozen",
    }
    /// What a task waits for, where the kernel notes it.
    Blocked = "task_struct" for locks {
        blocker: maybe "blocker",                           // hung-task detector, 6.16
        blocked_on: maybe "blocked_on",                     // the mutex, or its waiter
        vfork_done: maybe "vfork_done",
        worker_private: maybe "worker_private" | "set_child_tid",
    }
    /// What a kernel thread has besides.
    Kthread = "kthread" for locks {
        parked: maybe "parked",
        exited: maybe "exited",
        data: maybe "data",
    }
    /// A thread that does the work of a queue.
    Worker = "worker" for locks {
        scheduled: "scheduled",
        task: "task",
    }
    /// A note in a work queue behind the work that is flushed.
    WqBarrier = "wq_barrier" for locks {
        link: "work.entry",
        done: "done",
    }
    /// The place of a CPU that waits for a spinlock, with more behind `next` for some hypervisors.
    QueueNode = "qnode" for locks {
        next: maybe "mcs.next",
    }
}

variables! {
    /// All file systems.
    SuperblockList = "list of superblocks" for locks {
        all: "super_blocks",
    }
}

variables! {
    /// Where CPUs wait for spinlocks: four places of each.
    QueueNodes = "places in the queues of spinlocks" for locks {
        places: maybe "qnodes",
    }
}
