//! What is taken out of a dump: core files of processes, content of files.

use necropsy_rows::{Hex, row};

use super::locks::TaskRef;

row! {
    /// A core file that was written.
    #[derive(Debug)]
    pub struct CoreRow {
        /// The process, by the thread that gdb shows first.
        pub process: TaskRef,
        /// The file.
        pub file: String,
        /// Its threads.
        pub threads: usize,
        /// What the dump has not: memory that gdb cannot access.
        pub gaps: Vec<GapRow>,
    }

    /// Memory of a process that is not in its core file.
    #[derive(Debug)]
    pub struct GapRow {
        /// The first byte.
        pub start: Hex,
        /// One past the last.
        pub end: Hex,
        /// `excluded` by the dump's filter, `not_saved`, `swapped`, `file` (not in memory: gdb takes it
        /// from the file itself), `device`, `untouched` (zeros, and too many of them).
        pub reason: &'static str,
    }

    /// Pages of a file that follow each other.
    #[derive(Debug)]
    pub struct CacheRow {
        /// The first byte of the file.
        pub offset: Hex => "OFFSET" left 16,
        /// How many.
        pub size: u64 [bytes] => "BYTES" right 12,
        /// `cached`: they are here; `swapped`, `evicted`, `not_cached`; `excluded`, `not_saved` and the
        /// like: the dump has them not.
        pub state: &'static str => "STATE" left 10,
        /// Physical address of the first.
        pub physical: Option<Hex> => "PHYSICAL" left 12,
    }
}
