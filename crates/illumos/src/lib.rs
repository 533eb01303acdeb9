//! The illumos kernel as objects.
//!
//! Two structures have layouts that are compiled in, `modctl` and `module` ([`module`]), because
//! they lead to the types; everything else is read by member name through CTF ([`shapes`]). A
//! symbol or member that a kernel lacks costs what needs it, and says so.
#![forbid(unsafe_code)]

pub mod cpu;
pub mod device;
mod error;
pub mod files;
pub mod kernel;
pub mod kmem;
pub mod list;
pub mod log;
pub mod module;
pub mod page;
pub mod panic;
mod panicbuf;
pub mod process;
pub mod search;
pub mod shapes;
pub mod stack;
pub mod symbols;
pub mod sync;
pub mod thread;
mod types;
pub mod vmem;
pub mod whatis;
pub mod zone;

pub use error::{Error, Result};
pub use kernel::Kernel;
