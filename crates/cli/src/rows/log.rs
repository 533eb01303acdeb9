//! The kernel's log.

use necropsy_rows::{Hex, row};

row! {
    /// A message.
    #[derive(Debug)]
    pub struct MessageRow<'a> {
        /// Its number.
        pub seq: u64,
        /// Time since boot.
        pub time_ns: Option<u64> [ns],
        /// Level, 0 (emergency) to 7 (debug).
        pub level: Option<u8>,
        /// Syslog facility; 0 is the kernel.
        pub facility: u8,
        /// Who wrote it: `T` and a thread id, or `C` and a CPU.
        pub caller: Option<String>,
        /// The message.
        pub text: &'a str,
        /// The subsystem of the device that it is about.
        pub subsystem: Option<&'a str> [maybe],
        /// The device.
        pub device: Option<&'a str> [maybe],
        /// Why it cannot be read.
        pub lost: Option<String> [maybe],
    }

    /// What never reached the log: a line in a buffer of NMIs or nested messages (before 5.15).
    #[derive(Debug)]
    pub struct UnflushedRow<'a> {
        /// The buffer.
        pub buffer: &'a str,
        /// The CPU whose buffer it is.
        pub cpu: u32,
        /// Level, 0 (emergency) to 7 (debug).
        pub level: Option<u8>,
        /// The message.
        pub text: &'a str,
    }

    /// A buffer of NMIs or nested messages (`-s`).
    #[derive(Debug)]
    pub struct BufferRow<'a> {
        /// The buffer.
        pub buffer: &'a str,
        /// The CPU whose buffer it is.
        pub cpu: u32,
        /// Where it lies.
        pub address: Hex,
        /// How much of it is in use.
        pub size: u32 [bytes],
        /// How many messages found no room.
        pub messages_lost: u32,
        /// The messages.
        pub lines: Vec<&'a str>,
    }

    /// An audit message that nobody has fetched (`-a`).
    #[derive(Debug)]
    pub struct AuditRow<'a> {
        /// Its type (include/uapi/linux/audit.h).
        pub kind: u16 [key "type"],
        /// The message.
        pub text: &'a str,
    }
}
