//! QEMU's migration stream (`docs/devel/migration/main.rst`): memory as pages in the order in which
//! they were sent, the last one counting; or, with `mapped-ram`, each at its place.

mod blocks;
mod cpus;
mod pages;
mod stream;

use crate::{
    Arch, Format, FormatKind, OpenError, OpenOptions,
    meta::{FileInfo, Input, Meta, Opened, Truncation},
    reader::{Answer, Reader, Tested, single},
};
use pages::Pages;
use stream::Stream;

pub(crate) const MAGIC: &[u8; 8] = b"QEVM\0\0\0\x03";

pub(crate) const READER: Reader = Reader {
    name: "QEMU migration stream",
    about: "QEMU's migrate to a file (also with mapped-ram), virsh save, the saved state in a qcow2 image (savevm, virsh snapshot-create)",
    tested: Tested::Real,
    recognise: |input| input.has(0, MAGIC),
    answer: Answer::Open(open),
};

/// Pages of the machine: the stream's are of the target's size, which is this on every machine that
/// has page tables of 4 KiB.
const PAGE_SIZE: u64 = 4096;

fn open(inputs: Vec<Input>, _options: &OpenOptions) -> Result<Opened, OpenError> {
    let input = single(inputs)?;
    let unsupported =
        |what: String| OpenError::unsupported(&input.path, "QEMU migration stream", what);
    let stream = Stream::read(&input.image).map_err(unsupported)?;
    if stream.blocks.is_empty() {
        return Err(OpenError::corrupt(
            &input.path,
            "no memory is in it: cut within its first section",
        ));
    }
    let machine = blocks::arrange(&stream).ok_or_else(|| {
        let names: Vec<&str> = stream.blocks.iter().map(|block| block.name.as_str()).collect();
        unsupported(format!(
            "none of its blocks is known to be the machine's memory: {}",
            names.join(", ")
        ))
    })?;
    let mut meta = Meta::new(
        Format::new(FormatKind::Named {
            name: "QEMU migration stream",
            description: "QEMU migration stream",
        }),
        machine.arch,
        machine.big_endian,
    );
    meta.page_size = PAGE_SIZE;
    if stream.is_cut {
        let (path, actual) = (input.path.clone(), input.image.len());
        meta.completeness.truncated = vec![Truncation { path, expected: None, actual }];
    }
    if let (Some(Arch::X86_64), Some(end)) = (machine.arch, stream.end) {
        meta.cpu_states = cpus::find(&input.image, end);
        let count = u32::try_from(meta.cpu_states.len()).ok();
        meta.header.nr_cpus = count.filter(|&count| count > 0);
    }
    let is_cut = stream.is_cut;
    let memory = Pages::new(input.image.clone(), stream, &machine.places);
    meta.files = vec![FileInfo::new(&input, is_cut, (0, memory.end()))];
    Ok(Opened { memory: Box::new(memory), meta })
}
