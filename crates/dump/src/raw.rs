//! Bare images of physical memory, `FILE@0xADDRESS`: QEMU's `pmemsave`, a simulator's RAM file.

use std::path::{Path, PathBuf};

use crate::{
    Fault, Format, FormatKind, OpenError, Page, PhysicalMemory, Presence, Read, Reason,
    image::Image,
    meta::{FileInfo, Input, Meta, Opened},
};

/// The image says nothing about the machine; 4 KiB pages fit every supported one.
const PAGE_SIZE: u64 = 4096;

struct Raw {
    /// Disjoint, ascending: first frame, end frame, file.
    parts: Vec<(u64, u64, Image)>,
}

/// The file and the physical address in `FILE@0xADDRESS`; `None` when it is not of that form, or
/// a file has that very name.
pub(crate) fn split_address(path: &Path) -> Option<(PathBuf, u64)> {
    let (file, address) = path.to_str()?.rsplit_once('@')?;
    if file.is_empty() || path.exists() {
        return None;
    }
    let digits = address.strip_prefix("0x").unwrap_or(address);
    Some((file.into(), u64::from_str_radix(digits, 16).ok()?))
}

/// Opens images at their addresses, which must be page-aligned. A last page that is not whole
/// cannot be read.
pub(crate) fn open(mut images: Vec<(Input, u64)>) -> Result<Opened, OpenError> {
    let mut parts = Vec::new();
    let mut meta = Meta::new(Format::new(FormatKind::Raw), None, false);
    images.sort_by_key(|(_, address)| *address);
    for (input, address) in images {
        let path = input.path.clone();
        if address % PAGE_SIZE != 0 {
            return Err(OpenError::unsupported(
                &path,
                "raw memory image",
                format!("address {address:#x} is not a multiple of {PAGE_SIZE:#x}"),
            ));
        }
        let first = address / PAGE_SIZE;
        let end = first + input.image.len() / PAGE_SIZE;
        if let Some(before) = meta.files.last()
            && before.pfns.1 > first
        {
            return Err(OpenError::not_one_dump(&before.path, &path, "they overlap in memory"));
        }
        meta.files.push(FileInfo::new(&input, false, (first, end)));
        parts.push((first, end, input.image));
    }
    Ok(Opened { memory: Box::new(Raw { parts }), meta })
}

impl Raw {
    fn part(&self, pfn: u64) -> Option<&(u64, u64, Image)> {
        self.parts.get(self.parts.partition_point(|&(_, end, _)| end <= pfn))
    }
}

impl PhysicalMemory for Raw {
    fn page_size(&self) -> u64 {
        PAGE_SIZE
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let fault = |reason| Fault::physical(pfn.saturating_mul(PAGE_SIZE), reason);
        let part = self.part(pfn).filter(|(first, ..)| *first <= pfn);
        let (first, _, image) = part.ok_or(fault(Reason::NotSaved))?;
        let at = (pfn - first) * PAGE_SIZE;
        let page = image.slice(at, PAGE_SIZE as usize);
        page.map(Page::Mapped).ok_or_else(|| fault(image.why_missing(at, PAGE_SIZE)))
    }

    fn presence(&self, pfn: u64) -> Presence {
        match self.part(pfn) {
            Some((first, ..)) if *first <= pfn => Presence::Stored,
            _ => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.parts.last().map_or(0, |&(_, end, _)| end)
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        self.part(from).map(|&(first, end, _)| (first.max(from), end))
    }
}
