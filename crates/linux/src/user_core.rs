//! A core file of a process (fs/binfmt_elf.c), put together from a dump of the kernel: what gdb would
//! have got had the process dumped core at that moment.
//!
//! What the dump of the kernel has not is left out of the file and told: gdb then says that it cannot
//! access it. Anonymous memory that nobody touched is zeros, as the process would have read it.

use std::{
    collections::HashMap,
    io::{self, Seek, SeekFrom, Write},
};

use necropsy_dump::{PhysicalMemory, Reason};
use necropsy_lexicon::Arch;
use necropsy_machine::regs::Regs;

use crate::{
    Kernel,
    error::{Error, Result},
    page_cache::CachedRange,
    task::Task,
    vma::Vma,
};

/// A part of the process's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    start: u64,
    end: u64,
    /// Readable, writable, executable: 4, 2, 1.
    access: u32,
    what: Part,
}

/// Where its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Page frames, one a page.
    Frames(Vec<u64>),
    /// Nobody touched it: zeros.
    Zeros,
    /// They are not there.
    Missing(&'static str),
}

/// Memory that is not in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first byte.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Why: `excluded`, `swapped`, `file` (a page of a file that is not in memory), `device`.
    pub reason: &'static str,
}

/// A core file to be written.
#[derive(Debug)]
pub struct UserCore<'k> {
    kernel: &'k Kernel,
    /// The threads, the one that gdb shows first at the front.
    pub threads: Vec<Task<'k>>,
    mappings: Vec<Vma>,
    runs: Vec<Run>,
    /// What is not in the file.
    pub gaps: Vec<Gap>,
    /// Threads without registers, and what else went wrong.
    pub errors: Vec<Error>,
}

/// Areas of zeros that are larger are left out, in bytes: nobody looks at them.
const MAX_ZEROS: u64 = 256 << 20;
/// More segments than an ELF header can count.
/// Pages of the largest folio: 1 GiB.
const MAX_FOLIO: u64 = 1 << 18;
const MAX_RUNS: usize = 60_000;
/// The most pages of a process.
const MAX_PAGES: u64 = 1 << 28;
/// VM_READ, VM_WRITE, VM_EXEC; VM_PFNMAP, VM_IO.
const VM_READ: u64 = 1;
const VM_WRITE: u64 = 2;
const VM_EXEC: u64 = 4;
const VM_DEVICE: u64 = 0x400 | 0x4000;
/// Registers of `elf_gregset_t` in their order (arch/x86/include/asm/elf.h); the bases of fs and gs
/// and four segments follow.
const ORDER: [&str; 21] = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs", "rflags", "rsp", "ss",
];

/// Notes (include/uapi/linux/elf.h).
const NT_PRSTATUS: u32 = 1;
const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;

