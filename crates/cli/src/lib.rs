//! The product's shell: the registry of commands, their language, the prompt, and rendering.
//!
//! Commands read kernel objects and yield rows; this crate is the only one that knows of
//! terminals. A line's way: [`language`] takes it apart, [`registry`] knows the command,
//! [`parsed`] sorts its words, the command runs on the [`session`], and [`render`] prints.
#![forbid(unsafe_code)]
// They end the program when nobody reads what it prints: `necropsy … 2>&1 | head`.
#![deny(clippy::print_stderr, clippy::print_stdout)]

/// A line on the error stream, whether or not anybody reads it.
macro_rules! complain {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{}\n", format_args!($($text)*)),
        );
    }};
}

/// A line on the standard output, whether or not anybody reads it.
macro_rules! say {
    () => { say!("") };
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(
            &mut std::io::stdout(),
            format_args!("{}\n", format_args!($($text)*)),
        );
    }};
}

mod addresses;
pub mod aliases;
pub mod args;
pub mod cache;
pub mod command;
pub mod commands;
mod context;
pub mod convert;
mod cpus;
pub mod crash_args;
mod error;
mod fields;
mod frames;
mod kernel;
mod kernel_names;
pub mod language;
mod locals;
pub mod mdb;
pub mod memory;
pub mod names;
mod near;
pub mod numbers;
mod oops;
pub mod opening;
mod pages;
pub mod parsed;
mod problems;
mod progress;
pub mod prompt;
pub mod registry;
pub mod render;
pub mod rows;
mod run;
pub mod session;
pub mod settings;
mod source;
pub mod tasks;
pub mod values;
pub mod variables;
mod waits;
mod wall;
mod words;

pub use error::{CommandError, Outcome, Status};
pub use run::run;
