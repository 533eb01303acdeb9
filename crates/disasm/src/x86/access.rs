//! What an instruction reads and writes.

use iced_x86::{InstructionInfoFactory, OpAccess, Register};
use necropsy_lexicon::{
    Reg,
    reg::{i386, x86_64},
};

use super::decode;
use crate::{Isa, MemoryOperand};

pub(crate) fn memory_operands(arch: Isa, bytes: &[u8], address: u64) -> Vec<MemoryOperand> {
    decode(arch, bytes, address).map_or(Vec::new(), |decoded| operands_of(arch, &decoded))
}

pub(super) fn operands_of(arch: Isa, decoded: &iced_x86::Instruction) -> Vec<MemoryOperand> {
    let mut factory = InstructionInfoFactory::new();
    factory
        .info(decoded)
        .used_memory()
        .iter()
        .filter_map(|memory| {
            let (read, write) = directions(memory.access());
            if !read && !write {
                return None;
            }
            Some(MemoryOperand {
                base: full(arch, memory.base()),
                index: full(arch, memory.index()),
                index_bytes: 8,
                index_signed: false,
                scale: memory.scale() as u8,
                displacement: memory.displacement(),
                segment: segment_base(arch, memory.segment()),
                address_bytes: 1 << memory.address_size() as u8,
                size_bytes: memory.memory_size().size() as u32,
                read,
                write,
            })
        })
        .collect()
}

pub(crate) fn registers_used(arch: Isa, bytes: &[u8], address: u64) -> (Vec<Reg>, Vec<Reg>) {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let Some(decoded) = decode(arch, bytes, address) else { return (reads, writes) };
    let mut factory = InstructionInfoFactory::new();
    for used in factory.info(&decoded).used_registers() {
        let Some(reg) = full(arch, used.register()) else { continue };
        let (read, write) = directions(used.access());
        if read && !reads.contains(&reg) {
            reads.push(reg);
        }
        if write && !writes.contains(&reg) {
            writes.push(reg);
        }
    }
    (reads, writes)
}

fn directions(access: OpAccess) -> (bool, bool) {
    match access {
        OpAccess::Read | OpAccess::CondRead => (true, false),
        OpAccess::Write | OpAccess::CondWrite => (false, true),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
        OpAccess::None | OpAccess::NoMemAccess => (false, false),
    }
}

/// The base that a segment adds; none of those that are flat.
pub(super) fn segment_base(arch: Isa, segment: Register) -> Option<Reg> {
    match (segment, arch) {
        (Register::FS, Isa::I386) => Some(i386::FS_BASE),
        (Register::GS, Isa::I386) => Some(i386::GS_BASE),
        (Register::FS, _) => Some(x86_64::FS_BASE),
        (Register::GS, _) => Some(x86_64::GS_BASE),
        _ => None,
    }
}

/// The full general register that holds `register`, or `None` if it is of another kind.
pub(super) fn full(arch: Isa, register: Register) -> Option<Reg> {
    use x86_64::*;
    const ENCODED_64: [Reg; 16] =
        [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15];
    if !register.is_gpr() {
        return None;
    }
    let number = register.full_register().number();
    if arch == Isa::I386 {
        // In the table of i386 they have the numbers of the encoding.
        u8::try_from(number)
            .ok()
            .filter(|n| *n < 8)
            .and_then(|n| Reg::new(necropsy_lexicon::Arch::I386, n))
    } else {
        ENCODED_64.get(number).copied()
    }
}
