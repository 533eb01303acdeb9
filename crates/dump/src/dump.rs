//! A dump: memory, and what the format says about it.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{
    Arch, Completeness, CpuState, FileInfo, Format, Header, Note, OpenError, OpenOptions, Page,
    PhysicalMemory, PrStatus, Presence, Read, Recorder, VmCoreInfo,
    meta::{Meta, Opened},
    open,
};

/// An open dump of any format.
pub struct Dump {
    memory: Arc<dyn PhysicalMemory>,
    recorder: Option<Recorder<Arc<dyn PhysicalMemory>>>,
    meta: Meta,
}

impl Dump {
    /// Opens a dump: one file, or the parts of a split set in any order. Nothing is decompressed;
    /// cut and incomplete files open, and [`completeness`](Self::completeness) says what is
    /// missing. `FILE@0xADDRESS` is a bare image of memory from that physical address on.
    ///
    /// # Errors
    /// When no memory could ever be read: see [`OpenError`].
    pub fn open(files: &[PathBuf], options: OpenOptions) -> Result<Dump, OpenError> {
        open::open(files, &options).map(Dump::of)
    }

    /// Opens a dump whose files are in memory already, each under the name that messages call it.
    ///
    /// # Errors
    /// As [`open`](Self::open); packed files are not dumps here.
    pub fn from_bytes(
        files: Vec<(PathBuf, Vec<u8>)>,
        options: OpenOptions,
    ) -> Result<Dump, OpenError> {
        open::open_bytes(files, &options).map(Dump::of)
    }

    fn of(Opened { memory, meta }: Opened) -> Dump {
        Dump { memory: memory.into(), recorder: None, meta }
    }

    /// Remembers from now on which frames are read.
    pub fn record(&mut self) {
        self.recorder = Some(Recorder::new(self.memory.clone()));
    }

    /// Which frames were read, if that is remembered.
    pub fn recorder(&self) -> Option<&Recorder<Arc<dyn PhysicalMemory>>> {
        self.recorder.as_ref()
    }

    /// The memory for those who look through much of it to find little: what they pass over is
    /// not remembered as read.
    pub fn unrecorded(&self) -> &dyn PhysicalMemory {
        &*self.memory
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.meta.format
    }

    /// The machine's architecture, when the format names one that is known.
    pub fn arch(&self) -> Option<Arch> {
        self.meta.arch
    }

    /// Whether the machine is big endian.
    pub fn big_endian(&self) -> bool {
        self.meta.big_endian
    }

    /// Size of a kernel pointer in bytes.
    pub fn pointer_size(&self) -> u32 {
        self.meta.pointer_size
    }

    /// VMCOREINFO from the note or the header; see also [`find_vmcoreinfo`](crate::find_vmcoreinfo).
    pub fn vmcoreinfo(&self) -> Option<&VmCoreInfo> {
        self.meta.vmcoreinfo.as_ref()
    }

    /// All ELF notes, in file order.
    pub fn notes(&self) -> &[Note] {
        &self.meta.notes
    }

    /// The `NT_PRSTATUS` notes, in file order (not by CPU number).
    pub fn prstatus(&self) -> &[PrStatus] {
        &self.meta.prstatus
    }

    /// The states of the CPUs that a hypervisor wrote down, control registers included, by CPU.
    pub fn cpu_states(&self) -> &[CpuState] {
        &self.meta.cpu_states
    }

    /// Fields of the format's own header.
    pub fn header(&self) -> &Header {
        &self.meta.header
    }

    /// The files of the dump, in ascending order of the frames they hold.
    pub fn files(&self) -> &[FileInfo] {
        &self.meta.files
    }

    /// What is missing.
    pub fn completeness(&self) -> &Completeness {
        &self.meta.completeness
    }
}

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dump")
            .field("format", &self.meta.format)
            .field("arch", &self.meta.arch)
            .field("files", &self.meta.files)
            .finish_non_exhaustive()
    }
}

impl PhysicalMemory for Dump {
    fn page_size(&self) -> u64 {
        self.memory.page_size()
    }
    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        match &self.recorder {
            None => self.memory.page(pfn),
            Some(recorder) => recorder.page(pfn),
        }
    }
    fn presence(&self, pfn: u64) -> Presence {
        self.memory.presence(pfn)
    }
    fn max_pfn(&self) -> u64 {
        self.memory.max_pfn()
    }
    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        self.memory.stored_run(from)
    }
    fn memory_run(&self, from: u64) -> Option<(u64, u64)> {
        self.memory.memory_run(from)
    }
    fn frame_of_entry(&self, frame: u64) -> u64 {
        self.memory.frame_of_entry(frame)
    }
}

const _: () = {
    const fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Dump>();
};
