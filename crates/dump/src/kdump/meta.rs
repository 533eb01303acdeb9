//! What a kdump-compressed set says about itself.

use super::{
    header::{EXCLUDED_VMEMMAP, INCOMPLETE, KdumpHeader},
    part::Part,
};
use crate::{
    Arch, Format, FormatKind, Share, VmCoreInfo, guess,
    image::Image,
    meta::{Completeness, CrashTime, FileInfo, Header, Input, Meta, Truncation},
    note,
};

/// Gathers header fields, notes and what is missing. `parts` are in ascending order, with
/// `first` the first of them.
pub(super) fn describe(first: &Part, parts: &[(Input, Part)]) -> Meta {
    let head = &first.header;
    // Every part carries the areas; a cut one may have lost its own.
    let find = |pick: fn(&KdumpHeader) -> Option<(u64, u64)>| {
        parts.iter().find_map(|(_, part)| area(&part.image, pick(&part.header)?))
    };
    let notes = find(|head| head.notes).map(|bytes| note::parse(&bytes, head.big_endian));
    let notes = notes.unwrap_or_default();
    let info =
        parts.iter().find_map(|(_, part)| vmcoreinfo(part)).map(|text| VmCoreInfo::parse(&text));
    let guessed = || {
        let by_info = info.as_ref().and_then(guess::by_vmcoreinfo);
        let arch = by_info.or_else(|| guess::by_registers(&notes, head.big_endian));
        arch.filter(|arch| (arch.pointer_size() == 8) == head.wide)
    };
    let arch = Arch::from_uname(&head.uts.machine).or_else(guessed);
    let (version, compression) = (head.version, first.compression());
    let mut format = Format::new(if notes.iter().any(|note| note.name == "QEMU") {
        FormatKind::QemuKdump { version, compression }
    } else {
        FormatKind::Kdump { version, compression }
    });
    let flattened = parts.iter().filter(|(_, part)| part.image.is_flattened()).count();
    format.flattened = Share::of(flattened, parts.len());
    format.split = head.split.is_some();

    let mut meta = Meta::new(format, arch, head.big_endian);
    meta.page_size = head.block_size;
    meta.pointer_size = arch.map_or(if head.wide { 8 } else { 4 }, Arch::pointer_size);
    meta.vmcoreinfo = info;
    meta.header = Header {
        uts: Some(head.uts.clone()),
        version: Some(head.version),
        dump_level: head.dump_level,
        phys_base: head.phys_base,
        status: Some(head.status),
        nr_cpus: Some(head.nr_cpus),
        current_cpu: Some(head.current_cpu),
        crash_time: Some(CrashTime { seconds: head.time.0, microseconds: head.time.1 }),
        eraseinfo: find(|head| head.eraseinfo).map(Into::into),
        segments: Vec::new(),
    };
    meta.set_notes(notes);
    meta.files = parts.iter().map(file_info).collect();
    meta.completeness = completeness(head, parts);
    meta
}

/// A part's VMCOREINFO text.
pub(super) fn vmcoreinfo(part: &Part) -> Option<Vec<u8>> {
    area(&part.image, part.header.vmcoreinfo?)
}

/// An area of a header; `None` when it is not (all) in the file, or too large to be one.
fn area(image: &Image, (offset, size): (u64, u64)) -> Option<Vec<u8>> {
    let size = usize::try_from(size.min(note::NOTES_LIMIT)).ok()?;
    Some(image.get(offset, size)?.into_owned())
}

fn file_info((input, part): &(Input, Part)) -> FileInfo {
    FileInfo::new(input, part.is_truncated(), (part.first, part.end))
}

fn completeness(head: &KdumpHeader, parts: &[(Input, Part)]) -> Completeness {
    let any = |flag| parts.iter().any(|(_, part)| part.header.status & flag != 0);
    let truncated = parts.iter().filter(|(_, part)| part.is_truncated());
    let mut missing_parts = Vec::new();
    let mut covered = 0;
    for (_, part) in parts {
        if part.first > covered {
            missing_parts.push((covered, part.first));
        }
        covered = covered.max(part.end);
    }
    if covered < head.max_pfn {
        missing_parts.push((covered, head.max_pfn));
    }
    // A range without a dumped frame belongs to no part.
    if let Some((_, part)) = parts.first() {
        missing_parts.retain(|&(first, end)| part.has_dumped_between(first, end));
    }
    Completeness {
        partial: head.has_two_bitmaps(),
        incomplete: any(INCOMPLETE),
        excluded_vmemmap: any(EXCLUDED_VMEMMAP),
        truncated: truncated
            .map(|(input, part)| Truncation {
                path: input.path.clone(),
                expected: Some(part.expected_len).filter(|&expected| expected > part.image.len()),
                actual: part.image.len(),
            })
            .collect(),
        missing_parts,
        ..Completeness::default()
    }
}
