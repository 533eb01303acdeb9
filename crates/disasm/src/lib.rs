//! Disassembly in the form GNU objdump prints.
//!
//! Text equals `objdump -d --no-show-raw-insn` of binutils 2.40 (AT&T syntax on x86), so that
//! what an engineer sees here can be compared with any other listing of the same kernel.
//! Besides text, an [`Instruction`] says where it may continue, and [`memory_operands`] and
//! [`registers_used`] say what it touches: enough to explain a faulting access or to follow a
//! value backwards.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arm;
pub mod effects;
mod operand;
#[cfg(feature = "capstone")]
mod ppc64;
mod riscv;
#[cfg(feature = "capstone")]
mod s390x;
pub mod solaris;
mod x86;

pub use effects::Effects;
pub use operand::{MemoryOperand, effective_address};

use std::fmt::Write as _;

use necropsy_lexicon::{Arch, Reg};

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
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
    /// Power, 64-bit, most significant byte first.
    Ppc64,
    /// Power, 64-bit, least significant byte first.
    Ppc64le,
    /// IBM Z, 64-bit.
    S390x,
}

impl Isa {
    /// The instruction set that kernels of `arch` are made of, Power's with the byte order that they
    /// have had since 2014; none where it is not decoded here.
    pub fn of(arch: Arch) -> Option<Self> {
        Some(match arch {
            Arch::X86_64 => Isa::X86_64,
            Arch::I386 => Isa::I386,
            Arch::Aarch64 => Isa::Aarch64,
            Arch::Arm => Isa::Arm,
            Arch::Riscv64 => Isa::Riscv64,
            Arch::Ppc64 => Isa::Ppc64le,
            Arch::S390x => Isa::S390x,
            _ => return None,
        })
    }

    fn is_x86(self) -> bool {
        matches!(self, Isa::X86_64 | Isa::I386)
    }

    /// Bytes skipped when nothing can be decoded that begins with this byte.
    fn unit(self, first: u8) -> usize {
        match self {
            Isa::X86_64 | Isa::I386 => 1,
            Isa::Riscv64 if first & 3 == 3 => 4,
            Isa::Thumb | Isa::Riscv64 => 2,
            Isa::S390x => match first >> 6 {
                0 => 2,
                3 => 6,
                _ => 4,
            },
            Isa::Aarch64 | Isa::Arm | Isa::Ppc64 | Isa::Ppc64le => 4,
        }
    }

    /// How bytes are shown that are no instruction.
    fn undecoded(self, bytes: &[u8]) -> (String, String) {
        let word = bytes.first_chunk().map(|bytes| match self {
            Isa::Ppc64 => u32::from_be_bytes(*bytes),
            _ => u32::from_le_bytes(*bytes),
        });
        match (self, word) {
            (Isa::Ppc64 | Isa::Ppc64le, Some(word)) => (".long".into(), format!("{word:#x}")),
            _ => ("(bad)".into(), String::new()),
        }
    }

