//! kernel/sched/sched.h, arch/x86/include/asm/current.h

shapes! {
    /// A run queue.
    Rq = "rq" {
        curr: "curr" | "__curr",
        idle: "idle",
        stop: "stop",
        cpu: "cpu",
        nr_running: "nr_running",
        clock: "clock",                                     // ns
        clock_task?o: "clock_task",
        cfs: "cfs",
        rt: "rt",
        dl?o: "dl",
    }
    /// Hot per-CPU data of 6.2 to 6.14; before and after, each has a variable of its own.
    PcpuHot = "pcpu_hot" {
        current_task?o: "current_task",
        hardirq_stack_ptr?o: "hardirq_stack_ptr",
    }
}
