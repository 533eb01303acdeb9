//! Where iced-x86's text differs from objdump's, and what to do about it.

use iced_x86::{EncodingKind, Instruction, Mnemonic, OpKind, Register};

use crate::Isa;

/// Rewrites the mnemonic and the operands of one instruction to objdump's form. `opcode` is what
/// follows the prefixes.
pub(super) fn apply(
    arch: Isa,
    decoded: &Instruction,
    opcode: &[u8],
    mnemonic: &mut String,
    operands: &mut String,
) {
    if operands.contains(",)") {
        *operands = operands.replace(",)", ")");
    }
    name_string_segments(decoded, operands);
    show_idle_index(arch, decoded, opcode, operands);
    if arch == Isa::I386 {
        show_segment(decoded, operands);
    }
    match decoded.mnemonic() {
        // objdump drops the suffix where the size is the usual one.
        Mnemonic::Call
        | Mnemonic::Jmp
        | Mnemonic::Push
        | Mnemonic::Pop
        | Mnemonic::Ret
        | Mnemonic::Retf
        | Mnemonic::Iretd => {
            let usual = match mnemonic.as_str() {
                "lretl" | "lcalll" | "ljmpl" | "iretl" => true,
                "callq" | "jmpq" | "pushq" | "popq" | "retq" => arch == Isa::X86_64,
                "calll" | "jmpl" | "pushl" | "popl" | "retl" => arch == Isa::I386,
                _ => false,
            };
            if usual {
                mnemonic.pop();
            }
            if decoded.op_kinds().any(|kind| kind == OpKind::FarBranch32) {
                *operands =
                    format!("${:#x},${:#x}", decoded.far_branch_selector(), decoded.far_branch32());
            }
        }
        // The three-operand form is never shortened.
        Mnemonic::Imul if decoded.op_count() == 3 && operands.matches(',').count() == 1 => {
            if let Some((_, register)) = operands.split_once(',') {
                *operands = format!("{operands},{register}");
            }
        }
        // `sal` and `shl` are one.
        Mnemonic::Sal => {
            mnemonic.replace_range(..3, "shl");
            drop_count_of_one(opcode, operands);
        }
        Mnemonic::Rol
        | Mnemonic::Ror
        | Mnemonic::Rcl
        | Mnemonic::Rcr
        | Mnemonic::Shl
        | Mnemonic::Shr
        | Mnemonic::Sar => drop_count_of_one(opcode, operands),
        Mnemonic::In
        | Mnemonic::Out
        | Mnemonic::Insb
        | Mnemonic::Insw
        | Mnemonic::Insd
        | Mnemonic::Outsb
        | Mnemonic::Outsw
        | Mnemonic::Outsd => *operands = operands.replace("%dx", "(%dx)"),
        // Debug registers have the assembler's name.
        Mnemonic::Mov if operands.contains("%dr") => *operands = operands.replace("%dr", "%db"),
        // Implied operands are shown.
        Mnemonic::Monitor => *operands = "%rax,%ecx,%edx".into(),
        Mnemonic::Monitorx => *operands = "%rax,%ecx,%edx".into(),
        Mnemonic::Mwait => *operands = "%eax,%ecx".into(),
        Mnemonic::Mwaitx => *operands = "%eax,%ecx,%ebx".into(),
        _ => {}
    }
}

/// A shift by one has an encoding without count, and is shown without.
fn drop_count_of_one(opcode: &[u8], operands: &mut String) {
    if let (Some(rest), [0xd0 | 0xd1, ..]) = (operands.strip_prefix("$0x1,"), opcode) {
        *operands = rest.to_owned();
    }
}

/// A SIB byte that names no index, where none was needed, is shown as the index `%riz` or
/// `%eiz`: assemblers pad 32-bit code with `lea 0x0(%esi,%eiz,1),%esi`.
fn show_idle_index(arch: Isa, decoded: &Instruction, opcode: &[u8], operands: &mut String) {
    if !decoded.op_kinds().any(|kind| kind == OpKind::Memory)
        || decoded.memory_index() != Register::None
    {
        return;
    }
    let modrm_at = match (decoded.encoding(), opcode) {
        (EncodingKind::Legacy, [0x0f, 0x38 | 0x3a, ..]) => 3,
        (EncodingKind::Legacy, [0x0f, ..]) => 2,
        (EncodingKind::Legacy, _) => 1,
        (EncodingKind::VEX, [0xc5, ..]) => 3,
        (EncodingKind::VEX, _) => 4,
        _ => return,
    };
    let Some(&[modrm, sib]) = opcode.get(modrm_at..modrm_at + 2) else { return };
    let base = decoded.memory_base();
    if modrm & 7 != 4 || modrm >= 0xc0 || base == Register::None || base.size() < 4 {
        return;
    }
    if sib >> 6 == 0 && sib & 7 == 4 {
        return;
    }
    let index = if base.size() == 8 && arch == Isa::X86_64 { "riz" } else { "eiz" };
    if let Some(close) = operands.rfind(')') {
        operands.insert_str(close, &format!(",%{index},{}", 1 << (sib >> 6)));
    }
}

/// In 32-bit mode an override is shown even if it is the default: `lea %ds:0x0(%esi,%eiz,1),%esi`
/// is padding.
fn show_segment(decoded: &Instruction, operands: &mut String) {
    let segment = match decoded.segment_prefix() {
        Register::ES => "%es:",
        Register::CS => "%cs:",
        Register::SS => "%ss:",
        Register::DS => "%ds:",
        _ => return,
    };
    let is_memory = decoded.op_kinds().any(|kind| kind == OpKind::Memory);
    if !is_memory || operands.contains(segment) {
        return;
    }
    let start = match operands.find('(') {
        Some(open) => operands[..open].rfind(',').map_or(0, |comma| comma + 1),
        None if operands.starts_with('$') || operands.starts_with('%') => {
            operands.rfind(',').map_or(0, |comma| comma + 1)
        }
        None => 0,
    };
    let star = usize::from(operands[start..].starts_with('*'));
    operands.insert_str(start + star, segment);
}

/// String instructions show the segments of both operands.
fn name_string_segments(decoded: &Instruction, operands: &mut String) {
    for kind in decoded.op_kinds() {
        let (segment, register) = match kind {
            OpKind::Memory if decoded.mnemonic() == Mnemonic::Xlatb => {
                if !operands.contains(':') {
                    operands.insert_str(0, "%ds:");
                }
                continue;
            }
            OpKind::MemorySegRSI => ("%ds:", "(%rsi)"),
            OpKind::MemorySegESI => ("%ds:", "(%esi)"),
            OpKind::MemorySegSI => ("%ds:", "(%si)"),
            OpKind::MemorySegRDI => ("%ds:", "(%rdi)"),
            OpKind::MemorySegEDI => ("%ds:", "(%edi)"),
            OpKind::MemorySegDI => ("%ds:", "(%di)"),
            OpKind::MemoryESRDI => ("%es:", "(%rdi)"),
            OpKind::MemoryESEDI => ("%es:", "(%edi)"),
            OpKind::MemoryESDI => ("%es:", "(%di)"),
            _ => continue,
        };
        let Some(at) = operands.find(register) else { continue };
        if !operands[..at].ends_with(':') {
            operands.insert_str(at, segment);
        }
    }
}
