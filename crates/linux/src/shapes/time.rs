//! include/linux/timekeeper_internal.h, kernel/time/timekeeping.c

shapes! {
    /// The system's clock since 6.13, with its lock and its shadow.
    TkData = "tk_data" for sys log ps timer {
        timekeeper: maybe "timekeeper",
    }
    /// A clock.
    Timekeeper = "timekeeper" for sys log ps timer {
        tkr_mono: "tkr_mono" | "tkr",                       // renamed in 4.1
        xtime_sec: "xtime_sec",                             // s since the epoch
        wall_to_monotonic_sec: "wall_to_monotonic.tv_sec",  // s, negative
        wall_to_monotonic_nsec: "wall_to_monotonic.tv_nsec",
        offs_boot: "offs_boot",                             // ns asleep
    }
    /// The part of a clock that readers need.
    TkReadBase = "tk_read_base" for sys log ps timer {
        xtime_nsec: "xtime_nsec",                           // ns << shift
        shift: "shift",
    }
    /// What stands in front of the system's clock until 6.12: a structure without a name holds both.
    Seqcount = "seqcount_raw_spinlock_t" | "seqcount_t" for sys log ps timer {
        sequence: maybe "seqcount.sequence" | "sequence",
    }
}

variables! {
    /// The system's clock.
    TimekeeperVariables = "the system's clock" for sys log ps timer {
        timekeeper: "timekeeper_data" | "tk_core",          // 6.17: an array, the system's first
    }
}
