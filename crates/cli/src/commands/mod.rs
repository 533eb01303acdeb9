//! One file a command. `registry.rs` lists them.

pub(crate) mod alias;
pub(crate) mod ascii;
pub(crate) mod bt;
pub(crate) mod eval;
pub(crate) mod foreach;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod irq;
pub(crate) mod log;
pub(crate) mod mach;
pub(crate) mod ps;
pub(crate) mod list;
pub(crate) mod tree;
pub(crate) mod quit;
pub(crate) mod repeat;
pub(crate) mod runq;
pub(crate) mod set;
pub(crate) mod sys;
pub(crate) mod timer;

pub use help::LANGUAGE;
