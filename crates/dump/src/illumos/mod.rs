//! Dumps of illumos and SmartOS kernels: what savecore leaves (`vmdump.N`), what it makes of that
//! (`unix.N` and `vmcore.N`), and the dump device itself. None needs to be expanded.
//!
//! Formats: `uts/common/sys/dumphdr.h`, `uts/common/os/dumpsubr.c`.

mod bzip2;
mod expand;
mod header;
mod keep;
pub mod lzjb;
mod map;
mod stream;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use crate::{
    Fault, OpenError, OpenOptions, Page, PhysicalMemory, Presence, Read, Reason,
    cache::PageCache,
    image::Image,
    open,
    reader::{Answer, Reader, Tested},
};
pub use expand::{ExpandError, Expanded, Step};
pub use header::{
    DF_ALL, DF_COMPLETE, DF_COMPRESSED, DF_CURPROC, DF_ENCRYPTED, DF_KERNEL, DF_LIVE, DataHeader,
    DumpHeader,
};
pub use map::Mapping;
pub use stream::Codec;

use self::{bzip2::Unpacked, header::DUMP_OFFSET, map::Spaces, stream::Places};

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `vmdump.N`.
    Vmdump,
    /// `vmcore.N`.
    Vmcore,
    /// A dump device, or a copy of it.
    Device,
}

impl Container {
    /// As `info` names it.
    pub fn name(self) -> &'static str {
        match self {
            Container::Vmdump => "vmdump",
            Container::Vmcore => "vmcore",
            Container::Device => "dump device",
        }
    }
}

/// The most that the symbol image may take: a real one is under 10 MB.
const MAX_KSYMS: u64 = 256 << 20;
/// A `vmcore` may end this many pages early, or one page in this many: pages of zeros at its end
/// are not written. What is more is a cut file.
const MISSING_TAIL: (u64, u64) = (8, 64);

/// An illumos dump: physical memory, and the translations that were dumped with it.
pub struct IllumosDump {
    path: PathBuf,
    image: Image,
    container: Container,
    header: DumpHeader,
    header_at: u64,
    data: Option<DataHeader>,
    codec: Codec,
    problems: Vec<String>,
    places: OnceLock<Places>,
    unpacked: OnceLock<Result<Unpacked, String>>,
    spaces: OnceLock<Spaces>,
    /// Where the ascending part of the table of page frames ends.
    ascending: OnceLock<u64>,
    /// The rest of the table by frame: frame and index.
    unsorted: OnceLock<Vec<(u64, u64)>>,
    cache: PageCache,
    cache_dir: Option<PathBuf>,
    /// The symbol image of a `unix.N` that was named beside the dump.
    unix: Option<Image>,
    zero_page: Box<[u8]>,
}

impl std::fmt::Debug for IllumosDump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IllumosDump").field("header", &self.header).finish_non_exhaustive()
    }
}

pub(crate) const READER: Reader = Reader {
    name: "illumos kernel dump",
    about: "vmdump.N as savecore leaves it (LZJB, parallel LZJB, bzip2), vmcore.N with or without its unix.N, a dump device; of illumos and SmartOS, 64-bit x86",
    tested: Tested::Generated,
    recognise: |input| find_header(&input.image).is_some(),
    answer: Answer::Apart,
};

/// Whether the file is an illumos dump, whatever kind, or a packed one; what cannot be read is none.
pub fn is_illumos(path: &Path) -> bool {
    open::beginning(path).is_some_and(|image| find_header(&image).is_some())
}

/// Where the last header of a dump device or a `vmdump` lies: exactly as savecore has it.
fn end_offset(image: &Image) -> Option<u64> {
    Some(image.len().checked_sub(DUMP_OFFSET)? & !(DUMP_OFFSET - 1)).filter(|&at| at > 0)
}

/// Where the first readable header of the file lies.
fn find_header(image: &Image) -> Option<u64> {
    let end = end_offset(image);
    [Some(0), Some(DUMP_OFFSET), end].into_iter().flatten().find(|&at| header::is_header(image, at))
}

