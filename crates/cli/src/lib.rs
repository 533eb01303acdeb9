//! The product's shell: the registry of commands, their language, the prompt, and rendering.
//!
//! Commands read kernel objects and yield rows; this crate is the only one that knows of
//! terminals. A line's way: [`language`] takes it apart, [`registry`] knows the command,
//! [`parsed`] sorts its words, the command runs on the [`session`], and [`render`] prints.
#![forbid(unsafe_code)]

pub mod aliases;
pub mod args;
pub mod commands;
mod context;
pub mod convert;
pub mod crash_args;
pub mod debug_files;
mod debug_info;
mod error;
mod fields;
mod frames;
mod kernel;
mod kernel_names;
pub mod language;
mod locals;
mod meaning;
pub mod memory;
pub mod names;
pub mod numbers;
mod oops;
mod oops_lines;
pub mod opening;
pub mod parsed;
mod problems;
pub mod prompt;
pub mod registry;
pub mod render;
mod run;
pub mod session;
pub mod settings;
mod source;
pub mod tasks;
pub mod values;
pub mod variables;
mod wall;

pub use error::{CommandError, Outcome, Status};
pub use run::run;
