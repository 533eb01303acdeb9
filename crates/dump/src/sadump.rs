//! SADUMP, the stand-alone dump of Fujitsu's firmware: x86_64, pages uncompressed, on one
//! partition, a set of disks, or backed up to a file.
//!
//! `partition header [disk-set header] | dump header | CPU states | bitmap | dumpable bitmap |
//! pages`, in blocks. Bitmaps count from the most significant bit. Further disks of a set hold
//! a partition header and more pages.

use std::sync::Arc;

use crate::{
    Arch, Fault, Format, FormatKind, OpenError, OpenOptions, Page, PhysicalMemory, Presence, Read,
    Reason,
    bitmap::{Bitmap, First},
    bytes::Fields,
    image::Image,
    meta::{Completeness, FileInfo, Header, Input, Meta, Opened, Truncation},
    reader::{Answer, Reader, Tested},
};

const SIGNATURE: &[u8; 8] = b"sadump\0\0";
const BLOCK: u64 = 4096;
/// `set_disk_set` of the partition header: this disk's number in its set, 0 outside of one.
const SET_NUMBER_AT: usize = 0x98;
/// `Ia32Efer` in the CPU's SMM save area, and its long-mode-active bit.
const EFER_AT: usize = 0x3e0;
const EFER_LONG_MODE: u64 = 1 << 10;

/// A backup begins with a header that has no signature: identifiers and a time, then a few bytes.
/// This one is the size of the disk set's header in blocks.
const BACKUP_SET_HEADER_AT: usize = 0x32;

pub(crate) const READER: Reader = Reader {
    name: "SADUMP",
    about: "the stand-alone dump of Fujitsu's firmware: a partition, the disks of a set, a media backup",
    tested: Tested::Generated,
    recognise: |input| has_signature(&input.image, 0) || backup_header(&input.image).is_some(),
    answer: Answer::Open(open),
};

fn has_signature(image: &Image, at: u64) -> bool {
    &*image.get_up_to(at, 8) == SIGNATURE
}

/// Where the dump header is in a media backup, behind the disk set's header if there was one;
/// `None` when it is none.
fn backup_header(image: &Image) -> Option<u64> {
    let head = image.get(0, BLOCK as usize).filter(|head| !head.starts_with(SIGNATURE))?;
    let set_header = u64::from(*head.get(BACKUP_SET_HEADER_AT)?);
    [BLOCK * (1 + set_header), BLOCK].into_iter().find(|&at| has_signature(image, at))
}

/// One disk: its file and where its pages begin.
struct Disk {
    image: Image,
    pages_at: u64,
    /// Position of its first page among all pages.
    first_page: u64,
}

struct Sadump {
    /// The first disk's file, with both bitmaps.
    head: Image,
    /// In the order of the set.
    disks: Vec<Disk>,
    max_pfn: u64,
    memory: Bitmap,
    stored: Bitmap,
    zero_page: Option<Arc<[u8]>>,
}

/// The dump header's numbers; sizes are in blocks.
struct DumpHeader {
    version: u32,
    status: u32,
    sub_header: u64,
    bitmap: u64,
    dumpable_bitmap: u64,
    max_pfn: u64,
    nr_cpus: u32,
    current_cpu: u32,
}

/// Opens a dump of one file, or the disks of a set in any order.
///
/// # Errors
/// Headers that make no sense, and a set without its first disk.
fn open(mut inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    inputs.sort_by_key(|input| set_number(&input.image));
    let Some(first) = inputs.first() else { return Err(OpenError::NoFile) };
    let is_set = set_number(&first.image) != 0;
    if set_number(&first.image) > 1 {
        let what = "the set's first disk, which holds the headers, was not given";
        return Err(OpenError::corrupt(&first.path, what));
    }
    if let (false, Some(second)) = (is_set, inputs.get(1)) {
        return Err(OpenError::not_one_dump(&first.path, &second.path, "they are no disk set"));
    }
    let (header_at, header) = find_header(&first.image)
        .ok_or_else(|| OpenError::corrupt(&first.path, "no SADUMP header that makes sense"))?;
    let sub_header_at = header_at + BLOCK;
    let bitmap_at = sub_header_at + header.sub_header * BLOCK;
    let dumpable_at = bitmap_at + header.bitmap * BLOCK;
    let pages_at = dumpable_at + header.dumpable_bitmap * BLOCK;
    let head = first.image.clone();
    let memory = Bitmap::new(&head, bitmap_at, header.bitmap * BLOCK, First::High);
    let stored = Bitmap::new(&head, dumpable_at, header.dumpable_bitmap * BLOCK, First::High);
    let arch = mode(&head, sub_header_at, header.nr_cpus);
    let format = Format::new(FormatKind::Sadump { disk_set: is_set });
    let mut meta = Meta::new(format, arch, false);
    meta.header = Header {
        version: Some(header.version),
        status: Some(header.status),
        nr_cpus: Some(header.nr_cpus),
        current_cpu: Some(header.current_cpu),
        ..Header::default()
    };
    let mut disks = Vec::new();
    let mut first_page = 0;
    for input in inputs {
        let pages_at = if disks.is_empty() { pages_at } else { BLOCK };
        let pages = input.image.len().saturating_sub(pages_at) / BLOCK;
        meta.files.push(FileInfo::new(&input, false, (0, header.max_pfn)));
        let image = input.image;
        disks.push(Disk { image, pages_at, first_page });
        first_page += pages;
    }
    let zero_page = options.zero_excluded.then(|| std::iter::repeat_n(0, BLOCK as usize).collect());
    let max_pfn = header.max_pfn;
    let wanted = stored.rank(&head, max_pfn);
    let memory = Sadump { head, disks, max_pfn, memory, stored, zero_page };
    if let (true, Some(file)) = (wanted > first_page, meta.files.last_mut()) {
        file.truncated = true;
        let expected = Some(file.size.saturating_add((wanted - first_page).saturating_mul(BLOCK)));
        let cut = Truncation { path: file.path.clone(), expected, actual: file.size };
        meta.completeness = Completeness { truncated: vec![cut], ..Completeness::default() };
    }
    meta.completeness.partial = true;
    Ok(Opened { memory: Box::new(memory), meta })
}

