//! System V IPC and signals.

use necropsy_rows::{Faults, Hex, row};

row! {
    /// A message that waits to be fetched.
    #[derive(Debug)]
    pub struct MessageRow {
        /// Its `struct msg_msg`.
        pub message: Hex,
        /// The type that its sender gave it.
        pub message_type: u64 [key "type"],
        /// Length of its text.
        pub bytes: u64 [bytes],
    }

    /// An object of System V IPC.
    #[derive(Debug)]
    pub struct IpcRow {
        /// `shm`, `sem` or `msg`.
        pub kind: &'static str,
        /// Its `shmid_kernel`, `sem_array` or `msg_queue`.
        pub address: Hex,
        /// The key that it was made for.
        pub key: Hex,
        /// The number that processes know it by.
        pub id: u64,
        /// Its owner.
        pub uid: u64,
        /// Its permissions, octal.
        pub perms: String,
        /// Size of a segment, bytes of the messages in a queue.
        pub bytes: Option<u64> [bytes],
        /// How often a segment is attached.
        pub nattch: Option<u64>,
        /// `dest`, `locked`.
        pub status: Option<String>,
        /// How many semaphores a set has.
        pub semaphores: Option<u64> [maybe],
        /// The tasks that wait for semaphores of a set.
        pub waiters: Vec<u64> [maybe],
        /// How many messages a queue has.
        pub messages: Option<u64> [maybe],
        /// Its messages.
        pub queued: Vec<MessageRow> [maybe],
        /// Pages that a segment has room for (`-M`).
        pub allocated_pages: Option<u64> [maybe, pages],
        /// Those in memory (`-M`).
        pub resident_pages: Option<u64> [maybe, pages],
        /// Those in swap (`-M`).
        pub swapped_pages: Option<u64> [maybe, pages],
        /// The inode behind a segment (`-M`).
        pub inode: Option<Hex> [maybe],
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// What a process does about a signal.
    #[derive(Debug)]
    pub struct SignalRow {
        /// The task.
        pub pid: Option<u64>,
        /// The signal.
        pub signal: u64,
        /// Its name.
        pub name: Option<String>,
        /// `SIG_DFL`, `SIG_IGN`, or the address of a function.
        pub handler: String,
        /// Its `struct k_sigaction`.
        pub sigaction: Hex,
        /// SA_ flags.
        pub flags: Hex,
        /// Signals that are blocked meanwhile.
        pub mask: Hex,
        /// Whether the thread blocks it.
        pub blocked: Option<bool>,
        /// Whether it waits for this thread, or for its process.
        pub pending: Option<bool>,
    }
}
