//! include/linux/timer.h, hrtimer.h, kernel/time/timer.c, hrtimer.c, timekeeper_internal.h

shapes! {
    /// A timer wheel.
    TimerBase = "timer_base" {
        lists: "vectors",
        clk?o: "clk",
    }
    /// A timer on a wheel.
    TimerList = "timer_list" {
        link: "entry",
        expires: "expires",                                 // jiffies
        function: "function",
        flags: "flags",
    }
    /// The high-resolution timers of a CPU.
    HrtimerCpuBase = "hrtimer_cpu_base" {
        clocks: "clock_base",
    }
    /// Those of one clock.
    HrtimerClockBase = "hrtimer_clock_base" {
        clock: "clockid",
        tree: "active.rb_root" | "active.head",             // cached in 4.14
        get_time?o: "get_time",                             // gone in 6.18
        offset?o: "offset" | "offset.tv64",                 // ns from the monotonic clock
    }
    /// A high-resolution timer.
    Hrtimer = "hrtimer" {
        node: "node",
        expires: "node.expires" | "node.expires.tv64",      // ns
        soft_expires: "_softexpires" | "_softexpires.tv64",
        function: "function",
    }
    /// The pace of the timekeeper.
    TimekeeperPace = "timekeeper" {
        tick?o: "xtime_interval",                           // ns << shift
        shift?o: "tkr_mono.shift",
    }
}
