//! What killed a kernel: bad values followed back to where they came from, the facts of a crash,
//! findings with evidence.
//!
//! Six calls do most of it:
//! - [`Case::of_panic`] takes the task that panicked, [`Case::of`] any other;
//! - [`explain::explain`] follows the value that made a frame's instruction fail, or what its
//!   function was called with, back through the code;
//! - [`facts::Facts::gather`] has the page of facts, and asks the detectors;
//! - [`detectors::findings`] asks the detectors alone;
//! - [`value::Meaning::of`] says what a value is;
//! - [`waits::Graph::of`] has who waits for whom.
//!
//! What they give back are types with enums in them; each serialises, and each that has words says
//! them by `Display`. No kernel is too damaged: what cannot be read is said in its place.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod blame;
mod case;
mod cause;
pub mod detectors;
pub mod explain;
pub mod facts;
mod finding;
pub mod inquiry;
pub mod log;
mod names;
mod next;
mod place;
pub mod rules;
mod serial;
mod suspect;
mod text;
mod unloaded;
pub mod value;
mod verdict;
pub mod waits;
mod what_if;

pub use case::Case;
pub use cause::Cause;
pub use finding::{Confidence, Diagnosis, Evidence, Finding, Object, Rejected, Verdict};
pub use names::{Btf, Debug, Names, Parameter};
pub use text::diagnose_text;
pub use verdict::diagnose_kernel;
