//! The note `QEMU`: a virtual CPU's state as QEMU's `dump-guest-memory` writes it
//! (`QEMUCPUState`, `target/i386/arch_dump.c`). x86 only.

use crate::{Note, bytes::Fields};

/// A segment or descriptor-table register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segment {
    /// Selector.
    pub selector: u32,
    /// Limit in bytes.
    pub limit: u32,
    /// Descriptor flags.
    pub flags: u32,
    /// Base, kernel virtual.
    pub base: u64,
}

/// One virtual CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuState {
    /// `rax rbx rcx rdx rsi rdi rsp rbp r8 … r15`, in this order.
    pub general: [u64; 16],
    /// Instruction pointer, virtual.
    pub rip: u64,
    /// Flags register.
    pub rflags: u64,
    /// `cs ds es fs gs ss`, in this order.
    pub segments: [Segment; 6],
    /// Local descriptor table register.
    pub ldt: Segment,
    /// Task register.
    pub tr: Segment,
    /// Global descriptor table register.
    pub gdt: Segment,
    /// Interrupt descriptor table register.
    pub idt: Segment,
    /// `cr0`-`cr4`; `cr3` is the page-table root (physical, with flag bits).
    pub cr: [u64; 5],
    /// `MSR_KERNEL_GS_BASE`, since QEMU 4.0 (note version 1 with the longer size).
    pub kernel_gs_base: Option<u64>,
}

const GENERAL: [&str; 16] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

impl CpuState {
    /// `None` unless this is a whole `QEMU` note of a known version.
    pub fn parse(note: &Note) -> Option<Self> {
        if note.name != "QEMU" || note.kind != 0 {
            return None;
        }
        let fields = Fields::new(&note.desc, false);
        let size = fields.u32(4)? as usize;
        if fields.u32(0)? != 1 || size > note.desc.len() {
            return None;
        }
        let mut state = CpuState::default();
        for (index, register) in state.general.iter_mut().enumerate() {
            *register = fields.u64(8 + index * 8)?;
        }
        state.rip = fields.u64(136)?;
        state.rflags = fields.u64(144)?;
        let mut at = 152;
        let tables = [&mut state.ldt, &mut state.tr, &mut state.gdt, &mut state.idt];
        for segment in state.segments.iter_mut().chain(tables) {
            *segment = Segment {
                selector: fields.u32(at)?,
                limit: fields.u32(at + 4)?,
                flags: fields.u32(at + 8)?,
                base: fields.u64(at + 16)?,
            };
            at += 24;
        }
        for (index, cr) in state.cr.iter_mut().enumerate() {
            *cr = fields.u64(at + index * 8)?;
        }
        at += 40;
        state.kernel_gs_base = (size >= at + 8).then(|| fields.u64(at)).flatten();
        Some(state)
    }

    /// The general register, `rip` or `rflags` of that name.
    pub fn reg(&self, name: &str) -> Option<u64> {
        match name {
            "rip" => Some(self.rip),
            "rflags" | "eflags" => Some(self.rflags),
            _ => GENERAL.iter().position(|&n| n == name).map(|i| self.general[i]),
        }
    }
}
