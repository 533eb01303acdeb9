//! What was traced.

use necropsy_rows::{Hex, Perhaps, row};

row! {
    /// A field of an event.
    #[derive(Debug)]
    pub struct TraceFieldRow {
        /// Its name.
        pub name: String,
        /// Its value, where that is a number.
        pub number: Option<i64> [maybe],
        /// Its value, where that is text.
        pub text: Option<String> [maybe],
        /// Its values, where it is an array.
        pub numbers: Vec<Hex> [maybe],
    }

    /// An event that was traced.
    #[derive(Debug)]
    pub struct TraceRow {
        /// The instance of tracing; `null` for the one at the top.
        pub instance: Option<String>,
        /// Where it happened.
        pub cpu: u32,
        /// When, by the trace's clock.
        pub time_ns: u64 [ns],
        /// The page says so. Since 7.0 a reader wipes it out: then the time is the latest that fits.
        pub exact: bool,
        /// The thread that ran.
        pub pid: i32,
        /// The command name that it had, if the kernel kept it.
        pub comm: String,
        /// Interrupts off, wants to be rescheduled, context, depths of preemption and migration off, as
        /// in the kernel's own output.
        pub flags: String,
        /// The event's group; `null` for a kind that the kernel no longer knows.
        pub system: Option<String>,
        /// Its name.
        pub event: Option<String>,
        /// What it says, as the kernel prints it.
        pub text: String,
        /// Its fields.
        pub fields: Vec<TraceFieldRow>,
        /// It had been read before the machine stopped, and the kernel had forgotten it: by the dying
        /// kernel as it printed its trace, or by a reader.
        pub consumed: bool,
    }

    /// An instance of tracing.
    #[derive(Debug)]
    pub struct TraceInstanceRow {
        /// Its `struct trace_array`.
        pub trace_array: Hex => "TRACE_ARRAY" left 16,
        /// Its name; `null` for the one at the top.
        pub instance: Perhaps<String> => "INSTANCE" left 12,
        /// The tracer that filled it: `nop` where only events did.
        pub tracer: Option<String> => "TRACER" left 14,
        /// A CPU.
        pub cpu: u32 => "CPU" right 3,
        /// Events of that CPU that are there to be read.
        pub unread: u64 => "UNREAD" right 8,
        /// Events that had been read.
        pub read: u64 => "READ" right 8,
        /// Events that were overwritten by later ones.
        pub overwritten: u64 => "LOST" right 8,
        /// Events that found no room.
        pub dropped: Option<u64> => "DROPPED" right 8,
    }
}
