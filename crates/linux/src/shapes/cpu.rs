//! kernel/sched/sched.h, arch/x86/include/asm/current.h, include/linux/cpumask.h

shapes! {
    /// A run queue.
    Rq = "rq" for ps bt runq {
        curr: "curr" | "__curr",
        idle: "idle",
        stop: "stop",
        cpu: "cpu",
        nr_running: "nr_running",
        clock: "clock",                                     // ns
        clock_task: maybe "clock_task",
        cfs: "cfs",
        rt: "rt",
        dl: maybe "dl",
    }
    /// Hot per-CPU data of 6.2 to 6.14; before and after, each has a variable of its own.
    PcpuHot = "pcpu_hot" for ps bt {
        current_task: maybe "current_task",
        hardirq_stack_ptr: maybe "hardirq_stack_ptr",
        preempt_count: maybe "preempt_count",
    }
    /// A set of CPUs.
    CpuMask = "cpumask" for ps bt {
        bits: "bits",
    }
}
