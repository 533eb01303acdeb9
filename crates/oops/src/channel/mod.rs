//! Capture channels: from the bytes of any capture to the kernel's own lines.
//!
//! [`lines`] reads a capture that is all there, [`Feed`] one that comes in
//! chunks, and [`unwrap`] opens what is no text yet: compressed files, pstore,
//! the memory of ramoops, the QR code of the panic screen.
//!
//! The stages, each in a file of its own: `rows` cuts at line ends and applies
//! terminal sequences; `learn` judges a sample; `markup` unquotes; `wrap`
//! and `rest` rejoin; `structured`, `kmsg` and `netconsole` take records apart and put
//! them in order; `prefix` takes prefixes off; `ocr` repairs; `session` tells
//! kinds of lines apart.

mod calendar;
mod column;
mod compress;
mod container;
mod inner;
mod kmsg;
mod learn;
mod mail;
mod markup;
mod netconsole;
mod normalise;
mod ocr;
mod prefix;
mod printk;
mod pstore;
mod qr;
mod ramoops;
mod rest;
mod rows;
mod session;
mod structured;
mod syslog;
mod wrap;

pub use compress::Packing;
pub use container::{Kind, Stream, unwrap};
pub use normalise::{Feed, Lines, lines};
pub(crate) use session::mark_dumps;
