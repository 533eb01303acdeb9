//! RISC-V by disc-v, whose text is objdump's but for the `0x` of addresses.

use crate::{Flow, Instruction, Isa};

pub(crate) fn decode(bytes: &[u8], address: u64) -> Option<Instruction> {
    let decoded = disc_v::decode_bytes(disc_v::Isa::Rv64, address, bytes)?;
    let len = decoded.length();
    if decoded.is_illegal() && decoded.mnemonic() != "unimp" {
        return None;
    }
    // The whole text has suffixes (`.aq`) that the mnemonic alone lacks.
    let text = decoded.to_string();
    let (mnemonic, operands) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
    let mut operands = operands.trim_start().to_owned();
    // The fence for everything has no operands.
    if mnemonic == "fence" && operands == "iorw,iorw" {
        operands.clear();
    }
    let flow = flow(mnemonic, &operands);
    let branches = matches!(flow, Flow::Jump | Flow::Call | Flow::ConditionalJump);
    let mut target = None;
    if branches && let Some(at) = operands.rfind("0x") {
        target = u64::from_str_radix(&operands[at + 2..], 16).ok();
        if target.is_some() {
            operands.replace_range(at..at + 2, "");
        }
    }
    Some(Instruction {
        arch: Isa::Riscv64,
        address,
        bytes: bytes.get(..len)?.to_vec(),
        mnemonic: mnemonic.to_owned(),
        operands,
        target,
        rip_memory: None,
        flow,
        valid: true,
    })
}

fn flow(mnemonic: &str, operands: &str) -> Flow {
    match mnemonic {
        "j" | "jr" => Flow::Jump,
        "ret" | "sret" | "mret" | "uret" => Flow::Return,
        "jal" | "jalr" if operands.starts_with("zero,") => Flow::Jump,
        "jal" | "jalr" => Flow::Call,
        "ebreak" | "unimp" => Flow::Trap,
        "beq" | "bne" | "blt" | "bge" | "bltu" | "bgeu" | "beqz" | "bnez" | "blez" | "bgez"
        | "bltz" | "bgtz" | "bgt" | "ble" | "bgtu" | "bleu" => Flow::ConditionalJump,
        _ => Flow::Next,
    }
}
