//! 64-bit Power by capstone, with the spelling of objdump.

mod text;

use capstone::{Capstone, Endian, arch::BuildsCapstone, arch::BuildsCapstoneEndian, arch::ppc};

use crate::{Flow, Instruction, Isa};

/// A decoder, kept while many instructions are decoded.
pub(crate) struct Disassembler {
    arch: Isa,
    capstone: Capstone,
}

impl Disassembler {
    pub(crate) fn new(arch: Isa) -> Option<Self> {
        let endian = if arch == Isa::Ppc64 { Endian::Big } else { Endian::Little };
        let builder = Capstone::new().ppc().mode(ppc::ArchMode::Mode64);
        Some(Disassembler { arch, capstone: builder.endian(endian).build().ok()? })
    }

    pub(crate) fn decode(&self, bytes: &[u8], address: u64) -> Option<Instruction> {
        let bytes = bytes.get(..4)?;
        let word = bytes.first_chunk().map(|bytes| match self.arch {
            Isa::Ppc64 => u32::from_be_bytes(*bytes),
            _ => u32::from_le_bytes(*bytes),
        })?;
        let (mnemonic, mut operands) = match text::decode(word, address) {
            Some(spelt) => spelt,
            None => {
                let found = self.capstone.disasm_count(bytes, address, 1).ok();
                let text = found.as_ref().and_then(|found| {
                    let insn = found.first()?;
                    let operands = insn.op_str().unwrap_or("").replace(", ", ",");
                    Some((insn.mnemonic()?.to_owned(), operands))
                });
                text?
            }
        };
        let flow = flow(&mnemonic);
        let branches = matches!(flow, Flow::Jump | Flow::Call | Flow::ConditionalJump);
        let mut target = None;
        if branches && let Some(at) = operands.rfind("0x") {
            target = u64::from_str_radix(&operands[at + 2..], 16).ok();
            operands.replace_range(at..at + 2, "");
        } else {
            operands = decimal(&operands);
        }
        Some(Instruction {
            arch: self.arch,
            address,
            bytes: bytes.to_vec(),
            mnemonic,
            operands,
            target,
            rip_memory: None,
            flow,
            valid: true,
        })
    }
}

/// objdump writes numbers in decimal.
fn decimal(operands: &str) -> String {
    let mut out = String::with_capacity(operands.len());
    let mut rest = operands;
    while let Some(at) = rest.find("0x") {
        let digits = rest[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(&rest[..at]);
        match u64::from_str_radix(&rest[at + 2..at + 2 + digits], 16) {
            Ok(value) => out.push_str(&value.to_string()),
            Err(_) => out.push_str(&rest[at..at + 2 + digits]),
        }
        rest = &rest[at + 2 + digits..];
    }
    out.push_str(rest);
    out
}

fn flow(mnemonic: &str) -> Flow {
    match mnemonic.trim_end_matches(['+', '-']) {
        "bl" | "bla" | "bctrl" | "blrl" | "bcl" | "bcla" => Flow::Call,
        // Calls on a condition go on in either case.
        "beql" | "bnel" | "bltl" | "bgtl" | "blel" | "bgel" | "bdnzl" | "bdzl" => Flow::Call,
        "blr" | "rfid" | "hrfid" | "rfscv" => Flow::Return,
        "b" | "ba" | "bctr" => Flow::Jump,
        "trap" => Flow::Trap,
        "bc" | "bdnz" | "bdz" | "beq" | "bne" | "blt" | "bgt" | "ble" | "bge" | "bso" | "bns"
        | "bun" | "bnu" | "bdnzt" | "bdnzf" | "bdzt" | "bdzf" => Flow::ConditionalJump,
        _ => Flow::Next,
    }
}
