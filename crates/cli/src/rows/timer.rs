//! Timers.

use necropsy_rows::{Hex, row};

row! {
    /// A timer that is armed: one of the timer wheel in jiffies, or (`-r`) a high-resolution timer
    /// in nanoseconds of its clock.
    #[derive(Debug)]
    pub struct TimerRow {
        /// The CPU that it will expire on.
        pub cpu: u32,
        /// The wheel, `BASE_STD`; or the function that tells the clock's time, `ktime_get`.
        pub base: String,
        /// The `struct timer_base` or `struct hrtimer_clock_base`.
        pub base_address: Hex,
        /// The earliest time at which it may expire.
        pub soft_expires: i64,
        /// The latest time at which it is to expire.
        pub expires: i64,
        /// What is left of the time until then; negative if it should have expired already.
        pub to_expiry: Option<i64>,
        /// The `struct timer_list` or `struct hrtimer`.
        pub timer: Hex,
        /// The function that will be called.
        pub function: Hex,
        /// The function's name.
        pub function_name: Option<String>,
    }
}
