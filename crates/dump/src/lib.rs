//! Kernel crash dump formats behind one trait: read physical memory, or say why not.

mod fault;
mod memory;

pub use fault::{Fault, Read, Reason, Space};
pub use memory::{Page, PhysicalMemory, Presence};
