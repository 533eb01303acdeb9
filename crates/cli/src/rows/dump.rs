//! What a dump says of itself, without any kernel.

use necropsy_rows::{Hex, row};

row! {
    /// `struct new_utsname`, as the dump's header carries it.
    #[derive(Debug)]
    pub struct UtsRow {
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

    /// A range of physical memory.
    #[derive(Debug)]
    pub struct RangeRow {
        /// Its first byte.
        pub start: Hex,
        /// One past its last byte.
        pub end: Hex,
    }

    /// A segment of an ELF dump.
    #[derive(Debug)]
    pub struct SegmentRow {
        /// Its virtual address: a hint, not a translation.
        pub address: Hex,
        /// Its physical address.
        pub physical: Hex,
        /// Bytes in the file.
        pub bytes: u64 [bytes],
        /// Bytes of memory.
        pub memory_bytes: u64 [bytes],
    }

    /// A note.
    #[derive(Debug)]
    pub struct NoteRow {
        /// Its owner.
        pub name: String,
        /// Its number, which means something to the owner.
        pub kind: u32,
        /// Its size.
        pub size: u64 [bytes],
        /// Its bytes in hexadecimal, unless there are more than 64 KB.
        pub data: Option<String>,
    }

    /// A register.
    #[derive(Debug)]
    pub struct RegisterRow {
        /// Its name.
        pub name: &'static str,
        /// Its value.
        pub value: Hex,
    }

    /// A CPU's registers, as a note of the dump has them.
    #[derive(Debug)]
    pub struct CpuNoteRow {
        /// Position among the notes: not the CPU's number.
        pub index: usize,
        /// The note that they are from, or the format's own record.
        pub from: &'static str,
        /// The task that ran there; QEMU writes the CPU's number plus one.
        pub pid: Option<u32>,
        /// Registers in the order of the note.
        pub registers: Vec<RegisterRow>,
    }

    /// Fields of the dump's own header; `null` where the format has none.
    #[derive(Debug)]
    pub struct HeaderRow {
        /// The format in the words other tools use.
        pub description: String,
        /// `little` or `big`.
        pub endian: &'static str,
        /// Size of a kernel pointer.
        pub pointer_size: u32 [bytes],
        /// One past the highest page frame.
        pub max_pfn: u64,
        /// Version of the header.
        pub version: Option<u32>,
        /// Status flags, in the format's own bits.
        pub status: Option<u32>,
        /// Physical address minus link-time offset of the kernel, as the writer found it.
        pub phys_base: Option<Hex>,
        /// Number of CPUs.
        pub cpus: Option<u32>,
        /// CPU that wrote the dump.
        pub current_cpu: Option<u32>,
        /// When the machine crashed or the dump was written, in seconds since the epoch.
        pub time: Option<u64> [seconds],
        /// The kernel's own names.
        pub uts: Option<UtsRow>,
        /// What makedumpfile erased, as its text says.
        pub eraseinfo: Option<String>,
        /// The whole VMCOREINFO.
        pub vmcoreinfo: Option<String>,
        /// Kinds of pages that the filter left out.
        pub filtered: Vec<&'static str>,
        /// The memory map of filtered pages was left out too.
        pub filtered_memory_map: bool,
        /// Memory that the machine had.
        pub memory: Vec<RangeRow>,
        /// Memory that is in the dump.
        pub stored: Vec<RangeRow>,
        /// Both are whole; else they end after many ranges.
        pub ranges_complete: bool,
        /// Segments of an ELF dump.
        pub segments: Vec<SegmentRow>,
        /// Notes.
        pub notes: Vec<NoteRow>,
        /// Registers that the dump's notes have.
        pub cpu_notes: Vec<CpuNoteRow>,
    }
}
