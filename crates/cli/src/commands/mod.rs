//! One file a command. `registry.rs` lists them.

pub(crate) mod alias;
pub(crate) mod ascii;
pub(crate) mod bt;
pub(crate) mod btop;
pub(crate) mod dis;
pub(crate) mod eval;
pub(crate) mod foreach;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod irq;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod mach;
pub(crate) mod modules;
pub(crate) mod print;
pub(crate) mod ps;
pub(crate) mod pte;
pub(crate) mod ptob;
pub(crate) mod ptov;
pub(crate) mod quit;
pub(crate) mod rd;
pub(crate) mod repeat;
pub(crate) mod report;
pub(crate) mod runq;
pub(crate) mod set;
pub(crate) mod structure;
pub(crate) mod sym;
pub(crate) mod sys;
pub(crate) mod task;
pub(crate) mod timer;
pub(crate) mod tree;
pub(crate) mod vtop;
pub(crate) mod whatis;

pub use help::LANGUAGE;