fn set_number(image: &Image) -> u32 {
    if backup_header(image).is_some() {
        return 0;
    }
    let bytes = image.get_up_to(0, 256);
    let fields = Fields::new(&bytes, false);
    if bytes.starts_with(SIGNATURE) { fields.u32(SET_NUMBER_AT).unwrap_or(0) } else { 0 }
}

/// The dump header is in block 1, or behind the disk-set header, whose first number is its size.
fn find_header(image: &Image) -> Option<(u64, DumpHeader)> {
    let mut at = BLOCK;
    if let Some(backup) = backup_header(image) {
        at = backup;
    } else if !has_signature(image, BLOCK) {
        let set_header = image.get_up_to(BLOCK, 4);
        at += u64::from(Fields::new(&set_header, false).u32(0)?) * BLOCK;
    }
    let bytes = image.get_up_to(at, 0x80);
    let fields = Fields::new(&bytes, false);
    let blocks = |at| fields.u32(at).filter(|&n| n < 1 << 30).map(u64::from);
    let version = fields.u32(8)?;
    let max_pfn = match version {
        0 => u64::from(fields.u32(0x3c)?),
        _ => fields.u64(0x58)?,
    };
    let header = DumpHeader {
        version,
        status: fields.u32(0x20)?,
        sub_header: blocks(0x30)?,
        bitmap: blocks(0x34)?,
        dumpable_bitmap: blocks(0x38)?,
        max_pfn,
        current_cpu: fields.u32(0x4c)?,
        nr_cpus: fields.u32(0x50)?,
    };
    (bytes.starts_with(SIGNATURE) && fields.u32(0x28) == Some(BLOCK as u32)).then_some((at, header))
}

/// 64-bit if any CPU was in long mode, 32-bit if the states say that none was. The area: size of
/// one state 4, then for each CPU 16 bytes about its APIC, then the states.
fn mode(image: &Image, at: u64, nr_cpus: u32) -> Option<Arch> {
    let head = image.get_up_to(at, 4);
    let size = Fields::new(&head, false).u32(0).filter(|&size| size as usize >= EFER_AT + 8)?;
    let mut modes = (0..u64::from(nr_cpus.min(1 << 16))).map_while(|cpu| {
        let state = at + 4 + u64::from(nr_cpus) * 16 + cpu * u64::from(size);
        let efer = image.get_up_to(state + EFER_AT as u64, 8);
        Some(Fields::new(&efer, false).u64(0)? & EFER_LONG_MODE != 0)
    });
    let first = modes.next()?;
    Some(if first || modes.any(|is_long| is_long) { Arch::X86_64 } else { Arch::I386 })
}

impl Sadump {
    fn load(&self, pfn: u64) -> Result<Page<'_>, Reason> {
        let test = |bits: &Bitmap| bits.test(&self.head, pfn);
        match (test(&self.stored), test(&self.memory)) {
            (Some(true), _) if pfn < self.max_pfn => {}
            (_, Some(true)) if pfn < self.max_pfn => return Err(Reason::Excluded),
            _ => return Err(Reason::NotSaved),
        }
        let index = self.stored.rank(&self.head, pfn);
        let disk = self.disks.partition_point(|disk| disk.first_page <= index);
        let disk = disk.checked_sub(1).and_then(|disk| self.disks.get(disk));
        let disk = disk.ok_or(Reason::Truncated)?;
        let at = disk.pages_at + (index - disk.first_page) * BLOCK;
        let page = disk.image.slice(at, BLOCK as usize);
        page.map(Page::Mapped).ok_or_else(|| disk.image.why_missing(at, BLOCK))
    }
}

impl PhysicalMemory for Sadump {
    fn page_size(&self) -> u64 {
        BLOCK
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        match (self.load(pfn), &self.zero_page) {
            (Err(Reason::Excluded), Some(zeros)) => Ok(Page::Cached(zeros.clone())),
            (page, _) => page.map_err(|reason| Fault::physical(pfn.saturating_mul(BLOCK), reason)),
        }
    }

    fn presence(&self, pfn: u64) -> Presence {
        match self.load(pfn) {
            Ok(_) => Presence::Stored,
            Err(Reason::Excluded) => Presence::Excluded,
            Err(Reason::Truncated) => Presence::Truncated,
            Err(_) => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.max_pfn.min(self.memory.bits())
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        let first = self.stored.find(&self.head, from, self.max_pfn, true)?;
        let end = self.stored.find(&self.head, first, self.max_pfn, false);
        let end = end.unwrap_or(self.max_pfn.min(self.stored.bits()));
        // Pages lie in ascending order: what is cut off is at the end.
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.presence(middle) {
                Presence::Stored => low = middle + 1,
                _ => high = middle,
            }
        }
        (low > first).then_some((first, low))
    }

    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        let first = self.memory.find(&self.head, from, self.max_pfn, true)?;
        let end = self.memory.find(&self.head, first, self.max_pfn, false);
        Some((first, end.unwrap_or(self.max_pfn())))
    }
}
