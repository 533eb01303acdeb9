//! The prefixes that objdump prints in front of a mnemonic: those that change nothing in what
//! the mnemonic and the operands say already.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::decode;
use crate::Isa;

/// How many of the leading bytes are prefixes, REX included.
pub(super) fn length(arch: Isa, bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| is_legacy(byte) || is_rex(arch, byte)).count()
}

fn is_legacy(byte: u8) -> bool {
    matches!(byte, 0x66 | 0x67 | 0xf0 | 0xf2 | 0xf3 | 0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65)
}

fn is_rex(arch: Isa, byte: u8) -> bool {
    arch == Isa::X86_64 && byte & 0xf0 == 0x40
}

/// The words for the prefixes without effect on `decoded`, in the order of the bytes.
///
/// Which ones have none is found by leaving them out: the same instruction decodes without them.
/// Of equal prefixes the last one counts, so they are tried from the first on.
pub(super) fn printed(arch: Isa, decoded: &Instruction, bytes: &[u8]) -> Vec<&'static str> {
    let count = length(arch, bytes);
    let mut words = Vec::new();
    let mut kept = bytes.to_vec();
    let mut at = 0;
    for (index, &byte) in bytes[..count].iter().enumerate() {
        if is_rex(arch, byte) {
            let rex_counts = index + 1 == count;
            if !rex_counts || has_idle_bits(arch, decoded, &mut kept, at) {
                words.push(REX[usize::from(byte & 0xf)]);
            }
            at += 1;
            continue;
        }
        let mut without = kept.clone();
        without.remove(at);
        if same(arch, decoded, &without) {
            words.push(legacy_word(arch, decoded, byte));
            kept = without;
        } else {
            at += 1;
        }
    }
    words
}

/// Whether the REX prefix at `bytes[at]` has a bit that could be cleared, or none at all and
/// could be left out.
fn has_idle_bits(arch: Isa, decoded: &Instruction, bytes: &mut [u8], at: usize) -> bool {
    let rex = bytes[at];
    if rex == 0x40 {
        let mut without = bytes.to_vec();
        without.remove(at);
        return same(arch, decoded, &without);
    }
    for bit in [1, 2, 4, 8] {
        if rex & bit != 0 {
            bytes[at] = rex & !bit;
            let idle = same(arch, decoded, bytes);
            bytes[at] = rex;
            if idle {
                return true;
            }
        }
    }
    false
}

/// Whether `bytes` decode to the same operation on the same operands as `decoded`.
fn same(arch: Isa, decoded: &Instruction, bytes: &[u8]) -> bool {
    // Ends where the original ends, so that relative operands stay what they are.
    let address = decoded.next_ip().wrapping_sub(bytes.len() as u64);
    let Some(other) = decode(arch, bytes, address) else { return false };
    other.len() == bytes.len()
        && other.code() == decoded.code()
        && segment(arch, &other) == segment(arch, decoded)
        && other.memory_base() == decoded.memory_base()
        && other.memory_index() == decoded.memory_index()
        && other.memory_displacement64() == decoded.memory_displacement64()
        && (0..decoded.op_count()).all(|operand| {
            let kind = decoded.op_kind(operand);
            other.op_kind(operand) == kind
                && match kind {
                    OpKind::Register => other.op_register(operand) == decoded.op_register(operand),
                    _ => true,
                }
        })
}

/// The segment that memory operands show: in 64-bit mode only `fs` and `gs` do.
fn segment(arch: Isa, decoded: &Instruction) -> Register {
    let has_memory = decoded.op_kinds().any(|kind| {
        matches!(
            kind,
            OpKind::Memory
                | OpKind::MemorySegSI
                | OpKind::MemorySegESI
                | OpKind::MemorySegRSI
                | OpKind::MemorySegDI
                | OpKind::MemorySegEDI
                | OpKind::MemorySegRDI
        )
    });
    if !has_memory {
        return Register::None;
    }
    if arch == Isa::I386 {
        return decoded.segment_prefix();
    }
    match decoded.memory_segment() {
        segment @ (Register::FS | Register::GS) => segment,
        _ => Register::None,
    }
}

fn legacy_word(arch: Isa, decoded: &Instruction, byte: u8) -> &'static str {
    match byte {
        0x66 => "data16",
        0x67 if arch == Isa::I386 => "addr16",
        0x67 => "addr32",
        0xf0 => "lock",
        0xf2 if is_branch(decoded) => "bnd",
        0xf2 => "repnz",
        0xf3 if repeats(decoded) => "rep",
        0xf3 => "repz",
        0x26 => "es",
        0x2e => "cs",
        0x36 => "ss",
        0x3e if is_indirect_branch(decoded) => "notrack",
        0x3e => "ds",
        0x64 => "fs",
        _ => "gs",
    }
}

fn is_branch(decoded: &Instruction) -> bool {
    decoded.is_call_near()
        || decoded.is_call_near_indirect()
        || decoded.is_jmp_short_or_near()
        || decoded.is_jmp_near_indirect()
        || decoded.is_jcc_short_or_near()
        || decoded.mnemonic() == Mnemonic::Ret
}

fn is_indirect_branch(decoded: &Instruction) -> bool {
    decoded.is_call_near_indirect() || decoded.is_jmp_near_indirect()
}

fn repeats(decoded: &Instruction) -> bool {
    use Mnemonic::*;
    matches!(
        decoded.mnemonic(),
        Movsb
            | Movsw
            | Movsd
            | Movsq
            | Stosb
            | Stosw
            | Stosd
            | Stosq
            | Lodsb
            | Lodsw
            | Lodsd
            | Lodsq
            | Insb
            | Insw
            | Insd
            | Outsb
            | Outsw
            | Outsd
    )
}

const REX: [&str; 16] = [
    "rex", "rex.B", "rex.X", "rex.XB", "rex.R", "rex.RB", "rex.RX", "rex.RXB", "rex.W", "rex.WB",
    "rex.WX", "rex.WXB", "rex.WR", "rex.WRB", "rex.WRX", "rex.WRXB",
];
