//! x86 instructions in the form that Solaris and illumos tools print (`libdisasm`): mnemonics
//! padded to seven columns, with size suffixes, and branches as distances.

use iced_x86::{
    Decoder, DecoderOptions, FormatMnemonicOptions, Formatter as _, GasFormatter, OpKind,
};

use crate::Isa;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its text, without names.
    pub text: String,
    /// The address of a branch's target, or of an operand relative to the instruction pointer.
    pub leads_to: Option<u64>,
    /// Whether it calls.
    pub is_call: bool,
    length: usize,
}

impl Instruction {
    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: an instruction has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// The instruction at the start of `bytes`; what is none is one byte long.
pub fn decode(isa: Isa, bytes: &[u8], address: u64) -> Instruction {
    let bitness = if isa == Isa::I386 { 32 } else { 64 };
    let decoded = Decoder::try_with_ip(bitness, bytes, address, DecoderOptions::NONE)
        .ok()
        .filter(|_| !bytes.is_empty())
        .map(|mut decoder| decoder.decode())
        .filter(|decoded| !decoded.is_invalid());
    let Some(decoded) = decoded else {
        let byte = bytes.first().map_or(String::new(), |byte| format!(".byte  {byte:#x}"));
        return Instruction { text: byte, leads_to: None, is_call: false, length: 1 };
    };
    let mut formatter = GasFormatter::new();
    let options = formatter.options_mut();
    options.set_uppercase_hex(false);
    options.set_show_zero_displacements(true);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_rip_relative_addresses(true);
    options.set_gas_show_mnemonic_size_suffix(true);
    options.set_signed_immediate_operands(true);
    let mut mnemonic = String::new();
    formatter.format_mnemonic_options(&decoded, &mut mnemonic, FormatMnemonicOptions::NONE);
    let near = matches!(
        decoded.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    );
    let mut leads_to = None;
    let mut operands = String::new();
    if near {
        let target = decoded.near_branch_target();
        leads_to = Some(target);
        let distance = target.wrapping_sub(decoded.next_ip()) as i64;
        let sign = if distance < 0 { '-' } else { '+' };
        operands = format!("{sign}{:#x}", distance.unsigned_abs());
    } else {
        formatter.format_all_operands(&decoded, &mut operands);
        if decoded.is_ip_rel_memory_operand() {
            leads_to = Some(decoded.ip_rel_memory_address());
        }
    }
    let operands = operands.replace(", ", ",");
    // What has no operand, and branches, have no suffix here.
    let mnemonic = match mnemonic.as_str() {
        "retq" => "ret".into(),
        "leaveq" => "leave".into(),
        "callq" => "call".into(),
        "jmpq" => "jmp".into(),
        _ => mnemonic,
    };
    let text = if operands.is_empty() { mnemonic } else { format!("{mnemonic:<6} {operands}") };
    let is_call = decoded.flow_control() == iced_x86::FlowControl::Call;
    Instruction { text, leads_to, is_call, length: decoded.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_as_mdb_prints_them() {
        let text = |bytes: &[u8]| decode(Isa::X86_64, bytes, 0x1000).text;
        assert_eq!(text(&[0x55]), "pushq  %rbp");
        assert_eq!(text(&[0x48, 0x89, 0xe5]), "movq   %rsp,%rbp");
        assert_eq!(text(&[0x48, 0x83, 0xec, 0x40]), "subq   $0x40,%rsp");
        assert_eq!(text(&[0x48, 0x89, 0x7d, 0xd8]), "movq   %rdi,-0x28(%rbp)");
        assert_eq!(text(&[0xe8, 0x10, 0, 0, 0]), "call   +0x10");
        assert_eq!(text(&[0x89, 0x45, 0xfc]), "movl   %eax,-0x4(%rbp)");
        assert_eq!(text(&[0x48, 0xc7, 0x45, 0xf0, 0, 0, 0, 0]), "movq   $0x0,-0x10(%rbp)");
        assert_eq!(text(&[0xb8, 0, 0, 0, 0]), "movl   $0x0,%eax");
        assert_eq!(text(&[0xc9]), "leave");
        assert_eq!(text(&[0xc3]), "ret");
        assert_eq!(text(&[0x48, 0x8b, 0x05, 0x10, 0, 0, 0]), "movq   0x10(%rip),%rax");
        assert_eq!(decode(Isa::X86_64, &[0xeb, 0xfe], 0x1000).leads_to, Some(0x1000));
        assert_eq!(decode(Isa::X86_64, &[0x0f], 0).len(), 1);
    }
}
