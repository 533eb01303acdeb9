//! Names of numbers that the kernel shares with user space, and so never changes.

/// Scheduling policies by number (include/uapi/linux/sched.h).
pub const POLICIES: [(u64, &str); 8] = [
    (0, "NORMAL"),
    (1, "FIFO"),
    (2, "RR"),
    (3, "BATCH"),
    (4, "ISO"),
    (5, "IDLE"),
    (6, "DEADLINE"),
    (7, "EXT"),
];

/// Resource limits, by their number (include/uapi/asm-generic/resource.h).
pub const LIMITS: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// The number of a policy, by its name or number.
pub fn policy_number(text: &str) -> Option<u64> {
    let text = text.trim();
    let named = |(_, name): &&(u64, &str)| name.eq_ignore_ascii_case(text);
    text.parse().ok().or_else(|| POLICIES.iter().find(named).map(|(number, _)| *number))
}

/// The name of a policy.
pub fn policy_name(number: u64) -> Option<&'static str> {
    POLICIES.iter().find(|(policy, _)| *policy == number).map(|(_, name)| *name)
}
