//! Who waits for whom: locks with their holders and waiters, cycles, and who holds all others up.
//!
//! [`Graph::of`] is the one call: it looks at every task and every CPU. Then
//! - [`Graph::locks`]: what is waited for, each with its holder (and how well that is known), its
//!   waiters and since when;
//! - [`Graph::waits_for`]: the lock of a task; [`Graph::holds`]: the locks that others wait for;
//! - [`Graph::cycles`]: tasks that wait for each other. `certain` ones are deadlocks;
//! - [`Graph::roots`]: tasks that hold others up and wait for nothing themselves.

mod cycles;
mod dot;
mod giver;
mod graph;
mod requests;
#[cfg(test)]
mod tests;

pub use cycles::{Cycle, Root, Step};
pub use dot::dot;
pub use graph::{Contended, Graph, Waiter};
