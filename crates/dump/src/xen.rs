//! Cores of Xen guests (`xl dump-core`, `docs/misc/dump-core-format.txt` of Xen): an ELF file whose
//! pages are in the section `.xen_pages`, in the order of `.xen_pfn`, or of `.xen_p2m` where the
//! guest is paravirtual and its page tables hold the host's frames.

use crate::{
    Arch, CpuState, Fault, Format, FormatKind, OpenError, OpenOptions, Page, PhysicalMemory,
    Presence, Read, Reason,
    bytes::Fields,
    elf::{ElfHeader, Section, is_core},
    image::Image,
    meta::{FileInfo, Input, Meta, Opened, Truncation},
    note,
    reader::{Answer, Reader, Tested, single},
};

pub(crate) const READER: Reader = Reader {
    name: "Xen guest core",
    about: "xl dump-core of a guest; paravirtual ones included, whose page tables hold the host's frames",
    tested: Tested::Description,
    recognise: |input| {
        is_core(&input.image)
            && ElfHeader::parse(&input.image)
                .is_some_and(|header| header.section(&input.image, ".xen_pages").is_some())
    },
    answer: Answer::Open(open),
};

/// Note `Xen` with magic, number of CPUs, of pages, page size.
const NOTE_HEADER: u32 = 0x0200_0001;
/// `struct vcpu_guest_context` of x86_64.
const CONTEXT: usize = 5168;

/// A page and where it is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    pfn: u64,
    index: u64,
}

struct Xen {
    image: Image,
    page_size: u64,
    pages_at: u64,
    /// Ascending by frame.
    entries: Vec<Entry>,
    /// The host's frames and the guest's, ascending.
    guest_frames: Vec<(u64, u64)>,
}

fn open(inputs: Vec<Input>, _options: &OpenOptions) -> Result<Opened, OpenError> {
    let input = single(inputs)?;
    let image = &input.image;
    let corrupt = |what: &str| OpenError::corrupt(&input.path, what);
    let header = ElfHeader::parse(image).ok_or_else(|| corrupt("its ELF header makes no sense"))?;
    let section = |name| header.section(image, name);
    let pages = section(".xen_pages").ok_or_else(|| corrupt("its section .xen_pages is lost"))?;
    let notes = section(".note.Xen").map_or_else(Vec::new, |area| {
        let size = area.size.min(note::NOTES_LIMIT) as usize;
        note::parse(&image.get_up_to(area.offset, size), header.big_endian)
    });
    let head = notes.iter().find(|note| note.name == "Xen" && note.kind == NOTE_HEADER);
    let page_size = head.and_then(|note| Fields::new(&note.desc, header.big_endian).u64(24));
    let page_size = page_size.unwrap_or(4096);
    if !page_size.is_power_of_two() || !(512..=1 << 22).contains(&page_size) {
        return Err(corrupt("its page size makes no sense"));
    }
    let (entries, guest_frames) = match (section(".xen_p2m"), section(".xen_pfn")) {
        (Some(table), _) => pairs(image, table, header.big_endian),
        (None, Some(table)) => (frames(image, table, header.big_endian), Vec::new()),
        (None, None) => return Err(corrupt("it has neither .xen_p2m nor .xen_pfn")),
    };
    let paravirtual = section(".xen_p2m").is_some();
    let arch = Arch::from_elf(header.machine, header.class64);
    let format = Format::new(FormatKind::Xen { paravirtual });
    let mut meta = Meta::new(format, arch, header.big_endian);
    meta.page_size = page_size;
    meta.set_notes(notes);
    if let (Some(contexts), Some(Arch::X86_64)) = (section(".xen_prstatus"), arch) {
        let size = contexts.size.min(note::NOTES_LIMIT) as usize;
        let bytes = image.get_up_to(contexts.offset, size);
        meta.cpu_states = bytes.chunks_exact(CONTEXT).map(cpu_state).collect();
        meta.header.nr_cpus = u32::try_from(meta.cpu_states.len()).ok();
    }
    let expected = pages.offset.saturating_add(pages.size);
    let truncated = expected > image.len();
    if truncated {
        let (path, actual) = (input.path.clone(), image.len());
        let expected = Some(expected);
        meta.completeness.truncated = vec![Truncation { path, expected, actual }];
    }
    let end = entries.last().map_or(0, |entry| entry.pfn.saturating_add(1));
    meta.files = vec![FileInfo::new(&input, truncated, (0, end))];
    let pages_at = pages.offset;
    let memory = Xen { image: image.clone(), page_size, pages_at, entries, guest_frames };
    Ok(Opened { memory: Box::new(memory), meta })
}

