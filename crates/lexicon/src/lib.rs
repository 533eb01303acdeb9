//! The words that everything else shares, and nothing but words: which machines there are
//! ([`Arch`]), their registers ([`Reg`]), what an address can be ([`AddressClass`]), what a
//! [`value`] is by its bits alone, and what kind of trouble a dump or a text shows ([`Symptom`]).
//!
//! A leaf: it reads no file and knows no other crate, so that a stopped machine and a panic text
//! can name the same thing in the same way.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod arch;
pub mod reg;
mod symptom;
pub mod value;

pub use address::AddressClass;
pub use arch::Arch;
pub use reg::Reg;
pub use symptom::Symptom;
