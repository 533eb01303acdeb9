//! A stopped machine: memory, types, symbols, registers, stacks.
#![forbid(unsafe_code)]

pub mod image;
pub mod layout;
pub mod paging;
pub mod regs;
pub mod target;
pub mod unwind;

pub use image::{Image, Located};
pub use layout::{Layout, Overrides};
pub use regs::{Reg, Regs};
pub use target::{Fact, Target};
