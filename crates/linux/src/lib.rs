//! The Linux kernel as objects.
#![forbid(unsafe_code)]

pub mod build_id;
pub mod config;
pub mod error;
pub mod hlist;
pub mod identify;
pub mod irq;
pub mod kernel;
pub mod list;
pub mod machine;
pub mod maple;
pub mod memory;
pub mod module;
pub mod panic;
pub mod path;
pub mod printk;
pub mod rbtree;
pub mod runq;
mod scope;
pub mod search;
pub mod shapes;
pub mod slab;
mod span;
pub mod stacks;
pub mod system;
pub mod task;
pub mod time;
pub mod timer;
pub mod xarray;

pub use error::{Error, Result};
pub use kernel::Kernel;
