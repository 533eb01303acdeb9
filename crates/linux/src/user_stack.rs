//! Stacks of user programs: by the unwind tables that a program carries in its memory (`.eh_frame`, where
//! their pages are in the dump, or in the page cache), else by the frame pointer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use necropsy_debuginfo::dwarf::{EhFrame, Rule};
use necropsy_machine::{Regs, Target};

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    task::Task,
    vma::Vma,
};

/// Frames that are followed: what is deeper has run wild.
const MAX_FRAMES: usize = 512;
/// Program headers of a file.
const MAX_HEADERS: u64 = 64;
/// Bytes of unwind tables of a file: those of a browser have some megabytes.
const MAX_TABLE: u64 = 32 << 20;
/// `PT_LOAD`, `PT_GNU_EH_FRAME`.
const LOAD: u64 = 1;
const UNWIND_INDEX: u64 = 0x6474_e550;

/// A frame of a user program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFrame {
    /// Where it is, or will return to.
    pub pc: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// What gave it: `regs`, `eh_frame`, `fp`.
    pub found_by: &'static str,
    /// The file that is mapped there.
    pub file: Option<String>,
    /// The address in that file as it was linked.
    pub linked: Option<u64>,
}

/// A stack of a user program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserTrace {
    /// Innermost first.
    pub frames: Vec<UserFrame>,
    /// Why it ends, if not at the program's first function.
    pub ended: Option<String>,
}

impl Task<'_> {
    /// Its stack in user space, from the registers with which it entered the kernel.
    ///
    /// # Errors
    /// It has no user space, or those registers are not known.
    pub fn user_trace(&self) -> Result<UserTrace> {
        let kernel = self.kernel();
        let mm = self
            .mm()?
            .ok_or_else(|| Error::absent("user space: a kernel thread, or an exiting task"))?;
        let (vmas, _) = kernel.mappings(mm)?;
        let running = kernel.running_on(*self);
        let noted = running.and_then(|cpu| kernel.cpu_regs(cpu).ok()).map(|(regs, _)| regs);
        let regs = match noted.filter(Regs::user_mode) {
            Some(regs) => regs,
            None => self.user_regs()?.1,
        };
        let space = UserSpace {
            kernel,
            root: self.page_table()?,
            vmas,
            cached: RefCell::default(),
            tables: RefCell::default(),
        };
        Ok(space.walk(regs))
    }
}

/// Pages of a file in memory: from an index on, the frame number and how many.
type FilePages = BTreeMap<u64, (u64, u64)>;

/// The memory of a program: what its page tables map, and what else of its files is in memory.
struct UserSpace<'k> {
    kernel: &'k Kernel,
    root: u64,
    vmas: Vec<Vma>,
    /// Pages of files in memory: index to frame number, by `struct file`.
    cached: RefCell<HashMap<u64, FilePages>>,
    /// Unwind tables, and what was added to the addresses in them, by `struct file`.
    tables: RefCell<HashMap<u64, Option<(EhFrame, u64)>>>,
}

