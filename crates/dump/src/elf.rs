//! ELF cores: /proc/vmcore, `makedumpfile -E`, QEMU's `dump-guest-memory`.
//!
//! Both classes and byte orders; a 64-bit file may hold a 32-bit machine.

mod header;

use crate::{
    Arch, Format, FormatKind, LoadSegment, OpenError, OpenOptions, PhysicalMemory,
    dom0::{self, Dom0},
    meta::{FileInfo, Input, Meta, Opened, Truncation},
    note,
    reader::{Answer, Reader, Tested, single},
    segments::{Load, Segments},
};

pub(crate) use header::{ElfHeader, Section, is_core, is_elf};

pub(crate) const READER: Reader = Reader {
    name: "ELF core",
    about: "/proc/vmcore as it is, makedumpfile -E, QEMU's and libvirt's dump-guest-memory, VirtualBox's dumpvmcore, the core of a Xen host (of which dom0's memory is read), s390 stand-alone dumps in ELF form",
    tested: Tested::Real,
    recognise: |input| is_core(&input.image),
    answer: Answer::Open(open),
};

/// Opens an ELF core.
///
/// # Errors
/// A header that is cut or makes no sense.
fn open(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let input = single(inputs)?;
    let Input { path, image, .. } = input.clone();
    let header = ElfHeader::parse(&image)
        .ok_or_else(|| OpenError::corrupt(&path, "the ELF header is cut or makes no sense"))?;
    let arch = Arch::from_elf(header.machine, header.class64);
    let mut meta = Meta::new(Format::new(FormatKind::Elf), arch, header.big_endian);
    let programs = header.programs(&image);
    let mut notes = Vec::new();
    // Together, not each: program headers may name the same area many times.
    let mut room = note::NOTES_LIMIT;
    for program in programs.iter().filter(|program| program.is_note()) {
        let size = program.file_size.min(room);
        room -= size;
        notes.extend(note::parse(
            &image.get_up_to(program.offset, size as usize),
            header.big_endian,
        ));
    }
    if notes.iter().any(|note| note.name == "QEMU") {
        meta.format.kind = FormatKind::QemuElf;
    }
    if image.is_flattened() {
        meta.format.flattened = crate::Share::All;
    }
    meta.set_notes(notes);
    if let Some(size) = meta.vmcoreinfo.as_ref().and_then(|info| info.page_size()) {
        meta.page_size = size;
    }
    let loads: Vec<_> = programs.into_iter().filter(|program| program.is_load()).collect();
    let ranges: Vec<Load> = loads.iter().map(|load| load.range()).collect();
    let memory = Segments::new(image.clone(), meta.page_size, &ranges, options.zero_excluded);
    let ranges = memory.ranges();
    let expected = loads
        .iter()
        .map(|load| load.offset.saturating_add(load.file_size))
        .fold(header.programs_end(), u64::max);
    let truncated = expected > image.len() || image.is_cut();
    if truncated {
        let actual = image.len();
        let expected = Some(expected).filter(|&expected| expected > actual);
        meta.completeness.truncated = vec![Truncation { path: path.clone(), expected, actual }];
    }
    if !loads.is_empty() && ranges.is_impossible() {
        let what =
            format!("none of its {} segments can be: they end beyond every address", loads.len());
        return Err(OpenError::corrupt(&path, what));
    }
    meta.files = vec![FileInfo::new(&input, truncated, (0, ranges.max_pfn()))];
    meta.header.segments = loads
        .iter()
        .map(|load| LoadSegment {
            virtual_address: load.virtual_address,
            physical_address: load.physical_address,
            file_size: load.file_size,
            memory_size: load.memory_size,
        })
        .collect();
    let frames = dom0::frame_list(&meta.notes, arch, header.big_endian);
    let memory: Box<dyn PhysicalMemory> = match frames {
        None => Box::new(memory),
        Some(frames) => match Dom0::new(memory, frames) {
            Ok(dom0) => {
                meta.format.kind = FormatKind::XenHost;
                // Virtual addresses of a host's segments are Xen's.
                meta.header.segments.clear();
                Box::new(dom0)
            }
            Err(host) => Box::new(host),
        },
    };
    Ok(Opened { memory, meta })
}