    /// Digits of an address in a branch target: objdump pads them on no architecture, but cuts
    /// them to the machine's width.
    fn address_mask(self) -> u64 {
        match self {
            Isa::I386 | Isa::Arm | Isa::Thumb => u32::MAX.into(),
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
    pub arch: Isa,
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

/// Whether instructions of this set can be decoded: what needs capstone may have been left out.
pub fn can_decode(arch: Isa) -> bool {
    cfg!(feature = "capstone") || !matches!(arch, Isa::Ppc64 | Isa::Ppc64le | Isa::S390x)
}

/// Decodes the instruction at the start of `bytes`, which lie at the virtual `address`. `None`
/// if they are no instruction, or only the beginning of one.
pub fn decode(arch: Isa, bytes: &[u8], address: u64) -> Option<Instruction> {
    Disassembler::new(arch).decode(bytes, address)
}

/// Decodes all of `bytes`. What is no instruction becomes `(bad)`, and decoding goes on behind it.
pub fn decode_all(arch: Isa, bytes: &[u8], address: u64) -> Vec<Instruction> {
    let mut disassembler = Disassembler::new(arch);
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let here = address.wrapping_add(at as u64);
        let instruction = disassembler.decode(&bytes[at..], here).unwrap_or_else(|| {
            let end = bytes.len().min(at + arch.unit(bytes[at]));
            let (mnemonic, operands) = arch.undecoded(&bytes[at..end]);
            Instruction {
                arch,
                address: here,
                bytes: bytes[at..end].to_vec(),
                mnemonic,
                operands,
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

/// Whether an instruction can hold the address of memory: elsewhere a register is set to it first.
pub fn holds_addresses(arch: Isa) -> bool {
    arch.is_x86()
}

/// Goes through the instructions of `bytes` without writing them down: `each` is given the offset of
/// every one, and where it leads if it is a branch or a call to a fixed address. Returns the offset
/// of the first that is none, or that goes on behind the end; `None` if all of `bytes` is code.
///
/// Only x86 is gone through; of other machines nothing is said.
pub fn outline(
    arch: Isa,
    bytes: &[u8],
    address: u64,
    each: impl FnMut(usize, Option<Branch>),
) -> Option<usize> {
    if arch.is_x86() { x86::outline(arch, bytes, address, each) } else { None }
}

/// Where an instruction leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// A call of a fixed address.
    Call(u64),
    /// A jump to one, conditional or not.
    Jump(u64),
}

/// The decoder of an architecture, kept while many instructions are decoded.
enum Disassembler {
    X86(Box<x86::Disassembler>),
    Arm(arm::Disassembler),
    Riscv,
    #[cfg(feature = "capstone")]
    Ppc64(ppc64::Disassembler),
    #[cfg(feature = "capstone")]
    S390x(s390x::Disassembler),
    /// The library for it does not start, or was left out.
    None,
}

impl Disassembler {
    fn new(arch: Isa) -> Self {
        match arch {
            Isa::X86_64 | Isa::I386 => Disassembler::X86(Box::new(x86::Disassembler::new(arch))),
            Isa::Aarch64 | Isa::Arm | Isa::Thumb => Disassembler::Arm(arm::Disassembler::new(arch)),
            Isa::Riscv64 => Disassembler::Riscv,
            #[cfg(feature = "capstone")]
            Isa::Ppc64 | Isa::Ppc64le => {
                ppc64::Disassembler::new(arch).map_or(Disassembler::None, Disassembler::Ppc64)
            }
            #[cfg(feature = "capstone")]
            Isa::S390x => {
                s390x::Disassembler::new().map_or(Disassembler::None, Disassembler::S390x)
            }
            #[cfg(not(feature = "capstone"))]
            Isa::Ppc64 | Isa::Ppc64le | Isa::S390x => Disassembler::None,
        }
    }

    fn decode(&mut self, bytes: &[u8], address: u64) -> Option<Instruction> {
        match self {
            Disassembler::X86(x86) => x86.decode(bytes, address),
            Disassembler::Arm(arm) => arm.decode(bytes, address),
            Disassembler::Riscv => riscv::decode(bytes, address),
            #[cfg(feature = "capstone")]
            Disassembler::Ppc64(ppc64) => ppc64.decode(bytes, address),
            #[cfg(feature = "capstone")]
            Disassembler::S390x(s390x) => s390x.decode(bytes, address),
            Disassembler::None => None,
        }
    }
}

/// The memory that the instruction at the start of `bytes` reads or writes, stack pushes and
/// string operations included. Empty if it touches none or cannot be decoded, and on architectures
/// other than x86 and aarch64, whose operands are not analysed.
pub fn memory_operands(arch: Isa, bytes: &[u8], address: u64) -> Vec<MemoryOperand> {
    if arch.is_x86() {
        return x86::memory_operands(arch, bytes, address);
    }
    let mut found: Vec<MemoryOperand> = Vec::new();
    for assignment in effects(arch, bytes, address).map_or(Vec::new(), |e| e.assignments) {
        let (stored, value) = match &assignment {
            effects::Assignment::Memory { memory, value } => (Some(memory), value),
            effects::Assignment::Register { value, .. } => (None, value),
        };
        let stored = stored.filter(|memory| memory.size_bytes > 0);
        for memory in value.loads().into_iter().chain(stored) {
            if !found.contains(memory) {
                found.push(memory.clone());
            }
        }
    }
    found
}

/// The general registers that the instruction reads and those that it writes, as full registers
/// (`eax` counts as `rax`), without duplicates. A conditional access counts. Empty on architectures
/// other than x86.
pub fn registers_used(arch: Isa, bytes: &[u8], address: u64) -> (Vec<Reg>, Vec<Reg>) {
    if arch.is_x86() { x86::registers_used(arch, bytes, address) } else { (Vec::new(), Vec::new()) }
}

/// Whether [`effects`] tells of instructions of this set.
pub fn has_effects(arch: Isa) -> bool {
    matches!(arch, Isa::X86_64 | Isa::Aarch64)
}

/// What the x86_64 or aarch64 instruction at the start of `bytes` does to registers, memory and
/// flags. `None` if it cannot be decoded, and on other architectures, whose instructions are not
/// analysed.
pub fn effects(arch: Isa, bytes: &[u8], address: u64) -> Option<Effects> {
    match arch {
        Isa::X86_64 => x86::effects(bytes, address),
        Isa::Aarch64 => arm::effects::effects(bytes, address),
        _ => None,
    }
}
