//! The Linux kernel as objects.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arch;
pub mod block;
pub mod bpf;
pub mod build_id;
pub mod cgroup;
pub mod check;
pub mod code;
pub mod config;
pub mod dentry;
pub mod device;
pub mod disk;
pub mod error;
mod family;
pub mod files;
pub mod freelist;
pub mod hlist;
pub mod identify;
pub mod ipc;
pub mod irq;
pub mod kernel;
mod knowledge;
pub mod list;
pub mod locks;
pub mod machine;
pub mod maple;
mod memo;
pub mod memory;
pub mod module;
pub mod mount;
pub mod net;
pub mod objects;
pub mod page;
pub mod page_cache;
mod page_type;
pub mod panic;
pub mod path;
pub mod pci;
pub mod percpu;
pub mod printk;
pub mod rbtree;
pub mod rcu;
pub mod references;
pub mod runq;
pub mod sbitmap;
mod scope;
pub mod search;
#[macro_use]
pub mod shape;
pub mod shapes;
pub mod signal;
pub mod slab;
pub mod slub;
pub mod socket;
mod span;
pub mod stacks;
pub mod system;
pub mod task;
pub mod time;
pub mod timer;
pub mod trace;
pub mod uapi;
pub mod usage;
pub mod user_core;
pub mod user_stack;
pub mod vma;
pub mod vmalloc;
pub mod vmstat;
pub mod workqueue;
pub mod xarray;
pub mod zone;

pub use error::{Error, Result};
pub use kernel::Kernel;
