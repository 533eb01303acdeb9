//! What a dump says about itself besides memory.

use std::{fmt, path::PathBuf};

use crate::{
    Arch, CpuState, Format, Note, PhysicalMemory, PrStatus, VmCoreInfo, bytes::Fields, image::Image,
};

/// `struct new_utsname`, as far as the format's header carries it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uts {
    /// Operating system.
    pub sysname: String,
    /// Host name.
    pub nodename: String,
    /// Kernel release.
    pub release: String,
    /// Build number and date.
    pub version: String,
    /// Machine, as `uname -m` prints it.
    pub machine: String,
    /// NIS domain name.
    pub domainname: String,
}

impl Uts {
    /// Six fields of 65 bytes.
    pub(crate) fn parse(fields: Fields<'_>, at: usize) -> Self {
        let field = |index: usize| fields.string(at + index * 65, 65);
        Uts {
            sysname: field(0),
            nodename: field(1),
            release: field(2),
            version: field(3),
            machine: field(4),
            domainname: field(5),
        }
    }
}

/// A moment in the dump's header, since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashTime {
    /// Seconds.
    pub seconds: u64,
    /// Microseconds within the second.
    pub microseconds: u64,
}

/// A `PT_LOAD` header of an ELF dump. Its virtual address is a hint, not a translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadSegment {
    /// Kernel virtual address.
    pub virtual_address: u64,
    /// Physical address.
    pub physical_address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes of memory.
    pub memory_size: u64,
}

/// Fields of the format's own header; `None` where the format has no such field.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// The kernel's `utsname`.
    pub uts: Option<Uts>,
    /// Version of the header.
    pub version: Option<u32>,
    /// makedumpfile's `-d`.
    pub dump_level: Option<u32>,
    /// Physical address minus link-time virtual offset of the kernel, as the writer found it.
    pub phys_base: Option<u64>,
    /// Status flags, in the format's own bits.
    pub status: Option<u32>,
    /// Number of CPUs.
    pub nr_cpus: Option<u32>,
    /// CPU that wrote the dump.
    pub current_cpu: Option<u32>,
    /// When the machine crashed, or the dump was written.
    pub crash_time: Option<CrashTime>,
    /// What makedumpfile erased, as its text says.
    pub eraseinfo: Option<Box<[u8]>>,
    /// An ELF dump's `PT_LOAD` headers, in file order.
    pub segments: Vec<LoadSegment>,
}

/// One file of the dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// As given; of a member of an archive, `ARCHIVE:MEMBER`.
    pub path: PathBuf,
    /// The unpacked copy that is read in its place.
    pub unpacked: Option<PathBuf>,
    /// Bytes on the disk.
    pub size: u64,
    /// Whether content is beyond its end.
    pub truncated: bool,
    /// First and end page frame number that the file answers for.
    pub pfns: (u64, u64),
}

impl FileInfo {
    /// A file of a dump, read as it lies.
    pub(crate) fn new(input: &Input, truncated: bool, pfns: (u64, u64)) -> Self {
        FileInfo {
            path: input.path.clone(),
            unpacked: input.unpacked.clone(),
            size: input.image.file_len(),
            truncated: truncated || input.cut.is_some(),
            pfns,
        }
    }
}

/// A file that ends before its content does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncation {
    /// Which file.
    pub path: PathBuf,
    /// Bytes of content that its headers speak of, at least; `None` where they do not tell, and a
    /// stream stops before its end mark.
    pub expected: Option<u64>,
    /// Bytes of content that are there.
    pub actual: u64,
}

/// What the dump lacks, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completeness {
    /// The format records which frames the filter left out (crash's `[PARTIAL DUMP]`).
    pub partial: bool,
    /// The writer ran out of space and says so (crash's `[INCOMPLETE]`).
    pub incomplete: bool,
    /// The memory map of excluded frames was left out as well (`makedumpfile -e`).
    pub excluded_vmemmap: bool,
    /// Files that are cut.
    pub truncated: Vec<Truncation>,
    /// Ranges of frames, first and end, whose parts of the split set were not given.
    pub missing_parts: Vec<(u64, u64)>,
    /// Packed files of which only the beginning could be unpacked, and why.
    pub packed_cut: Vec<(PathBuf, String)>,
}

