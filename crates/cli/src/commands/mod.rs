//! One file a command. `registry.rs` lists them.

pub(crate) mod alias;
pub(crate) mod ascii;
pub(crate) mod eval;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod quit;
pub(crate) mod repeat;
pub(crate) mod set;

pub use help::LANGUAGE;
