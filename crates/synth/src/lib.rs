//! Builds dumps for tests, byte by byte from the formats' descriptions: nothing here is shared
//! with the readers, so that a mistake in one does not hide in the other.
#![forbid(unsafe_code)]

mod archive;
mod buffer;
mod data;
mod elf;
mod elf_file;
mod example;
mod flattened;
pub mod illumos;
mod kdump;
mod pack;
mod qemu;
mod ranges;
mod sadump;
mod vmware;
mod xen;

pub use archive::{tar, zip};
pub use buffer::{Buffer, Order};
pub use data::{DataTest, Needs, run_data_tests};
pub use elf::{ElfCore, Segment};
pub use elf_file::{ElfFile, FileSection};
pub use example::{repository_dump, run_example};
pub use flattened::flatten;
pub use kdump::{Kdump, StoredPage};
pub use pack::{Codec, bgzf, pack};
pub use qemu::{QemuStream, SentPage, libvirt_save, qcow2_state};
pub use ranges::{avml, lime, s390};
pub use sadump::Sadump;
pub use vmware::VmwareState;
pub use xen::{XenPage, xen_core, xen_host};
