//! ELF cores: /proc/vmcore, `makedumpfile -E`, QEMU's `dump-guest-memory`.
//!
//! Both classes and byte orders; a 64-bit file may hold a 32-bit machine.

mod header;
mod ranges;

use std::sync::Arc;

use crate::{
    Arch, Fault, Format, FormatKind, LoadSegment, OpenError, Page, PhysicalMemory, Presence, Read,
    Reason,
    image::Image,
    meta::{FileInfo, Input, Meta, Opened, Truncation},
    note,
};
use header::ElfHeader;
use ranges::{Ranges, Stored};

pub(crate) use header::{is_core, is_elf};

/// Memory of an ELF core.
struct Elf {
    image: Image,
    page_size: u64,
    ranges: Ranges,
    /// What frames beyond a segment's file size read as, when they do.
    zero_page: Option<Arc<[u8]>>,
}

/// Opens an ELF core.
///
/// # Errors
/// A header that is cut or makes no sense.
pub(crate) fn open(input: Input, zero_excluded: bool) -> Result<Opened, OpenError> {
    let Input { path, image } = input;
    let header = ElfHeader::parse(&image)
        .ok_or_else(|| OpenError::corrupt(&path, "the ELF header is cut or makes no sense"))?;
    let arch = Arch::from_elf(header.machine, header.class64);
    let mut meta = Meta::new(Format::new(FormatKind::Elf), arch, header.big_endian);
    let programs = header.programs(&image);
    let mut notes = Vec::new();
    for program in programs.iter().filter(|program| program.is_note()) {
        let size = program.file_size.min(note::NOTES_LIMIT) as usize;
        notes.extend(note::parse(&image.get_up_to(program.offset, size), header.big_endian));
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
    let ranges = Ranges::new(&loads, meta.page_size, |at, len| image.extent(at, len));
    let expected = loads
        .iter()
        .map(|load| load.offset.saturating_add(load.file_size))
        .fold(header.programs_end(), u64::max);
    let truncated = expected > image.len() || image.is_cut();
    if truncated {
        let actual = image.len();
        meta.completeness.truncated = vec![Truncation { path: path.clone(), expected, actual }];
    }
    meta.files =
        vec![FileInfo { path, size: image.file_len(), truncated, pfns: (0, ranges.max_pfn()) }];
    meta.header.segments = loads
        .iter()
        .map(|load| LoadSegment {
            virtual_address: load.virtual_address,
            physical_address: load.physical_address,
            file_size: load.file_size,
            memory_size: load.memory_size,
        })
        .collect();
    let page_size = meta.page_size;
    let zero_page = zero_excluded.then(|| zeros(page_size));
    Ok(Opened { memory: Box::new(Elf { image, page_size, ranges, zero_page }), meta })
}

fn zeros(size: u64) -> Arc<[u8]> {
    std::iter::repeat_n(0, size as usize).collect()
}

impl Elf {
    /// A page that lies in several segments, or not all in any. Filters work on whole pages, so
    /// what no segment has of a page that is there in part was no memory, and reads as zeros.
    fn compose(&self, start: u64, pieces: &[Stored]) -> Result<Page<'_>, Fault> {
        let mut page = zeros(self.page_size);
        let Some(out) = Arc::get_mut(&mut page) else {
            return Err(Fault::physical(start, Reason::Corrupt));
        };
        for piece in pieces {
            let from = piece.start.max(start);
            let to = piece.end.min(start.saturating_add(self.page_size));
            let at = piece.offset + (from - piece.start);
            let there = self.image.len().saturating_sub(at);
            let bytes = self
                .image
                .get(at, (to - from) as usize)
                .ok_or(Fault::physical(from.saturating_add(there), Reason::Truncated))?;
            let skip = (from - start) as usize;
            out[skip..skip + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(Page::Cached(page))
    }
}

impl PhysicalMemory for Elf {
    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let not_saved = Fault::physical(pfn.saturating_mul(self.page_size), Reason::NotSaved);
        let start = pfn.checked_mul(self.page_size).ok_or(not_saved)?;
        let pieces = self.ranges.within(start, start.saturating_add(self.page_size));
        match pieces {
            [] => match &self.zero_page {
                Some(zeros) if self.ranges.is_left_out(start) => Ok(Page::Cached(zeros.clone())),
                _ => Err(not_saved),
            },
            [piece] if piece.start <= start && piece.end - start >= self.page_size => {
                let at = piece.offset + (start - piece.start);
                match self.image.slice(at, self.page_size as usize) {
                    Some(bytes) => Ok(Page::Mapped(bytes)),
                    None => self.compose(start, pieces),
                }
            }
            pieces => self.compose(start, pieces),
        }
    }

    fn presence(&self, pfn: u64) -> Presence {
        if self.ranges.run_at(pfn).is_some_and(|(first, _)| first <= pfn) {
            return Presence::Stored;
        }
        let start = pfn.saturating_mul(self.page_size);
        match self.ranges.within(start, start.saturating_add(self.page_size)) {
            [] => Presence::NotSaved,
            _ => Presence::Truncated,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.ranges.max_pfn()
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        self.ranges.run_at(from).map(|(first, end)| (first.max(from), end))
    }

    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        self.ranges.memory_at(from).map(|(first, end)| (first.max(from), end))
    }
}
