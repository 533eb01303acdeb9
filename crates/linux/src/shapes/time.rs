//! include/linux/timekeeper_internal.h, kernel/time/timekeeping.c

shapes! {
    /// The system's clock since 6.13, with its lock and its shadow.
    TkData = "tk_data" {
        timekeeper?o: "timekeeper",
    }
    /// A clock.
    Timekeeper = "timekeeper" {
        tkr_mono: "tkr_mono" | "tkr",                       // renamed in 4.1
        xtime_sec: "xtime_sec",                             // s since the epoch
        wall_to_monotonic_sec: "wall_to_monotonic.tv_sec",  // s, negative
        wall_to_monotonic_nsec: "wall_to_monotonic.tv_nsec",
        offs_boot: "offs_boot" | "offs_boot.tv64",          // ns asleep
    }
    /// The part of a clock that readers need.
    TkReadBase = "tk_read_base" {
        xtime_nsec: "xtime_nsec",                           // ns << shift
        shift: "shift",
    }
}