impl UserSpace<'_> {
    fn target(&self) -> &Target {
        self.kernel.target()
    }

    fn vma_at(&self, address: u64) -> Option<&Vma> {
        self.vmas.iter().find(|vma| (vma.start..vma.end).contains(&address))
    }

    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    /// Whether all bytes could be read.
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let page = self.target().page_size();
        let mut done = 0;
        while done < buf.len() {
            let Some(at) = address.checked_add(done as u64) else { return false };
            let rest = usize::try_from(page - at % page).unwrap_or(0).min(buf.len() - done);
            let piece = &mut buf[done..done + rest];
            if self.target().read_user(self.root, at, piece).is_err() && !self.read_file(at, piece)
            {
                return false;
            }
            done += rest;
        }
        true
    }

    /// Reads within a page of a file that is in memory and not mapped.
    fn read_file(&self, at: u64, buf: &mut [u8]) -> bool {
        let Some(vma) = self.vma_at(at).filter(|vma| vma.file != 0) else { return false };
        let page = self.target().page_size();
        let index = vma.page_offset.wrapping_add((at - vma.start) / page);
        let mut cached = self.cached.borrow_mut();
        let pages = cached.entry(vma.file).or_insert_with(|| self.pages_of(vma.file));
        let Some((first, (pfn, count))) = pages.range(..=index).next_back() else { return false };
        if index - first >= *count {
            return false;
        }
        let frame = pfn.wrapping_add(index - first).wrapping_mul(page);
        self.target().read_physical(frame.wrapping_add(at % page), buf).is_ok()
    }

    fn pages_of(&self, file: u64) -> BTreeMap<u64, (u64, u64)> {
        let kernel = self.kernel;
        let pages = || {
            let inode = kernel.inode_of(kernel.place_of_file(file)?.dentry)?;
            let (mapping, _) = kernel.inode_pages(inode)?;
            kernel.cached_pages(mapping)
        };
        let Ok((pages, _)) = pages() else { return BTreeMap::new() };
        pages
            .into_iter()
            .filter_map(|page| Some((page.index, (kernel.pfn_of(page.page).ok()?, page.count))))
            .collect()
    }

    fn walk(&self, regs: Regs) -> UserTrace {
        let abi = self.target().abi();
        let mut trace = UserTrace { frames: Vec::new(), ended: None };
        let (mut regs, mut found_by, mut exact) = (regs, "regs", true);
        while let (Some(pc), Some(sp)) = (regs.pc(), regs.sp()) {
            let code = self.vma_at(pc).filter(|vma| vma.flags & 4 != 0);
            if trace.frames.len() >= MAX_FRAMES || (code.is_none() && !trace.frames.is_empty()) {
                trace.ended = Some(format!("{pc:x} is no code of the program"));
                return trace;
            }
            let file = code.map(|vma| vma.file).filter(|file| *file != 0);
            let linked = file.and_then(|_| self.linked(pc));
            trace.frames.push(UserFrame {
                pc,
                sp,
                found_by,
                file: file.and_then(|file| self.kernel.name_of_file(file).ok()),
                linked,
            });
            // The processor or a signal leads to the very address; a call returns behind itself.
            let at = if exact { pc } else { pc.wrapping_sub(1) };
            let next = match self.by_table(at, &regs) {
                Some(Next::Caller(next, signal)) => Some((*next, "eh_frame", signal)),
                Some(Next::End) => return trace,
                None => self.by_frame_pointer(&regs).map(|next| (next, "fp", false)),
            };
            let Some((next, by, signal)) = next.filter(|(next, ..)| next.sp() > Some(sp)) else {
                let bp = regs.get(abi.frame_pointer);
                if bp != Some(0) {
                    trace.ended = Some(
                        "no unwind table of it is in the dump, and no frame pointer leads on"
                            .into(),
                    );
                }
                return trace;
            };
            (regs, found_by, exact) = (next, by, signal);
        }
        trace
    }

    /// The address of a place in its file as it was linked.
    fn linked(&self, pc: u64) -> Option<u64> {
        let vma = self.vma_at(pc)?;
        let (_, bias) = self.file_headers(vma.file)?;
        Some(pc.wrapping_sub(bias))
    }

    /// The caller, by the unwind tables of the file that an address is in.
    fn by_table(&self, at: u64, regs: &Regs) -> Option<Next> {
        let file = self.vma_at(at)?.file;
        let mut tables = self.tables.borrow_mut();
        let table = tables.entry(file).or_insert_with(|| self.load_table(file));
        let (table, _) = table.as_ref()?;
        let cfi = table.cfi_at(at)?;
        let abi = self.target().abi();
        let (register, offset) = cfi.cfa?;
        let cfa = regs.get(abi.from_dwarf(register)?)?.wrapping_add_signed(offset);
        /// DWARF's number for the return address on x86_64 (System V ABI, figure 3.36).
        const RETURN_ADDRESS: u16 = 16;
        let rule = |number: u16| {
            cfi.registers.iter().find(|(register, _)| *register == number).map(|(_, rule)| *rule)
        };
        let saved = |offset: i64| self.word(cfa.wrapping_add_signed(offset));
        let pc = match rule(RETURN_ADDRESS) {
            Some(Rule::AtCfa(offset)) => saved(offset)?,
            // The first function of a program or a thread returns to nobody.
            Some(Rule::Undefined) => return Some(Next::End),
            _ => return None,
        };
        let mut next = Regs::new();
        for reg in abi.preserved.iter().copied() {
            let value = match abi.dwarf_number(reg).and_then(rule) {
                None | Some(Rule::Same) => regs.get(reg),
                Some(Rule::AtCfa(offset)) => saved(offset),
                Some(Rule::IsCfa(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(Rule::Register(other)) => abi.from_dwarf(other).and_then(|r| regs.get(r)),
                Some(Rule::Undefined | Rule::Expression) => None,
            };
            next.put(reg, value);
        }
        next.set(abi.program_counter, pc);
        next.set(abi.stack_pointer, cfa);
        Some(if pc == 0 { Next::End } else { Next::Caller(Box::new(next), cfi.signal) })
    }

    /// Program headers of a file: type, offset, address, bytes of memory; and what is added to addresses.
    fn file_headers(&self, file: u64) -> Option<(Vec<[u64; 4]>, u64)> {
        let first = self.vmas.iter().find(|vma| vma.file == file && vma.page_offset == 0)?;
        let mut header = [0; 64];
        if !self.read(first.start, &mut header) || !header.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let word = |bytes: &[u8], at: usize| {
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
        };
        let count = u64::from(u16::from_le_bytes([header[56], header[57]])).min(MAX_HEADERS);
        let mut found = Vec::new();
        for index in 0..count {
            let mut entry = [0; 56];
            let at = first.start.checked_add(word(&header, 32))?.checked_add(index * 56)?;
            if !self.read(at, &mut entry) {
                return None;
            }
            let kind = word(&entry, 0) & 0xffff_ffff;
            found.push([kind, word(&entry, 8), word(&entry, 16), word(&entry, 40)]);
        }
        let load = found.iter().find(|[kind, offset, ..]| *kind == LOAD && *offset == 0)?;
        let bias = first.start.wrapping_sub(load[2]);
        Some((found, bias))
    }

    fn load_table(&self, file: u64) -> Option<(EhFrame, u64)> {
        let (headers, bias) = self.file_headers(file)?;
        let Some([_, _, address, bytes]) = headers.iter().find(|[kind, ..]| *kind == UNWIND_INDEX)
        else {
            return Some((self.search_table(file)?, bias));
        };
        let address = address.wrapping_add(bias);
        let mut index = vec![0; usize::try_from((*bytes).min(MAX_TABLE)).ok()?];
        if !self.read(address, &mut index) {
            return None;
        }
        let start = EhFrame::table_address(address, &index)?;
        // Nothing says how long it is: it ends with its mapping at the latest.
        let table = self.sparse(start, self.vma_at(start)?.end)?;
        Some((EhFrame { index: Some((address, index)), table: (start, table) }, bias))
    }

    /// A static program has no index, and only its file says where the table is: it is looked for in what
    /// is mapped to be read.
    fn search_table(&self, file: u64) -> Option<EhFrame> {
        let data = self.vmas.iter().filter(|vma| vma.file == file && vma.flags & 4 == 0);
        data.into_iter().find_map(|vma| {
            let bytes = self.sparse(vma.start, vma.end)?;
            let at = EhFrame::find_table(&bytes)?;
            let start = vma.start.checked_add(at as u64)?;
            Some(EhFrame { index: None, table: (start, bytes[at..].to_vec()) })
        })
    }

    /// What can be read between two addresses, zeros for the rest: what is missing costs the functions that
    /// it tells of.
    fn sparse(&self, start: u64, end: u64) -> Option<Vec<u8>> {
        let page = self.target().page_size();
        let mut bytes = vec![0; usize::try_from(end.checked_sub(start)?.min(MAX_TABLE)).ok()?];
        let mut from = 0;
        while from < bytes.len() {
            let at = start.checked_add(from as u64)?;
            let rest = usize::try_from(page - at % page).ok()?.min(bytes.len() - from);
            let _ = self.read(at, &mut bytes[from..from + rest]);
            from += rest;
        }
        Some(bytes)
    }

    fn by_frame_pointer(&self, regs: &Regs) -> Option<Regs> {
        let abi = self.target().abi();
        let (bp, sp) = (regs.get(abi.frame_pointer)?, regs.sp()?);
        if bp % 8 != 0 || bp < sp {
            return None;
        }
        let (outer, pc) = (self.word(bp)?, self.word(bp.checked_add(8)?)?);
        let code = self.vma_at(pc.wrapping_sub(1)).is_some_and(|vma| vma.flags & 4 != 0);
        let mut next = Regs::new();
        next.set(abi.frame_pointer, outer);
        next.set(abi.program_counter, pc);
        next.set(abi.stack_pointer, bp.checked_add(16)?);
        code.then_some(next)
    }
}

enum Next {
    /// Its registers, and whether it was interrupted rather than calling.
    Caller(Box<Regs>, bool),
    End,
}
