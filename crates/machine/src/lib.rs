//! A stopped machine: memory, types, symbols, registers, stacks.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod arch;
pub mod dataflow;
pub mod debug;
pub mod expr;
#[cfg(test)]
mod fake;
pub mod format;
pub mod image;
pub mod layout;
pub mod paging;
pub mod protection;
pub mod regs;
pub mod scope;
pub mod stack;
mod tables;
pub mod target;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod unwind;
pub mod value;

pub use arch::{Abi, Architecture};
pub use image::{Image, Located};
pub use layout::{Layout, Overrides};
pub use necropsy_lexicon::{AddressClass, Reg, reg};
pub use regs::Regs;
pub use target::{Fact, Target};
