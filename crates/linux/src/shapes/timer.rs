//! include/linux/timer.h, hrtimer.h, kernel/time/timer.c, hrtimer.c, timekeeper_internal.h

shapes! {
    /// A timer wheel.
    TimerBase = "timer_base" for timer {
        lists: "vectors",
        clk: maybe "clk",
    }
    /// A timer on a wheel.
    TimerList = "timer_list" for timer {
        link: "entry",
        expires: "expires",                                 // jiffies
        function: "function",
        flags: "flags",
    }
    /// The high-resolution timers of a CPU.
    HrtimerCpuBase = "hrtimer_cpu_base" for timer {
        clocks: "clock_base",
    }
    /// Those of one clock.
    HrtimerClockBase = "hrtimer_clock_base" for timer {
        clock: "clockid",
        tree: "active.rb_root" | "active.head",             // cached in 4.14
        get_time: maybe "get_time",                         // gone in 6.18
        offset: maybe "offset",                             // ns from the monotonic clock
    }
    /// A high-resolution timer.
    Hrtimer = "hrtimer" for timer {
        node: "node",
        expires: "node.expires",                            // ns
        soft_expires: "_softexpires",
        function: "function",
    }
    /// The pace of the timekeeper.
    TimekeeperPace = "timekeeper" for sys log ps timer {
        tick: maybe "xtime_interval",                       // ns << shift
        shift: maybe "tkr_mono.shift",
    }
}

variables! {
    /// Ticks.
    TickVariables = "variables of the tick" for timer sys {
        jiffies: "jiffies_64" | "jiffies",
        tick_ns: maybe "tick_nsec",
    }
}
