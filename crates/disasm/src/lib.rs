//! Disassembly in the form GNU objdump prints.
//!
//! Text equals `objdump -d --no-show-raw-insn` of binutils 2.40 (AT&T syntax on x86), so that
//! what an engineer sees here can be compared with any other listing of the same kernel.
//! Besides text, an [`Instruction`] says where it may continue, and [`memory_operands`] and
//! [`registers_used`] say what it touches: enough to explain a faulting access or to follow a
//! value backwards.
#![forbid(unsafe_code)]

mod arm;
pub mod effects;
mod operand;
mod riscv;
mod x86;

pub use effects::Effects;
pub use operand::{MemoryOperand, effective_address};

use std::fmt::Write as _;

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arch {
    /// x86 in 64-bit mode.
    X86_64,
    /// x86 in 32-bit mode.
    I386,
    /// ARM, 64-bit.
    Aarch64,
    /// ARM, 32-bit, in ARM state.
    Arm,
    /// ARM, 32-bit, in Thumb state.
    Thumb,
    /// RISC-V, 64-bit.
    Riscv64,
}

impl Arch {
    fn is_x86(self) -> bool {
        matches!(self, Arch::X86_64 | Arch::I386)
    }

    /// Bytes skipped when nothing can be decoded.
    fn unit(self) -> usize {
        match self {
            Arch::X86_64 | Arch::I386 => 1,
            Arch::Thumb | Arch::Riscv64 => 2,
            Arch::Aarch64 | Arch::Arm => 4,
        }
    }

    /// Digits of an address in a branch target: objdump pads them on no architecture, but cuts
    /// them to the machine's width.
    fn address_mask(self) -> u64 {
        match self {
            Arch::I386 | Arch::Arm | Arch::Thumb => u32::MAX.into(),
            _ => u64::MAX,
        }
    }
}

/// Where control goes after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To a function, and then to the next instruction.
    Call,
    /// Elsewhere.
    Jump,
    /// Elsewhere or to the next instruction.
    ConditionalJump,
    /// Back to the caller, or out of an exception.
    Return,
    /// Into an exception by intent: `ud2`, `int3`, `brk`, `ebreak`.
    Trap,
}

/// One decoded instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its instruction set.
    pub arch: Arch,
    /// Virtual address of its first byte.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Prefixes and mnemonic, separated by single spaces: `lock cmpxchg`. `(bad)` if invalid.
    pub mnemonic: String,
    /// Operands as objdump prints them, without the comment; a direct branch target is its
    /// hexadecimal address.
    pub operands: String,
    /// Target of a direct branch or call.
    pub target: Option<u64>,
    /// Absolute address of an operand that is addressed relative to the instruction pointer.
    pub rip_memory: Option<u64>,
    /// Where control goes next.
    pub flow: Flow,
    /// Whether the bytes are an instruction.
    pub valid: bool,
}

impl Instruction {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: an instruction has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Address of the instruction that follows in memory.
    pub fn end(&self) -> u64 {
        self.address.wrapping_add(self.bytes.len() as u64)
    }

    /// The line without its address, as objdump prints it. `symbolize` turns an address into
    /// `name` or `name+0x1`: it is asked for branch targets (`<name+0x1>`) and for addresses
    /// relative to the instruction pointer (`# ffffffff81… <name>`).
    pub fn text(&self, symbolize: &dyn Fn(u64) -> Option<String>) -> String {
        let mut out = self.mnemonic.clone();
        if self.operands.is_empty() {
            return out;
        }
        if self.arch.is_x86() {
            let pad = 6usize.saturating_sub(out.len());
            let _ = write!(out, "{:pad$} {}", "", self.operands);
        } else {
            let _ = write!(out, "\t{}", self.operands);
        }
        if let Some(name) = self.target.and_then(symbolize) {
            let _ = write!(out, " <{name}>");
        }
        if let Some(address) = self.rip_memory {
            // Elsewhere than on x86 the operand is the address itself, or a comment tells it.
            if !self.operands.ends_with(&format!("{address:x}")) {
                let _ = write!(out, "        # {address:x}");
            }
            if let Some(name) = symbolize(address) {
                let _ = write!(out, " <{name}>");
            }
        }
        out
    }
}

/// Decodes the instruction at the start of `bytes`, which lie at the virtual `address`. `None`
/// if they are no instruction, or only the beginning of one.
pub fn decode(arch: Arch, bytes: &[u8], address: u64) -> Option<Instruction> {
    Disassembler::new(arch).decode(bytes, address)
}

/// Decodes all of `bytes`. What is no instruction becomes `(bad)`, and decoding goes on behind it.
pub fn decode_all(arch: Arch, bytes: &[u8], address: u64) -> Vec<Instruction> {
    let mut disassembler = Disassembler::new(arch);
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let here = address.wrapping_add(at as u64);
        let instruction = disassembler.decode(&bytes[at..], here).unwrap_or_else(|| {
            let end = bytes.len().min(at + arch.unit());
            Instruction {
                arch,
                address: here,
                bytes: bytes[at..end].to_vec(),
                mnemonic: "(bad)".into(),
                operands: String::new(),
                target: None,
                rip_memory: None,
                flow: Flow::Next,
                valid: false,
            }
        });
        at += instruction.len().max(1);
        out.push(instruction);
    }
    out
}

/// The decoder of an architecture, kept while many instructions are decoded.
enum Disassembler {
    X86(Box<x86::Disassembler>),
    Arm(arm::Disassembler),
    Riscv,
}

impl Disassembler {
    fn new(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 | Arch::I386 => Disassembler::X86(Box::new(x86::Disassembler::new(arch))),
            Arch::Aarch64 | Arch::Arm | Arch::Thumb => {
                Disassembler::Arm(arm::Disassembler::new(arch))
            }
            Arch::Riscv64 => Disassembler::Riscv,
        }
    }

    fn decode(&mut self, bytes: &[u8], address: u64) -> Option<Instruction> {
        match self {
            Disassembler::X86(x86) => x86.decode(bytes, address),
            Disassembler::Arm(arm) => arm.decode(bytes, address),
            Disassembler::Riscv => riscv::decode(bytes, address),
        }
    }
}

/// The memory that the instruction at the start of `bytes` reads or writes, stack pushes and
/// string operations included. Empty if it touches none or cannot be decoded, and on architectures
/// other than x86, whose operands are not analysed.
pub fn memory_operands(arch: Arch, bytes: &[u8], address: u64) -> Vec<MemoryOperand> {
    if arch.is_x86() { x86::memory_operands(arch, bytes, address) } else { Vec::new() }
}

/// The general registers that the instruction reads and those that it writes, by the name of the
/// full register (`eax` counts as `rax`), without duplicates. A conditional access counts. Empty on
/// architectures other than x86.
pub fn registers_used(
    arch: Arch,
    bytes: &[u8],
    address: u64,
) -> (Vec<&'static str>, Vec<&'static str>) {
    if arch.is_x86() { x86::registers_used(arch, bytes, address) } else { (Vec::new(), Vec::new()) }
}

/// What the x86_64 instruction at the start of `bytes` does to registers, memory and flags. `None`
/// if it cannot be decoded, and on other architectures, whose instructions are not analysed.
pub fn effects(arch: Arch, bytes: &[u8], address: u64) -> Option<Effects> {
    if arch == Arch::X86_64 { x86::effects(bytes, address) } else { None }
}
