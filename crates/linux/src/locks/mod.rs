//! Locks: who holds one, and who waits for it.
//!
//! A kernel records who waits far better than who holds: waiters lie on their tasks' stacks and in
//! the lock's list, while readers, bits and counts have no owner. What is said of a holder
//! therefore carries a [`Certainty`].

mod futex;
mod holder;
mod kind;
mod name;
mod ring;
mod spin;
#[cfg(test)]
mod tests;
mod waiter;

pub use futex::FutexCall;
pub use holder::{Certainty, Holder};
pub use kind::LockKind;
pub use spin::Spinner;
pub use waiter::{Blocked, FoundBy, Mode, Seeker};

/// A lock, or another thing that tasks wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lock {
    /// What it is.
    pub kind: LockKind,
    /// Its virtual address: of a bit, of the word that holds it; of a futex, of its word in user space.
    pub address: u64,
    /// The `mm_struct` that the address of a futex belongs to.
    pub mm: Option<u64>,
    /// The number of the bit, for locks that are one.
    pub bit: Option<u32>,
}

impl Lock {
    /// A lock at an address.
    pub fn new(kind: LockKind, address: u64) -> Lock {
        Lock { kind, address, mm: None, bit: None }
    }
}
