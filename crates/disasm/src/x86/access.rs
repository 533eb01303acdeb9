//! What an instruction reads and writes.

use iced_x86::{InstructionInfoFactory, OpAccess, Register};

use super::decode;
use crate::{Arch, MemoryOperand};

pub(crate) fn memory_operands(arch: Arch, bytes: &[u8], address: u64) -> Vec<MemoryOperand> {
    decode(arch, bytes, address).map_or(Vec::new(), |decoded| operands_of(arch, &decoded))
}

pub(super) fn operands_of(arch: Arch, decoded: &iced_x86::Instruction) -> Vec<MemoryOperand> {
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
            let segment = match memory.segment() {
                Register::FS => Some("fs"),
                Register::GS => Some("gs"),
                _ => None,
            };
            Some(MemoryOperand {
                base: full_name(arch, memory.base()),
                index: full_name(arch, memory.index()),
                scale: memory.scale() as u8,
                displacement: memory.displacement(),
                segment,
                address_bytes: 1 << memory.address_size() as u8,
                size_bytes: memory.memory_size().size() as u32,
                read,
                write,
            })
        })
        .collect()
}

pub(crate) fn registers_used(
    arch: Arch,
    bytes: &[u8],
    address: u64,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let Some(decoded) = decode(arch, bytes, address) else { return (reads, writes) };
    let mut factory = InstructionInfoFactory::new();
    for used in factory.info(&decoded).used_registers() {
        let Some(name) = full_name(arch, used.register()) else { continue };
        let (read, write) = directions(used.access());
        if read && !reads.contains(&name) {
            reads.push(name);
        }
        if write && !writes.contains(&name) {
            writes.push(name);
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

/// The full general register that holds `register`, or `None` if it is of another kind.
pub(super) fn full_name(arch: Arch, register: Register) -> Option<&'static str> {
    const NAMES_64: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    const NAMES_32: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    if !register.is_gpr() {
        return None;
    }
    let number = register.full_register().number();
    if arch == Arch::I386 { NAMES_32.get(number).copied() } else { NAMES_64.get(number).copied() }
}
