//! The mdb language: expressions, formats, variables, pipelines, walkers, and dcmds in a registry.
//!
//! What a dcmd looks at stands behind [`System`]; the dcmds that need no certain kernel are here
//! ([`dcmds`]), and so are those of illumos kernels ([`illumos`]). Others bring their own.
//! Nothing here knows of terminals: output goes to a [`Sink`].
#![forbid(unsafe_code)]

mod args;
pub mod dcmds;
mod disasm;
mod eval;
mod failure;
mod format;
pub mod illumos;
mod out;
mod parse;
mod print;
mod registry;
mod session;
mod system;
mod text;

pub use args::{Arg, Options};
pub use failure::{Failure, Outcome};
pub use out::Sink;
pub use registry::{Dcmd, Registry, Walker};
pub use session::{Call, Mdb};
pub use system::{Space, Symbol, System};
pub use text::{date, human};
