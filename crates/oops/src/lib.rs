//! Panic text: channels, segmenting, decoding, naming.
//!
//! [`reports`] reads a log that is all there, [`Scanner`] one that comes in.
//! Each [`Report`] says what kind of trouble it is, what to call it, which
//! function is to blame, and what registers, trace and code tell. Nothing here
//! opens a file: [`Symbolizer`] is how a caller lends its symbols.
#![forbid(unsafe_code)]

pub mod channel;
mod class;
mod decode;
mod line;
mod naming;
pub mod render;
mod report;
mod scan;
mod segment;
mod signature;
mod symbolize;
mod system;
mod titles;

pub use class::Class;
pub use decode::meaning::errno;
pub use decode::user::syscall_name;
pub use line::{Context, Line, LineKind};
pub use naming::type_of;
pub use report::{
    Arch, Code, ErrorCode, Frame, Module, Register, Report, Taint, TitleStyle, User, Value,
};
pub use scan::{Options, Scanner, reports, reports_of_lines};
pub use signature::{SIG_ALGO, Signature};
pub use symbolize::{Location, Place, Symbolizer};
