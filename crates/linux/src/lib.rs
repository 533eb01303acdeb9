//! The Linux kernel as objects.
#![forbid(unsafe_code)]

pub mod error;
pub mod kernel;
pub mod list;
pub mod module;
pub mod panic;
pub mod printk;
pub mod shapes;
mod span;
pub mod stacks;
pub mod system;
pub mod task;
pub mod time;
pub mod xarray;

pub use error::{Error, Result};
pub use kernel::Kernel;