impl<'k> UserCore<'k> {
    /// Of the process that a thread belongs to.
    ///
    /// # Errors
    /// It has no address space, its mappings cannot be found, or the machine is one whose core files
    /// are not known here.
    pub fn of(kernel: &'k Kernel, task: Task<'k>) -> Result<UserCore<'k>> {
        let arch = kernel.target().abi().arch;
        if arch != Arch::X86_64 {
            return Err(Error::absent(format!(
                "core file for {arch}: only those of x86_64 are known"
            )));
        }
        let mm = task
            .mm()?
            .ok_or_else(|| Error::absent("address space: a kernel thread, or an exiting task"))?;
        let (mappings, errors) = kernel.mappings(mm)?;
        let tgid = task.tgid()?;
        let mut threads: Vec<Task<'k>> = kernel
            .tasks()
            .tasks
            .into_iter()
            .filter(|other| other.tgid() == Ok(tgid) && other.mm() == Ok(Some(mm)))
            .collect();
        threads.sort_by_key(|thread| (thread.address != task.address, thread.pid().ok()));
        let mut core =
            UserCore { kernel, threads, mappings, runs: Vec::new(), gaps: Vec::new(), errors };
        core.memory(task.page_table()?);
        Ok(core)
    }

    /// Looks at every page.
    fn memory(&mut self, root: u64) {
        let page = self.kernel.target().page_size();
        let mut left = MAX_PAGES;
        let mut caches: HashMap<u64, HashMap<u64, u64>> = HashMap::new();
        for vma in self.mappings.clone() {
            let mut at = vma.start;
            while at < vma.end && left > 0 && self.runs.len() < MAX_RUNS {
                left -= 1;
                let (end, part) = self.page(root, &vma, at, &mut caches);
                let next = at.saturating_add(page);
                let end = end.clamp(next, vma.end.max(next));
                self.add(Run { start: at, end, access: access(vma.flags), what: part });
                at = end;
            }
            if at < vma.end {
                self.gaps.push(Gap { start: at, end: vma.end, reason: "too much" });
            }
        }
        for run in &mut self.runs {
            if run.what == Part::Zeros && run.end - run.start > MAX_ZEROS {
                run.what = Part::Missing("untouched");
            }
            if let Part::Missing(reason) = run.what {
                self.gaps.push(Gap { start: run.start, end: run.end, reason });
            }
        }
    }

    /// Where the bytes of a page are, and where what that says ends.
    fn page(
        &self,
        root: u64,
        vma: &Vma,
        at: u64,
        caches: &mut HashMap<u64, HashMap<u64, u64>>,
    ) -> (u64, Part) {
        let target = self.kernel.target();
        let page = target.page_size();
        let reason = match target.walk(root, at).end {
            Ok(mapping) => {
                let frame = mapping.physical & !(page - 1);
                return (at.saturating_add(page), self.frame(frame, vma));
            }
            Err(reason) => reason,
        };
        match reason {
            // A whole table is not there.
            Reason::NotMapped { level } if vma.file == 0 && vma.flags & VM_DEVICE == 0 => {
                let bits = target.page_shift() + 9 * u32::from(level.clamp(1, 5) - 1);
                ((at | ((1 << bits) - 1)).saturating_add(1), Part::Zeros)
            }
            Reason::NotMapped { .. } if vma.flags & VM_DEVICE != 0 => {
                (vma.end, Part::Missing("device"))
            }
            Reason::NotMapped { .. } => {
                let index = vma.page_offset.wrapping_add((at - vma.start) / page);
                let frame =
                    caches.entry(vma.file).or_insert_with(|| self.cache(vma.file)).get(&index);
                let part = frame.map_or(Part::Missing("file"), |frame| self.frame(*frame, vma));
                (at.saturating_add(page), part)
            }
            Reason::Swapped { .. } => (at.saturating_add(page), Part::Missing("swapped")),
            other => (at.saturating_add(page), Part::Missing(other.name())),
        }
    }

    /// A frame, if the dump has it.
    fn frame(&self, frame: u64, vma: &Vma) -> Part {
        let mut bytes = vec![0; self.kernel.target().page_size() as usize];
        match self.kernel.target().dump().read(frame, &mut bytes) {
            Ok(()) => Part::Frames(vec![frame]),
            Err(_) if vma.flags & VM_DEVICE != 0 => Part::Missing("device"),
            Err(fault) => Part::Missing(fault.reason.name()),
        }
    }

    /// Physical addresses of the pages of a file in memory, by their number in it.
    fn cache(&self, file: u64) -> HashMap<u64, u64> {
        let kernel = self.kernel;
        let pages = || -> Result<HashMap<u64, u64>> {
            let inode = kernel.inode_of(kernel.place_of_file(file)?.dentry)?;
            let (ranges, _) = kernel.page_cache(kernel.inode_mapping(inode)?)?;
            let pages = ranges.iter().flat_map(|range: &CachedRange| {
                (0..range.count.min(MAX_FOLIO)).filter_map(move |number| {
                    Some((range.index + number, kernel.cached_page(range, number).ok()?))
                })
            });
            Ok(pages.collect())
        };
        pages().unwrap_or_default()
    }

    fn add(&mut self, run: Run) {
        if let Some(last) = self.runs.last_mut()
            && last.end == run.start
            && last.access == run.access
        {
            match (&mut last.what, &run.what) {
                (Part::Frames(before), Part::Frames(frames)) => {
                    before.extend(frames);
                    last.end = run.end;
                    return;
                }
                (Part::Zeros, Part::Zeros) => {
                    last.end = run.end;
                    return;
                }
                (Part::Missing(before), Part::Missing(reason)) if before == reason => {
                    last.end = run.end;
                    return;
                }
                _ => {}
            }
        }
        self.runs.push(run);
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write<W: Write + Seek>(&mut self, out: &mut W) -> io::Result<()> {
        let page = self.kernel.target().page_size();
        let notes = self.notes();
        let headers = 64 + 56 * (self.runs.len() as u64 + 1);
        let mut offset = (headers + notes.len() as u64).next_multiple_of(page);
        out.write_all(&elf_header(self.runs.len() as u16 + 1))?;
        out.write_all(&program_header(4, 0, headers, 0, notes.len() as u64, 0, 4))?;
        for run in &self.runs {
            let size = run.end - run.start;
            let in_file = if matches!(run.what, Part::Missing(_)) { 0 } else { size };
            let flags = run.access;
            out.write_all(&program_header(1, flags, offset, run.start, in_file, size, page))?;
            offset += in_file;
        }
        out.write_all(&notes)?;
        let mut at = (headers + notes.len() as u64).next_multiple_of(page);
        let mut buffer = vec![0; page as usize];
        let mut end = at;
        for run in &self.runs {
            match &run.what {
                Part::Frames(frames) => {
                    out.seek(SeekFrom::Start(at))?;
                    for frame in frames {
                        // It could be read a moment ago.
                        if self.kernel.target().dump().read(*frame, &mut buffer).is_err() {
                            return Err(io::Error::other("a page is gone that was there before"));
                        }
                        out.write_all(&buffer)?;
                    }
                    at += run.end - run.start;
                    end = at;
                }
                // Not written: the file has a hole there.
                Part::Zeros => at += run.end - run.start,
                Part::Missing(_) => {}
            }
        }
        if end < at {
            out.seek(SeekFrom::Start(at - 1))?;
            out.write_all(&[0])?;
        }
        Ok(())
    }

    fn notes(&mut self) -> Vec<u8> {
        let mut notes = Vec::new();
        let mut errors = Vec::new();
        for (number, thread) in self.threads.iter().enumerate() {
            match registers(self.kernel, *thread) {
                Ok(words) => {
                    let mut status = vec![0; 336];
                    put(&mut status, 32, &(thread.pid().unwrap_or(0) as u32).to_le_bytes());
                    put(&mut status, 36, &(thread.ppid().unwrap_or(0) as u32).to_le_bytes());
                    for (word, at) in words.iter().zip((112..).step_by(8)) {
                        put(&mut status, at, &word.to_le_bytes());
                    }
                    note(&mut notes, NT_PRSTATUS, &status);
                }
                Err(error) => errors.push(error),
            }
            // gdb takes what is of the process from between the first two threads.
            if number == 0 {
                note(&mut notes, NT_PRPSINFO, &self.process(*thread));
                if let Some(auxiliary) = self.auxiliary(*thread) {
                    note(&mut notes, NT_AUXV, &auxiliary);
                }
                note(&mut notes, NT_FILE, &self.files());
            }
        }
        self.errors.extend(errors);
        notes
    }

    /// `struct elf_prpsinfo`.
    fn process(&self, thread: Task<'_>) -> Vec<u8> {
        let mut info = vec![0; 136];
        put(&mut info, 1, b"R");
        put(&mut info, 24, &(thread.tgid().unwrap_or(0) as u32).to_le_bytes());
        put(&mut info, 28, &(thread.ppid().unwrap_or(0) as u32).to_le_bytes());
        let name = thread.group_leader().and_then(|leader| leader.comm()).unwrap_or_default();
        let name = name.as_bytes();
        put(&mut info, 40, &name[..name.len().min(15)]);
        let args = thread.strings(false).unwrap_or_default().join(" ");
        put(&mut info, 56, &args.as_bytes()[..args.len().min(79)]);
        info
    }

    fn auxiliary(&self, thread: Task<'_>) -> Option<Vec<u8>> {
        let field = &self.kernel.shapes().mm_start.auxiliary;
        let at = field.address(thread.mm().ok()??).ok()?;
        let bytes = self.kernel.target().read_bytes(at, field.size().ok()?.min(4096)).ok()?;
        // AT_NULL ends it.
        let end = bytes.chunks_exact(16).position(|pair| pair[..8] == [0; 8])?;
        Some(bytes[..(end + 1) * 16].to_vec())
    }

    /// The files that are mapped.
    fn files(&self) -> Vec<u8> {
        let page = self.kernel.target().page_size();
        let mut names: HashMap<u64, String> = HashMap::new();
        let (mut words, mut texts, mut count) = (Vec::new(), Vec::new(), 0u64);
        for vma in self.mappings.iter().filter(|vma| vma.file != 0) {
            let name = names
                .entry(vma.file)
                .or_insert_with(|| self.kernel.name_of_file(vma.file).unwrap_or_default());
            for word in [vma.start, vma.end, vma.page_offset] {
                words.extend(word.to_le_bytes());
            }
            texts.extend(name.as_bytes());
            texts.push(0);
            count += 1;
        }
        let mut note = Vec::new();
        note.extend(count.to_le_bytes());
        note.extend(page.to_le_bytes());
        note.extend(words);
        note.extend(texts);
        note
    }
}

