//! ARM by yaxpeax-arm, whose text is objdump's but for branch targets and names of conditions.

pub(crate) mod effects;
mod special;
mod text;
mod thumb;

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::{armv7, armv8::a64};

use crate::{Flow, Instruction, Isa};

/// A decoder of one of ARM's instruction sets.
pub(crate) struct Disassembler {
    arch: Isa,
    a64: a64::InstDecoder,
    a32: armv7::InstDecoder,
}

impl Disassembler {
    pub(crate) fn new(arch: Isa) -> Self {
        let a32 = match arch {
            Isa::Thumb => armv7::InstDecoder::default_thumb(),
            _ => armv7::InstDecoder::default(),
        };
        Disassembler { arch, a64: a64::InstDecoder::default(), a32 }
    }

    pub(crate) fn decode(&self, bytes: &[u8], address: u64) -> Option<Instruction> {
        let len = self.length(bytes)?;
        let bytes = bytes.get(..len)?;
        let mut reader = U8Reader::new(bytes);
        let spelt = match (self.arch, bytes) {
            (Isa::Aarch64, &[a, b, c, d]) => special::decode(u32::from_le_bytes([a, b, c, d])),
            _ => None,
        };
        if let Some((mnemonic, operands)) = spelt {
            let flow = self.flow(&mnemonic, &operands);
            return Some(Instruction {
                arch: self.arch,
                address,
                bytes: bytes.to_vec(),
                mnemonic,
                operands,
                target: None,
                rip_memory: None,
                flow,
                valid: true,
            });
        }
        let text = match self.arch {
            Isa::Aarch64 => self.a64.decode(&mut reader).ok()?.to_string(),
            _ if self.arch == Isa::Arm && is_broken_pair(bytes) => return None,
            _ => self.a32.decode(&mut reader).ok()?.to_string(),
        };
        let (mnemonic, operands) = text.split_once(' ').unwrap_or((&text, ""));
        let mut mnemonic = mnemonic.to_owned();
        let mut operands = operands.trim_start().to_owned();
        let flow = self.flow(&mnemonic, &operands);
        let relative = self.resolve(&mnemonic, bytes, &mut operands, address);
        match self.arch {
            Isa::Aarch64 => text::apply_a64(bytes, &mut mnemonic, &mut operands),
            Isa::Thumb => {
                text::apply_thumb(&mut mnemonic, len == 2 && relative.is_some());
                text::apply_a32(&mut operands);
            }
            _ => text::apply_a32(&mut operands),
        }
        let branches = matches!(flow, Flow::Jump | Flow::Call | Flow::ConditionalJump);
        Some(Instruction {
            arch: self.arch,
            address,
            bytes: bytes.to_vec(),
            mnemonic,
            operands,
            target: relative.filter(|_| branches),
            rip_memory: relative.filter(|_| !branches),
            flow,
            valid: true,
        })
    }

    /// Length in bytes: of Thumb code, two halfwords if the first begins with 0b11101 or more.
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let second = *bytes.get(1)?;
        Some(if self.arch == Isa::Thumb && second >> 3 < 0b11101 { 2 } else { 4 })
    }

    /// Turns an offset from the instruction (`$+0x10`) at the end of the operands into the
    /// address it means, which is returned.
    fn resolve(
        &self,
        mnemonic: &str,
        bytes: &[u8],
        operands: &mut String,
        address: u64,
    ) -> Option<u64> {
        let at = operands.rfind('$')?;
        let (sign, digits) = operands[at + 1..].split_at_checked(1)?;
        let distance = u64::from_str_radix(digits.strip_prefix("0x")?, 16).ok()?;
        let distance = if sign == "-" { distance.wrapping_neg() } else { distance };
        let base = if mnemonic == "adrp" { address & !0xfff } else { address };
        let target = match self.arch {
            // yaxpeax-arm counts from different places in different encodings.
            Isa::Thumb => thumb::target(bytes, address)?,
            _ => base.wrapping_add(distance),
        };
        let target = target & self.arch.address_mask();
        operands.truncate(at);
        operands.push_str(&format!("{target:x}"));
        Some(target)
    }

    fn flow(&self, mnemonic: &str, operands: &str) -> Flow {
        if self.arch == Isa::Aarch64 {
            return match mnemonic {
                "b" | "br" | "braa" | "brab" | "braaz" | "brabz" => Flow::Jump,
                "bl" | "blr" | "blraa" | "blrab" | "blraaz" | "blrabz" => Flow::Call,
                "ret" | "retaa" | "retab" | "eret" | "eretaa" | "eretab" => Flow::Return,
                "cbz" | "cbnz" | "tbz" | "tbnz" => Flow::ConditionalJump,
                "brk" | "udf" | "hlt" => Flow::Trap,
                _ if mnemonic.starts_with("b.") => Flow::ConditionalJump,
                _ => Flow::Next,
            };
        }
        let plain = mnemonic.split('.').next().unwrap_or(mnemonic);
        match plain {
            "b" => Flow::Jump,
            "bl" | "blx" => Flow::Call,
            "bx" if operands == "lr" => Flow::Return,
            "bx" | "bxj" | "tbb" | "tbh" => Flow::Jump,
            "cbz" | "cbnz" => Flow::ConditionalJump,
            "udf" | "bkpt" => Flow::Trap,
            "rfe" | "rfeia" => Flow::Return,
            "pop" | "ldm" | "ldmfd" | "ldmia" if operands.contains("pc") => Flow::Return,
            "mov" | "movs" | "ldr" if operands.starts_with("pc,") => {
                if operands == "pc, lr" {
                    Flow::Return
                } else {
                    Flow::Jump
                }
            }
            _ if is_conditional_branch(plain) => Flow::ConditionalJump,
            _ => Flow::Next,
        }
    }
}

/// Loads and stores of two registers whose first is the last one there is: the architecture leaves
/// them undefined, and yaxpeax-arm does not survive them (LDRD, STRD, LDREXD, STREXD).
fn is_broken_pair(bytes: &[u8]) -> bool {
    let Some(word) = bytes.first_chunk().map(|&bytes| u32::from_le_bytes(bytes)) else {
        return true;
    };
    let dual = word & 0x0e10_00d0 == 0x0000_00d0 && word >> 12 & 0xf == 0xf;
    let exclusive =
        word & 0x0fe0_00f0 == 0x01a0_0090 && (word >> 12 & 0xf == 0xf || word & 0xf == 0xf);
    dual || exclusive
}

/// `beq` … `ble`; not `bic`, `bfi` and the like.
fn is_conditional_branch(mnemonic: &str) -> bool {
    mnemonic.strip_prefix('b').is_some_and(|condition| {
        matches!(
            condition,
            "eq" | "ne"
                | "cs"
                | "hs"
                | "cc"
                | "lo"
                | "mi"
                | "pl"
                | "vs"
                | "vc"
                | "hi"
                | "ls"
                | "ge"
                | "lt"
                | "gt"
                | "le"
        )
    })
}
