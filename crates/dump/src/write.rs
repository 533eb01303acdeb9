//! Writing dumps: what is common to the formats.

mod elf;
mod fields;
mod kdump;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{Arch, CrashTime, Dump, Note, PhysicalMemory, Uts};

pub use elf::write_elf;
pub use kdump::{Packing, write_kdump};

/// Frames read and packed at a time, in parallel.
const BATCH: u64 = 4096;
/// Beyond this many frames the bitmaps alone would take gigabytes: the addresses are damaged.
const MAX_PFN_LIMIT: u64 = 1 << 33;

const UNKNOWN: &str = "(unknown)";

/// Whether a frame goes into the new dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Write it.
    Store,
    /// Leave it out, as a filter does.
    Exclude,
}

/// How many frames of each kind there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames that the machine had.
    pub frames: u64,
    /// Written.
    pub written: u64,
    /// Of those, all zero.
    pub zero: u64,
    /// Stored in the source, and not to be kept.
    pub excluded: u64,
    /// To be kept, and not readable in the source.
    pub unreadable: u64,
    /// Size of the new file in bytes.
    pub bytes: u64,
}

/// Frames done and in all, while a dump is written.
pub type WriteProgress<'a> = Option<&'a (dyn Fn(u64, u64) + Sync)>;

/// What a new dump says about itself besides memory.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Architecture.
    pub arch: Option<Arch>,
    /// Byte order of the headers: the machine's.
    pub big_endian: bool,
    /// The kernel's `utsname`.
    pub uts: Uts,
    /// VMCOREINFO's text.
    pub vmcoreinfo: Option<String>,
    /// ELF notes.
    pub notes: Vec<Note>,
    /// See [`Header::phys_base`](crate::Header::phys_base).
    pub phys_base: u64,
    /// Number of CPUs.
    pub nr_cpus: u32,
    /// When the machine crashed.
    pub crash_time: Option<CrashTime>,
    /// makedumpfile's `-d` that describes what was left out, the source's filter included.
    pub dump_level: u32,
    /// What was erased.
    pub eraseinfo: Option<Box<[u8]>>,
    /// Kernel virtual address ranges for ELF: those of the source.
    pub segments: Vec<crate::LoadSegment>,
}

impl Origin {
    /// What `dump` says. An ELF dump carries no `utsname`: what VMCOREINFO and the architecture
    /// tell of it is filled in, the rest (`(unknown)`) is the caller's to read from memory. It is
    /// not left empty, as libkdumpfile takes a header with an empty field for none.
    pub fn of(dump: &Dump) -> Self {
        let header = dump.header();
        let info = dump.vmcoreinfo();
        let uts = header.uts.clone().unwrap_or_else(|| Uts {
            sysname: "Linux".into(),
            release: info.and_then(|info| info.get("OSRELEASE")).unwrap_or_default().into(),
            machine: dump.arch().map(machine).unwrap_or_default().into(),
            nodename: UNKNOWN.into(),
            version: UNKNOWN.into(),
            domainname: UNKNOWN.into(),
        });
        let crashed = info.and_then(|info| info.get("CRASHTIME")?.trim().parse().ok());
        Origin {
            arch: dump.arch(),
            big_endian: dump.big_endian(),
            uts,
            vmcoreinfo: info.map(|info| info.text().to_owned()),
            notes: dump.notes().to_vec(),
            phys_base: header
                .phys_base
                .or_else(|| info.and_then(|info| info.number("phys_base")))
                .unwrap_or(0),
            nr_cpus: header.nr_cpus.unwrap_or(dump.prstatus().len() as u32).max(1),
            crash_time: header
                .crash_time
                .or(crashed.map(|seconds| CrashTime { seconds, microseconds: 0 })),
            dump_level: header.dump_level.unwrap_or(0),
            eraseinfo: header.eraseinfo.clone(),
            segments: header.segments.clone(),
        }
    }

    /// The notes as they stand in a file, with a VMCOREINFO note in any case where there is one.
    fn note_bytes(&self) -> Vec<u8> {
        let mut out = fields::Out::new(self.big_endian);
        for note in &self.notes {
            out.note(&note.name, note.kind, &note.desc);
        }
        let has_info = self.notes.iter().any(|note| note.name == "VMCOREINFO");
        if let (false, Some(text)) = (has_info, &self.vmcoreinfo) {
            out.note("VMCOREINFO", 0, text.as_bytes());
        }
        out.bytes
    }
}

/// The architecture's name in `uname -m`.
fn machine(arch: Arch) -> &'static str {
    match arch {
        Arch::I386 => "i686",
        Arch::Arm => "armv7l",
        arch => arch.name(),
    }
}

/// A file that gets its name only when it is whole.
struct Output {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
        Ok(Output { file, path: path.into() })
    }

    /// A second handle with its own position is what two cursors need.
    fn handle(&self) -> io::Result<File> {
        self.file.reopen()
    }

    /// Gives the file its name; its size in bytes.
    fn finish(self) -> io::Result<u64> {
        let size = self.file.as_file().metadata()?.len();
        self.file.persist(&self.path).map_err(|error| error.error)?;
        Ok(size)
    }
}

/// Stored frames to be kept, as runs.
fn kept_runs(
    memory: &dyn PhysicalMemory,
    keep: &(dyn Fn(u64) -> Keep + Sync),
    stats: &mut Stats,
) -> io::Result<Vec<(u64, u64)>> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    while let Some((first, end)) = memory.stored_run(at) {
        check(end)?;
        for pfn in first..end {
            match (keep(pfn), runs.last_mut()) {
                (Keep::Exclude, _) => stats.excluded += 1,
                (Keep::Store, Some(last)) if last.1 == pfn => last.1 += 1,
                (Keep::Store, _) => runs.push((pfn, pfn + 1)),
            }
        }
        at = end;
    }
    let mut at = 0;
    while let Some((first, end)) = memory.memory_run(at) {
        check(end)?;
        stats.frames += end - first;
        at = end;
    }
    Ok(runs)
}

fn check(end: u64) -> io::Result<()> {
    if end <= MAX_PFN_LIMIT {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "page frame {end:#x} is beyond what a machine can have: the source is damaged"
    )))
}

/// Reads the frames of `runs` in parallel, makes something of each, and hands the results over in
/// order.
fn for_each_frame<T: Send>(
    runs: &[(u64, u64)],
    progress: WriteProgress<'_>,
    make: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> io::Result<()>,
) -> io::Result<()> {
    let total = runs.iter().map(|(first, end)| end - first).sum();
    let mut done = 0;
    let mut batch = Vec::new();
    let mut frames = runs.iter().flat_map(|&(first, end)| first..end).peekable();
    while frames.peek().is_some() {
        batch.clear();
        batch.extend(frames.by_ref().take(BATCH as usize));
        let made: Vec<T> = batch.par_iter().map(|&pfn| make(pfn)).collect();
        for (&pfn, item) in batch.iter().zip(made) {
            take(pfn, item)?;
        }
        done += batch.len() as u64;
        if let Some(progress) = progress {
            progress(done, total);
        }
    }
    Ok(())
}
