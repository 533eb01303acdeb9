//! x86 by iced-x86: its GNU assembler formatter, and the rules that make it print what objdump
//! prints.

mod access;
mod effects;
mod prefix;
mod rules;

pub(crate) use access::{memory_operands, registers_used};
pub(crate) use effects::effects;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, FormatMnemonicOptions, Formatter as _, GasFormatter,
    Mnemonic, OpKind,
};

use crate::{Branch, Flow, Instruction, Isa};

/// Longest x86 instruction in bytes.
const MAX_LENGTH: usize = 15;

/// A formatter with objdump's settings, kept while many instructions are decoded.
pub(crate) struct Disassembler {
    arch: Isa,
    formatter: GasFormatter,
}

impl Disassembler {
    pub(crate) fn new(arch: Isa) -> Self {
        let mut formatter = GasFormatter::new();
        let options = formatter.options_mut();
        options.set_uppercase_hex(false);
        options.set_always_show_scale(true);
        options.set_show_zero_displacements(true);
        options.set_small_hex_numbers_in_decimal(false);
        options.set_rip_relative_addresses(true);
        Disassembler { arch, formatter }
    }

    pub(crate) fn decode(&mut self, bytes: &[u8], address: u64) -> Option<Instruction> {
        let decoded = decode(self.arch, bytes, address)?;
        let bytes = &bytes[..decoded.len()];
        let target = branch_target(&decoded);

        let mut mnemonic = String::new();
        let only_mnemonic = FormatMnemonicOptions::NO_PREFIXES;
        self.formatter.format_mnemonic_options(&decoded, &mut mnemonic, only_mnemonic);
        let mut operands = String::new();
        match target {
            Some(target) => {
                operands = format!("{:x}", target & self.arch.address_mask());
            }
            None => self.formatter.format_all_operands(&decoded, &mut operands),
        }
        let opcode = &bytes[prefix::length(self.arch, bytes)..];
        rules::apply(self.arch, &decoded, opcode, &mut mnemonic, &mut operands);
        let prefixes = prefix::printed(self.arch, &decoded, bytes);
        if !prefixes.is_empty() {
            mnemonic = format!("{} {mnemonic}", prefixes.join(" "));
        }
        Some(Instruction {
            arch: self.arch,
            address,
            bytes: bytes.to_vec(),
            mnemonic,
            operands,
            target,
            rip_memory: decoded.is_ip_rel_memory_operand().then(|| decoded.ip_rel_memory_address()),
            flow: flow(&decoded),
            valid: true,
        })
    }
}

/// Decodes one instruction, or `None` if there is none.
fn decode(arch: Isa, bytes: &[u8], address: u64) -> Option<iced_x86::Instruction> {
    let bitness = if arch == Isa::I386 { 32 } else { 64 };
    let bytes = &bytes[..bytes.len().min(MAX_LENGTH)];
    if bytes.is_empty() {
        return None;
    }
    let mut decoder = Decoder::try_with_ip(bitness, bytes, address, DecoderOptions::NONE).ok()?;
    let decoded = decoder.decode();
    (!decoded.is_invalid()).then_some(decoded)
}

/// See [`crate::outline`].
pub(crate) fn outline(
    arch: Isa,
    bytes: &[u8],
    address: u64,
    mut each: impl FnMut(usize, Option<Branch>),
) -> Option<usize> {
    let bitness = if arch == Isa::I386 { 32 } else { 64 };
    let mut decoder = Decoder::try_with_ip(bitness, bytes, address, DecoderOptions::NONE).ok()?;
    let mut decoded = iced_x86::Instruction::default();
    while decoder.can_decode() {
        let at = decoder.position();
        decoder.decode_out(&mut decoded);
        if decoded.is_invalid() {
            return Some(at);
        }
        let leads = branch_target(&decoded).map(|target| match decoded.flow_control() {
            FlowControl::Call => Branch::Call(target),
            _ => Branch::Jump(target),
        });
        each(at, leads);
    }
    None
}

fn branch_target(decoded: &iced_x86::Instruction) -> Option<u64> {
    let near = matches!(
        decoded.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    );
    near.then(|| decoded.near_branch_target())
}

fn flow(decoded: &iced_x86::Instruction) -> Flow {
    match decoded.flow_control() {
        FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => Flow::Jump,
        FlowControl::ConditionalBranch => Flow::ConditionalJump,
        FlowControl::Return => Flow::Return,
        FlowControl::Call | FlowControl::IndirectCall => {
            if decoded.mnemonic() == Mnemonic::Syscall { Flow::Next } else { Flow::Call }
        }
        FlowControl::Interrupt | FlowControl::Exception => Flow::Trap,
        FlowControl::Next | FlowControl::XbeginXabortXend => Flow::Next,
    }
}
