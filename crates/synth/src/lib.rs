//! Builds dumps for tests, byte by byte from the formats' descriptions: nothing here is shared
//! with the readers, so that a mistake in one does not hide in the other.
#![forbid(unsafe_code)]

mod buffer;
mod elf;
mod elf_file;
mod flattened;
mod kdump;
mod pack;

pub use buffer::{Buffer, Order};
pub use elf::{ElfCore, Segment};
pub use elf_file::{ElfFile, FileSection};
pub use flattened::flatten;
pub use kdump::{Kdump, StoredPage};
pub use pack::{Codec, pack};
