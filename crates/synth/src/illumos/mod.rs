//! Dumps of an illumos kernel that never ran: a memory image with the structures that a debugger
//! reads, and the files that hold it. What was put in is told, so that tests compare with that.

mod container;
mod ctf;
mod kernel;
mod layout;
mod lzjb;
mod memory;
mod objects;
mod symbols;

pub use container::{Dump, Packing};
pub use kernel::{Kernel, Options, Planted};
pub use lzjb::compress;
