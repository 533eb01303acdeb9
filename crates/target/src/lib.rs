//! A stopped machine: memory, types, symbols, registers, stacks.
#![forbid(unsafe_code)]

pub mod dataflow;
pub mod debug;
pub mod expr;
#[cfg(test)]
mod fake;
pub mod format;
pub mod image;
pub mod layout;
pub mod paging;
pub mod regs;
pub mod scope;
pub mod target;
pub mod unwind;
pub mod value;

pub use image::{Image, Located};
pub use layout::{Layout, Overrides};
pub use regs::{Reg, Regs};
pub use target::{Fact, Target};
