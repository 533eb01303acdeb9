//! From files to a kernel: opens a dump, and finds the debug information that fits it.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attach;
mod debug_files;
mod event;
pub mod files;
mod index;
mod opening;

pub use attach::{attach, load_module};
pub use debug_files::{
    DebugFiles, Found, Lookup, Options, cache_dir, is_debug_file, urls_of_environment,
};
pub use event::{Event, Listener};
pub use index::{LoadError, index, open_file};
pub use opening::{Opening, open};