impl IllumosDump {
    /// Opens a dump. A `unix.N` may be named beside a `vmcore.N`, in any order.
    ///
    /// # Errors
    /// The files are none, or of a kind that cannot be read.
    pub fn open(files: &[PathBuf], options: &OpenOptions) -> Result<IllumosDump, OpenError> {
        let mut dump = None;
        let mut unix = None;
        for path in files {
            let image = open::load(path, options)?.image;
            if find_header(&image).is_some() {
                if let Some((first, _)) = dump.replace((path.clone(), image)) {
                    return Err(OpenError::not_one_dump(&first, path, "each is a whole dump"));
                }
            } else if image.get_up_to(0, 4)[..] == *b"\x7fELF" {
                unix = Some(image);
            } else {
                return Err(OpenError::NotADump { path: path.clone() });
            }
        }
        let (path, image) = dump.ok_or(OpenError::NoFile)?;
        Self::from_image(path, image, unix, options)
    }

    /// Opens a dump that is in memory.
    ///
    /// # Errors
    /// As [`IllumosDump::open`].
    pub fn from_bytes(
        path: &Path,
        bytes: Vec<u8>,
        options: &OpenOptions,
    ) -> Result<IllumosDump, OpenError> {
        let image = Image::from_bytes(bytes).map_err(|error| OpenError::io(path, error))?;
        Self::from_image(path.into(), image, None, options)
    }

