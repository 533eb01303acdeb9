//! The Linux kernel as objects.
#![forbid(unsafe_code)]

pub mod error;
pub mod kernel;
pub mod list;
pub mod module;
pub mod shapes;
pub mod stacks;
pub mod task;
pub mod xarray;

pub use error::{Error, Result};
pub use kernel::Kernel;
