//! Where iced-x86's text differs from objdump's, and what to do about it.

use iced_x86::{Instruction, Mnemonic, OpKind};

/// Rewrites the mnemonic and the operands of one instruction to objdump's form. `opcode` is what
/// follows the prefixes.
pub(super) fn apply(
    decoded: &Instruction,
    opcode: &[u8],
    mnemonic: &mut String,
    operands: &mut String,
) {
    if operands.contains(",)") {
        *operands = operands.replace(",)", ")");
    }
    name_string_segments(decoded, operands);
    match decoded.mnemonic() {
        // objdump drops the suffix where the size is the usual one.
        Mnemonic::Call
        | Mnemonic::Jmp
        | Mnemonic::Push
        | Mnemonic::Pop
        | Mnemonic::Ret
        | Mnemonic::Retf => {
            if matches!(
                mnemonic.as_str(),
                "callq" | "jmpq" | "pushq" | "popq" | "retq" | "lretl" | "lcalll" | "ljmpl"
            ) {
                mnemonic.pop();
            }
        }
        // The three-operand form is never shortened.
        Mnemonic::Imul if decoded.op_count() == 3 && operands.matches(',').count() == 1 => {
            if let Some((_, register)) = operands.split_once(',') {
                *operands = format!("{operands},{register}");
            }
        }
        Mnemonic::Rol
        | Mnemonic::Ror
        | Mnemonic::Rcl
        | Mnemonic::Rcr
        | Mnemonic::Shl
        | Mnemonic::Shr
        | Mnemonic::Sal
        | Mnemonic::Sar
            if matches!(opcode, [0xd0 | 0xd1, ..]) =>
        {
            if let Some(rest) = operands.strip_prefix("$0x1,") {
                *operands = rest.to_owned();
            }
        }
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

/// String instructions show the segments of both operands.
fn name_string_segments(decoded: &Instruction, operands: &mut String) {
    for kind in decoded.op_kinds() {
        let (segment, register) = match kind {
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