    fn from_image(
        path: PathBuf,
        image: Image,
        unix: Option<Image>,
        options: &OpenOptions,
    ) -> Result<IllumosDump, OpenError> {
        let Some(found) = find_header(&image) else {
            return Err(OpenError::NotADump { path });
        };
        let mut problems = Vec::new();
        let (container, header, header_at, data) =
            read_headers(&image, &path, found, &mut problems)?;
        if header.flags & header::DF_ENCRYPTED != 0 {
            let what = "it is encrypted: give the key to savecore on the machine itself";
            return Err(OpenError::unsupported(&path, "illumos dump", what));
        }
        if !header.is_complete() {
            problems.push("the kernel did not finish writing the dump".into());
        }
        let codec = match container {
            Container::Vmcore => Codec::Plain,
            _ => stream::codec(&image, &header, data),
        };
        let zero_page = vec![0; header.pagesize as usize].into();
        let dump = IllumosDump {
            cache: PageCache::new(options.cache_bytes, header.pagesize),
            cache_dir: keep::directory(options.cache_dir.as_deref()),
            path,
            image,
            container,
            header,
            header_at,
            data,
            codec,
            problems,
            places: OnceLock::new(),
            unpacked: OnceLock::new(),
            spaces: OnceLock::new(),
            ascending: OnceLock::new(),
            unsorted: OnceLock::new(),
            unix,
            zero_page,
        };
        Ok(dump)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its header says.
    pub fn header(&self) -> &DumpHeader {
        &self.header
    }

    /// How the pages are packed, if the dump says.
    pub fn data_header(&self) -> Option<DataHeader> {
        self.data
    }

    /// What kind of file it is.
    pub fn container(&self) -> Container {
        self.container
    }

    /// How the pages are packed.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What is wrong with the file, as far as is known so far.
    pub fn problems(&self) -> Vec<String> {
        let mut all = self.problems.clone();
        if self.codec != Codec::Plain {
            let (found, damage) = match self.codec {
                Codec::Bzip2 => match self.unpacked() {
                    Ok(unpacked) => (unpacked.count(), None),
                    Err(what) => (0, Some(what.to_owned())),
                },
                _ => {
                    let places = self.places();
                    let damage = places.damage.map(|(what, at)| format!("{what} (at {at:#x})"));
                    (places.found, damage)
                }
            };
            if found < self.header.npages {
                all.push(format!("{found} of {} pages are in the file", self.header.npages));
            }
            all.extend(damage);
        } else if let Some(cut) = self.cut_pages() {
            all.push(format!("the file is cut: {cut} of {} pages are gone", self.header.npages));
        }
        let missing = self.spaces().missing;
        if missing > 0 {
            all.push(format!("{missing} of {} translations are gone", self.header.nvtop));
        }
        all
    }

    /// The symbol image, an ELF file: that of a `unix.N` if one was named.
    ///
    /// # Errors
    /// It lies beyond the end of the file, or does not unpack; says which.
    pub fn ksyms(&self) -> Result<Vec<u8>, String> {
        if let Some(unix) = &self.unix {
            return Ok(unix.get_up_to(0, MAX_KSYMS as usize).into_owned());
        }
        let header = &self.header;
        // LZJB packs a byte into no less than a thirty-third.
        let impossible = header.ksyms_size / 40 > header.ksyms_csize;
        if impossible
            || header.ksyms_size > MAX_KSYMS
            || header.ksyms_csize > header.ksyms_size.max(1 << 16)
        {
            return Err("the size of the symbol table is impossible".into());
        }
        let packed = self
            .image
            .slice(header.ksyms, header.ksyms_csize as usize)
            .ok_or("the symbol table lies beyond the end of the file")?;
        let mut plain = vec![0; header.ksyms_size as usize];
        lzjb::decompress(packed, &mut plain).ok_or("the symbol table does not unpack")?;
        Ok(plain)
    }

    // ---- pages ----

    fn places(&self) -> &Places {
        self.places.get_or_init(|| {
            let kept = self.cache_dir.as_deref().and_then(|dir| keep::load(dir, &self.path, self));
            kept.unwrap_or_else(|| {
                let places = stream::index(&self.image, &self.header);
                if let Some(dir) = &self.cache_dir {
                    keep::store(dir, &self.path, &places);
                }
                places
            })
        })
    }

    fn unpacked(&self) -> Result<&Unpacked, &str> {
        let made = self.unpacked.get_or_init(|| {
            let file = match &self.cache_dir {
                Some(dir) if std::fs::create_dir_all(dir).is_ok() => tempfile::tempfile_in(dir),
                _ => tempfile::tempfile(),
            };
            let file = file.map_err(|error| format!("bzip2 needs room to unpack: {error}"))?;
            bzip2::unpack(&self.image, &self.header, file)
                .map_err(|error| format!("bzip2 needs room to unpack: {error}"))
        });
        made.as_ref().map_err(String::as_str)
    }

    /// The page frame of a page of the dump by its index.
    pub fn frame(&self, index: u64) -> Option<u64> {
        let offset = self.header.pfn.checked_add(index.checked_mul(8)?)?;
        let bytes = self.image.slice(offset, 8).filter(|_| index < self.header.npages)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// How many entries of the table of page frames are in the file.
    fn frames(&self) -> u64 {
        self.header.npages.min(self.image.len().saturating_sub(self.header.pfn) / 8)
    }

    /// The part of the table that ascends: entries that a hypervisor's own pages add do not.
    fn ascending(&self) -> u64 {
        *self.ascending.get_or_init(|| {
            let frames = self.frames();
            let bytes = self.image.slice(self.header.pfn, frames as usize * 8).unwrap_or(&[]);
            let mut last = None;
            let mut count = 0;
            for entry in bytes.as_chunks::<8>().0 {
                let frame = u64::from_le_bytes(*entry);
                if last.is_some_and(|last| frame <= last) {
                    break;
                }
                last = Some(frame);
                count += 1;
            }
            count
        })
    }

    /// The first index whose frame is not below `frame`, in the ascending part.
    fn lower_bound(&self, frame: u64) -> u64 {
        let (mut low, mut high) = (0, self.ascending());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.frame(middle).is_some_and(|found| found < frame) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The index of a page frame in the dump.
    pub fn index_of(&self, frame: u64) -> Option<u64> {
        let at = self.lower_bound(frame);
        if at < self.ascending() && self.frame(at) == Some(frame) {
            return Some(at);
        }
        let rest = self.unsorted();
        let at = rest.partition_point(|&(found, _)| found < frame);
        rest.get(at).filter(|&&(found, _)| found == frame).map(|&(_, index)| index)
    }

    /// What follows the ascending part of the table, made to be searched: a damaged table may have
    /// little that ascends.
    fn unsorted(&self) -> &[(u64, u64)] {
        self.unsorted.get_or_init(|| {
            let rest = self.ascending()..self.frames();
            let mut all: Vec<(u64, u64)> =
                rest.filter_map(|index| Some((self.frame(index)?, index))).collect();
            all.sort_unstable();
            all
        })
    }

    /// Pages of a `vmcore` beyond the end of the file that are not the zeros of its last pages.
    fn cut_pages(&self) -> Option<u64> {
        let size = self.header.pagesize;
        let expected = self.header.npages.saturating_mul(size);
        let there = self.image.len().saturating_sub(self.header.data).min(expected);
        let missing = (expected - there).div_ceil(size);
        let allowed = MISSING_TAIL.0.max(self.header.npages / MISSING_TAIL.1);
        (!there.is_multiple_of(size) || missing > allowed)
            .then_some(missing)
            .filter(|&missing| missing > 0)
    }

    /// The page of that index.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn page_at(&self, index: u64) -> Result<Page<'_>, Reason> {
        let size = self.header.pagesize as usize;
        match self.codec {
            Codec::Plain => {
                let offset =
                    index.checked_mul(size as u64).and_then(|at| at.checked_add(self.header.data));
                let offset = offset.ok_or(Reason::Corrupt)?;
                match self.image.slice(offset, size) {
                    Some(page) => Ok(Page::Mapped(page)),
                    None if self.cut_pages().is_some() => Err(Reason::Truncated),
                    None => Ok(Page::Mapped(&self.zero_page)),
                }
            }
            Codec::Bzip2 => match self.unpacked() {
                Ok(unpacked) => unpacked.page(index).map(Page::Mapped),
                Err(_) => Err(Reason::Truncated),
            },
            Codec::Lzjb | Codec::ParallelLzjb => {
                let place = self.places().get(index).ok_or(Reason::Truncated)?;
                let announced = place.offset.checked_sub(4).and_then(|at| self.image.slice(at, 4));
                let announced =
                    announced.and_then(|word| Some(u32::from_le_bytes(word.try_into().ok()?)));
                // An index that was kept may not be this file's any more.
                if announced.is_none_or(|word| word as usize != place.size) || place.size > size {
                    return Err(Reason::Corrupt);
                }
                let packed = self.image.slice(place.offset, place.size).ok_or(Reason::Truncated)?;
                if packed.len() == size {
                    return Ok(Page::Mapped(packed));
                }
                let page = self.cache.get((0, place.offset), || {
                    let mut page = vec![0; size];
                    lzjb::decompress(packed, &mut page).ok_or(Reason::Corrupt)?;
                    Ok(page.into())
                })?;
                Ok(Page::Cached(page))
            }
        }
    }

    // ---- translations ----

    fn spaces(&self) -> &Spaces {
        self.spaces.get_or_init(|| {
            let (header, shift) = (&self.header, self.header.page_shift());
            match self.container {
                Container::Vmcore => {
                    let frame = |data: u64| self.frame(data.checked_sub(header.data)? >> shift);
                    let entries = map::hashed_entries(&self.image, header)
                        .filter_map(|(space, address, data)| Some((space, address, frame(data)?)));
                    let mut spaces = Spaces::new(entries, shift, 0);
                    let there = self.image.len().saturating_sub(header.map) / map::HASHED_ENTRY;
                    spaces.missing = header.nvtop.saturating_sub(there);
                    spaces
                }
                _ => Spaces::new(map::raw_entries(&self.image, header), shift, header.nvtop),
            }
        })
    }

    /// The page frame that an address of the address space at `space` (a `struct as`) lies in.
    pub fn translate(&self, space: u64, address: u64) -> Option<u64> {
        if self.container == Container::Vmcore && self.spaces.get().is_none() {
            let data = map::find_hashed(&self.image, &self.header, space, address)?;
            return self.frame(data.checked_sub(self.header.data)? >> self.header.page_shift());
        }
        self.spaces().find(space, address >> self.header.page_shift())
    }

    /// All mappings of an address space, by address.
    pub fn mappings(&self, space: u64) -> &[Mapping] {
        self.spaces().of(space)
    }

    /// The address spaces that have translations, and how many each has.
    pub fn address_spaces(&self) -> Vec<(u64, usize)> {
        let mut all: Vec<_> = self.spaces().all().collect();
        all.sort_unstable();
        all
    }
}

type Headers = (Container, DumpHeader, u64, Option<DataHeader>);

/// Reads the header, and the second one with the data header behind it if there should be one.
/// Either alone is enough; what is wrong with the other is noted.
fn read_headers(
    image: &Image,
    path: &Path,
    found: u64,
    problems: &mut Vec<String>,
) -> Result<Headers, OpenError> {
    let first = header::read(image, found, path);
    if let Ok(header) = &first
        && found == 0
        && header.flags & DF_COMPRESSED == 0
    {
        let header = header.clone();
        return Ok((Container::Vmcore, header, 0, None));
    }
    let last = end_offset(image).filter(|&at| at != found && header::is_header(image, at));
    let last = last.and_then(|at| Some((at, header::read(image, at, path).ok()?)));
    let (header, header_at) = match (first, &last) {
        (Ok(first), Some((_, last))) => {
            let same = DumpHeader { flags: last.flags, ..first.clone() } == *last;
            if !same && found != last.start {
                problems.push("the two headers differ: the first one is used".into());
            } else if !same {
                problems.push("initial dump header corrupt: the last one is used".into());
                return Ok(with_data(image, last.clone(), last.start, found, end_offset(image)));
            }
            (DumpHeader { flags: last.flags, ..first }, found)
        }
        (Ok(first), None) => {
            // The header that was found may be the last one.
            if found == first.start || found == 0 {
                problems.push("the second header is gone: the file is cut".into());
                (first, found)
            } else {
                let start = first.start;
                if !header::is_header(image, start) {
                    problems.push("the first header is damaged: the last one is used".into());
                }
                return Ok(with_data(image, first, start, start, Some(found)));
            }
        }
        (Err(_), Some((_, last))) => {
            problems.push("the first header is damaged: the last one is used".into());
            (last.clone(), last.start)
        }
        (Err(error), None) => return Err(error),
    };
    let data_at = last.map(|(at, _)| at);
    Ok(with_data(image, header, header_at, found, data_at))
}

fn with_data(image: &Image, header: DumpHeader, at: u64, found: u64, last: Option<u64>) -> Headers {
    let container = if found == 0 { Container::Vmdump } else { Container::Device };
    let data = last.and_then(|at| header::data_header(image, at));
    (container, header, at, data)
}

impl PhysicalMemory for IllumosDump {
    fn page_size(&self) -> u64 {
        self.header.pagesize
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let fault = |reason| Fault::physical(pfn.saturating_mul(self.header.pagesize), reason);
        let index = self.index_of(pfn).ok_or(fault(Reason::NotSaved))?;
        self.page_at(index).map_err(fault)
    }

    fn presence(&self, pfn: u64) -> Presence {
        let Some(index) = self.index_of(pfn) else { return Presence::NotSaved };
        let there = match self.codec {
            Codec::Plain => self.page_at(index).is_ok(),
            Codec::Bzip2 => self.unpacked().is_ok_and(|unpacked| unpacked.is_present(index)),
            _ => self.places().get(index).is_some(),
        };
        if there { Presence::Stored } else { Presence::Truncated }
    }

    fn max_pfn(&self) -> u64 {
        let last = self.ascending().checked_sub(1).and_then(|at| self.frame(at));
        last.map_or(0, |frame| frame.saturating_add(1))
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        let mut at = self.lower_bound(from);
        let first = self.frame(at).filter(|_| at < self.ascending())?;
        let mut end = first + 1;
        at += 1;
        while at < self.ascending() && self.frame(at) == Some(end) {
            end += 1;
            at += 1;
        }
        Some((first, end))
    }
}

/// A shared dump is read by many.
pub type SharedDump = Arc<IllumosDump>;
