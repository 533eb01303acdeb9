//! include/linux/signal_types.h, include/linux/sched/signal.h

shapes! {
    /// The signals of a task.
    TaskSignals = "task_struct" for sig {
        handlers: "sighand",
        blocked: "blocked",
        pending: "pending",
        signal: "signal",
    }
    /// The signals of a process.
    ProcessSignals = "signal_struct" for sig {
        pending: "shared_pending",
        threads: "nr_threads",
    }
    /// What a process does about signals.
    SigHand = "sighand_struct" for sig {
        actions: "action",
    }
    /// What it does about one.
    SigAction = "k_sigaction" for sig {
        handler: "sa.sa_handler",
        flags: "sa.sa_flags",
        mask: "sa.sa_mask",
    }
    /// Signals on their way.
    SigPending = "sigpending" for sig {
        list: "list",
        set: "signal",
    }
    /// One that carries information.
    SigQueue = "sigqueue" for sig {
        list: "list",
        info: "info",
        number: "info.si_signo",
    }
}