/// The words of a section that are in the file.
fn words(image: &Image, table: Section, big_endian: bool) -> impl Iterator<Item = u64> {
    let parts = image.data_in(table.offset, table.size);
    parts.into_iter().flat_map(move |part| {
        let bytes = image.get_up_to(part.start, (part.end - part.start) as usize);
        let fields = Fields::new(&bytes, big_endian);
        (0..bytes.len() / 8).filter_map(|index| fields.u64(index * 8)).collect::<Vec<_>>()
    })
}

/// Pages that the guest gave back have no frame.
const NO_FRAME: u64 = u64::MAX;

fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.pfn);
    entries.dedup_by_key(|entry| entry.pfn);
    entries
}

fn frames(image: &Image, table: Section, big_endian: bool) -> Vec<Entry> {
    let pages = words(image, table, big_endian).zip(0..);
    let entries = pages.filter(|&(pfn, _)| pfn != NO_FRAME);
    in_order(entries.map(|(pfn, index)| Entry { pfn, index }).collect())
}

/// The guest's frame and the host's, one pair a page.
fn pairs(image: &Image, table: Section, big_endian: bool) -> (Vec<Entry>, Vec<(u64, u64)>) {
    let words: Vec<u64> = words(image, table, big_endian).collect();
    let (mut entries, mut guest_frames) = (Vec::new(), Vec::new());
    for (pair, index) in words.chunks_exact(2).zip(0..) {
        let &[pfn, mfn] = pair else { continue };
        if pfn != NO_FRAME {
            entries.push(Entry { pfn, index });
            guest_frames.push((mfn, pfn));
        }
    }
    guest_frames.sort_unstable();
    (in_order(entries), guest_frames)
}

/// `user_regs` and `ctrlreg` of `struct vcpu_guest_context` (`public/arch-x86/xen.h`).
fn cpu_state(context: &[u8]) -> CpuState {
    /// r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi, by index in `general`.
    const ORDER: [usize; 15] = [15, 14, 13, 12, 7, 1, 11, 10, 9, 8, 0, 2, 3, 4, 5];
    const USER: usize = 520;
    const CONTROL: usize = 4984;
    let fields = Fields::new(context, false);
    let word = |at: usize| fields.u64(at).unwrap_or(0);
    let mut state = CpuState::default();
    for (index, register) in ORDER.into_iter().enumerate() {
        state.general[register] = word(USER + index * 8);
    }
    // After the error code: rip, cs, rflags, rsp.
    state.rip = word(USER + 128);
    state.rflags = word(USER + 144);
    state.general[6] = word(USER + 152);
    for (index, cr) in state.cr.iter_mut().enumerate() {
        *cr = word(CONTROL + index * 8);
    }
    state
}

impl Xen {
    fn place(&self, pfn: u64) -> Option<u64> {
        let index = self.entries.binary_search_by_key(&pfn, |entry| entry.pfn).ok()?;
        let index = self.entries.get(index)?.index;
        index.checked_mul(self.page_size)?.checked_add(self.pages_at)
    }
}

impl PhysicalMemory for Xen {
    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let fault = |reason| Fault::physical(pfn.saturating_mul(self.page_size), reason);
        let at = self.place(pfn).ok_or(fault(Reason::NotSaved))?;
        let page = self.image.slice(at, self.page_size as usize);
        page.map(Page::Mapped).ok_or_else(|| fault(self.image.why_missing(at, self.page_size)))
    }

    fn presence(&self, pfn: u64) -> Presence {
        match self.place(pfn) {
            Some(at) if self.image.extent(at, self.page_size) == self.page_size => Presence::Stored,
            Some(_) => Presence::Truncated,
            None => Presence::NotSaved,
        }
    }

    fn max_pfn(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.pfn.saturating_add(1))
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        let index = self.entries.partition_point(|entry| entry.pfn < from);
        let mut rest = self.entries.get(index..)?.iter().map(|entry| entry.pfn);
        let is_stored = |pfn: &u64| self.presence(*pfn) == Presence::Stored;
        let first = rest.by_ref().find(is_stored)?;
        let run = rest.zip(first + 1..).take_while(|(pfn, next)| pfn == next && is_stored(pfn));
        Some((first, first + 1 + run.count() as u64))
    }

    fn frame_of_entry(&self, frame: u64) -> u64 {
        let index = self.guest_frames.partition_point(|&(host, _)| host < frame);
        self.guest_frames.get(index).filter(|found| found.0 == frame).map_or(frame, |f| f.1)
    }
}