/// The registers that a thread has in user space, in the order of `elf_gregset_t`.
fn registers(kernel: &Kernel, thread: Task<'_>) -> Result<[u64; 27]> {
    // A CPU that was stopped in user space has them itself.
    let running = kernel.running_on(thread).and_then(|cpu| kernel.cpu_regs(cpu).ok());
    let regs: Regs = match running.filter(|(regs, _)| regs.user_mode()) {
        Some((regs, _)) => regs,
        None => thread.user_regs()?.1,
    };
    let mut words = [0; 27];
    for (word, name) in words.iter_mut().zip(ORDER) {
        *word = kernel.target().register(name).and_then(|reg| regs.get(reg)).unwrap_or(0);
    }
    let bases = &kernel.shapes().thread_bases;
    words[21] = thread.get(&bases.fs).unwrap_or(0);
    words[22] = thread.get(&bases.gs).unwrap_or(0);
    Ok(words)
}

fn access(flags: u64) -> u32 {
    let bit = |flag: u64, bit: u32| if flags & flag != 0 { bit } else { 0 };
    bit(VM_READ, 4) | bit(VM_WRITE, 2) | bit(VM_EXEC, 1)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn note(notes: &mut Vec<u8>, kind: u32, content: &[u8]) {
    for word in [5, content.len() as u32, kind] {
        notes.extend(word.to_le_bytes());
    }
    notes.extend(b"CORE\0\0\0\0");
    notes.extend(content);
    notes.resize(notes.len().next_multiple_of(4), 0);
}

fn elf_header(segments: u16) -> Vec<u8> {
    let mut header = vec![0; 64];
    put(&mut header, 0, b"\x7fELF\x02\x01\x01");
    // ET_CORE, EM_X86_64, version 1; the program headers follow at once.
    put(&mut header, 16, &4u16.to_le_bytes());
    put(&mut header, 18, &62u16.to_le_bytes());
    put(&mut header, 20, &1u32.to_le_bytes());
    put(&mut header, 32, &64u64.to_le_bytes());
    put(&mut header, 52, &64u16.to_le_bytes());
    put(&mut header, 54, &56u16.to_le_bytes());
    put(&mut header, 56, &segments.to_le_bytes());
    header
}

fn program_header(
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
    align: u64,
) -> Vec<u8> {
    let mut header = Vec::with_capacity(56);
    header.extend(kind.to_le_bytes());
    header.extend(flags.to_le_bytes());
    for word in [offset, address, 0, in_file, in_memory, align] {
        header.extend(word.to_le_bytes());
    }
    header
}
