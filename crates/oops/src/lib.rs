//! Panic text: channels, segmenting, decoding, naming.
//!
//! [`reports`] reads a log that is all there, [`Scanner`] one that comes in.
//! Each [`Report`] says what kind of trouble it is, what to call it, which
//! function is to blame, and what registers, trace and code tell. Nothing here
//! opens a file: [`Symbolizer`] is how a caller lends its symbols.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod channel;
mod decode;
mod fragment;
mod kdb;
mod line;
mod naming;
pub mod render;
mod report;
mod scan;
mod search;
mod segment;
mod signature;
mod symbolize;
mod system;
mod titles;
mod twins;

pub use decode::user::syscall_name;
pub use line::{Context, Line, LineKind};
pub use naming::skip::carries_out;
pub use naming::type_of;
pub use necropsy_lexicon::{Arch, Symptom};
pub use report::{
    Access, Code, ErrorCode, Event, Frame, MachineCheck, Mismatch, Module, Object, Register,
    Report, SourceLine, Stack, Stall, Taint, TitleStyle, User, Value, Victim,
};
pub use scan::{Options, Scanner, reports, reports_of_lines};
pub use signature::{SIG_ALGO, Signature};
pub use symbolize::{Location, Place, Symbolizer};