impl Completeness {
    /// Whether something that the dump once held is not there (filtering does not count).
    pub fn is_damaged(&self) -> bool {
        self.incomplete
            || !self.truncated.is_empty()
            || !self.missing_parts.is_empty()
            || !self.packed_cut.is_empty()
    }
}

impl fmt::Display for Completeness {
    /// One line a defect; nothing when there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.incomplete {
            writeln!(f, "incomplete: the tool that wrote the dump ran out of space")?;
        }
        for Truncation { path, expected, actual } in &self.truncated {
            let path = path.display();
            match expected {
                Some(expected) => {
                    writeln!(f, "truncated: {path} has {actual} of at least {expected} bytes")?;
                }
                None => writeln!(
                    f,
                    "truncated: {path} stops within its pages, after {actual} bytes of content"
                )?,
            }
        }
        for (path, why) in &self.packed_cut {
            writeln!(f, "truncated: {}: {why}; what came before it is used", path.display())?;
        }
        for (first, end) in &self.missing_parts {
            writeln!(f, "missing part: page frames {first:#x} to {end:#x} were not given")?;
        }
        Ok(())
    }
}

/// Everything that a format's reader finds out while opening.
pub(crate) struct Meta {
    pub(crate) format: Format,
    pub(crate) arch: Option<Arch>,
    pub(crate) big_endian: bool,
    pub(crate) pointer_size: u32,
    pub(crate) page_size: u64,
    pub(crate) vmcoreinfo: Option<VmCoreInfo>,
    pub(crate) notes: Vec<Note>,
    pub(crate) prstatus: Vec<PrStatus>,
    pub(crate) cpu_states: Vec<CpuState>,
    pub(crate) header: Header,
    pub(crate) files: Vec<FileInfo>,
    pub(crate) completeness: Completeness,
}

impl Meta {
    pub(crate) fn new(format: Format, arch: Option<Arch>, big_endian: bool) -> Self {
        Meta {
            format,
            arch,
            big_endian,
            pointer_size: arch.map_or(8, Arch::pointer_size),
            page_size: arch.and_then(Arch::page_size).unwrap_or(4096),
            vmcoreinfo: None,
            notes: Vec::new(),
            prstatus: Vec::new(),
            cpu_states: Vec::new(),
            header: Header::default(),
            files: Vec::new(),
            completeness: Completeness::default(),
        }
    }

    /// Takes the notes and what they hold: CPU states, VMCOREINFO, ERASEINFO.
    pub(crate) fn set_notes(&mut self, notes: Vec<Note>) {
        let prstatus = notes.iter().filter(|note| note.is_prstatus());
        self.prstatus =
            prstatus.filter_map(|n| PrStatus::parse(n, self.arch, self.big_endian)).collect();
        self.cpu_states = notes.iter().filter_map(CpuState::parse).collect();
        let named = |name: &str| notes.iter().find(|note| note.name == name);
        if self.vmcoreinfo.is_none() {
            self.vmcoreinfo = named("VMCOREINFO").map(|note| VmCoreInfo::parse(&note.desc));
        }
        if self.header.eraseinfo.is_none() {
            self.header.eraseinfo = named("ERASEINFO").map(|note| note.desc.clone());
        }
        self.notes = notes;
    }
}

/// A reader and what it found.
pub(crate) struct Opened {
    pub(crate) memory: Box<dyn PhysicalMemory>,
    pub(crate) meta: Meta,
}

/// A file that was given, unpacked where it was packed.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// As given.
    pub(crate) path: PathBuf,
    pub(crate) image: Image,
    /// The unpacked copy that is read in its place.
    pub(crate) unpacked: Option<PathBuf>,
    /// Why only the beginning could be unpacked, when that is so.
    pub(crate) cut: Option<String>,
    /// How it was packed, from the outside in.
    pub(crate) packings: Vec<&'static str>,
}

impl Input {
    /// A file that is read as it lies.
    pub(crate) fn plain(path: PathBuf, image: Image) -> Self {
        Input { path, image, unpacked: None, cut: None, packings: Vec::new() }
    }

    /// The first bytes, as many as there are.
    pub(crate) fn head(&self, len: usize) -> std::borrow::Cow<'_, [u8]> {
        self.image.get_up_to(0, len)
    }

    /// Whether these bytes are at that offset.
    pub(crate) fn has(&self, at: u64, bytes: &[u8]) -> bool {
        *self.image.get_up_to(at, bytes.len()) == *bytes
    }
}
