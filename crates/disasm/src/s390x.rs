//! IBM Z by capstone, with the spelling of objdump.

use capstone::{Capstone, arch::BuildsCapstone, arch::sysz};

use crate::{Flow, Instruction, Isa};

/// A decoder, kept while many instructions are decoded.
pub(crate) struct Disassembler(Capstone);

impl Disassembler {
    pub(crate) fn new() -> Option<Self> {
        let capstone = Capstone::new().sysz().mode(sysz::ArchMode::Default).build().ok()?;
        Some(Disassembler(capstone))
    }

    pub(crate) fn decode(&self, bytes: &[u8], address: u64) -> Option<Instruction> {
        let len = Isa::S390x.unit(*bytes.first()?);
        let bytes = bytes.get(..len)?;
        let (mnemonic, mut operands) = match vectors(bytes) {
            Some(spelt) => spelt,
            None => {
                let found = self.0.disasm_count(bytes, address, 1).ok();
                let text = found.as_ref().and_then(|found| {
                    let insn = found.first()?;
                    let mut mnemonic = insn.mnemonic()?.to_owned();
                    let mut operands = insn.op_str().unwrap_or("").replace(", ", ",");
                    spell(bytes, &mut mnemonic, &mut operands);
                    Some((mnemonic, operands))
                });
                text?
            }
        };
        let flow = flow(&mnemonic, &operands);
        let relative = is_relative(bytes);
        let mut target = None;
        if relative && let Some(at) = operands.rfind("0x") {
            target = u64::from_str_radix(&operands[at + 2..], 16).ok();
            operands.replace_range(at..at + 2, "");
        }
        operands = decimal(&operands);
        let branches = matches!(flow, Flow::Jump | Flow::Call | Flow::ConditionalJump);
        Some(Instruction {
            arch: Isa::S390x,
            address,
            bytes: bytes.to_vec(),
            mnemonic,
            operands,
            target: target.filter(|_| branches),
            rip_memory: target.filter(|_| !branches),
            flow,
            valid: true,
        })
    }
}

/// VLM and VSTM with a hint at how memory is aligned, which capstone does not know.
fn vectors(bytes: &[u8]) -> Option<(String, String)> {
    let &[0xe7, registers, high, low, hint, code @ (0x36 | 0x3e)] = bytes else { return None };
    // The topmost bits of the registers' numbers lie apart: the first's, then the second's.
    let first = registers >> 4 | (hint & 8) << 1;
    let last = registers & 15 | (hint & 4) << 2;
    let offset = u32::from(high & 15) << 8 | u32::from(low);
    let base = match high >> 4 {
        0 => String::new(),
        base => format!("(%r{base})"),
    };
    let name = if code == 0x36 { "vlm" } else { "vstm" };
    let align = hint >> 4;
    (align != 0).then(|| (name.into(), format!("%v{first},%v{last},{offset}{base},{align}")))
}

/// Where capstone's text differs from objdump's.
fn spell(bytes: &[u8], mnemonic: &mut String, operands: &mut String) {
    let mask = bytes.get(1).map_or(0, |second| second >> 4);
    // Branches that never branch: the mask is the first operand, or part of the second byte.
    let never = match (bytes[0], mask, bytes.get(1).map_or(0, |second| second & 15)) {
        (0x07, 0, _) => Some("nopr"),
        (0x47, 0, _) => Some("nop"),
        (0xa7, 0, 4) => Some("jnop"),
        (0xc0, 0, 4) => Some("jgnop"),
        _ => None,
    };
    if let Some(never) = never {
        *mnemonic = never.into();
        if let Some(rest) = operands.strip_prefix("0,") {
            *operands = rest.to_owned();
        }
        if *mnemonic == "nopr" && operands == "%r0" {
            operands.clear();
        }
        return;
    }
    // What is not lower or higher is not equal, and so on.
    if ["crj", "cgrj", "cij", "cgij", "clrj", "clgrj", "clij", "clgij"]
        .into_iter()
        .chain(["crt", "cgrt", "cit", "cgit", "clrt", "clgrt", "clfit", "clgit", "clt", "clgt"])
        .any(|begin| mnemonic.strip_prefix(begin).is_some_and(|rest| rest.len() == 2))
    {
        for (theirs, ours) in [("lh", "ne"), ("he", "nl"), ("le", "nh")] {
            if let Some(begin) = mnemonic.strip_suffix(theirs) {
                *mnemonic = format!("{begin}{ours}");
                break;
            }
        }
    }
    // The rotations that clear the remaining bits say so by a bit of the fourth operand.
    if let "risbg" | "risbgn" = mnemonic.as_str()
        && let &[_, _, _, last, ..] = bytes
        && last & 0x80 != 0
    {
        mnemonic.push('z');
        let mut parts: Vec<&str> = operands.split(',').collect();
        let last = (last & 0x7f).to_string();
        if let Some(part) = parts.get_mut(3) {
            *part = &last;
        }
        *operands = parts.join(",");
    }
}

/// Whether the last operand is an address relative to the instruction: formats RI, RIL, RIE, RSI, SMI.
fn is_relative(bytes: &[u8]) -> bool {
    matches!(
        (bytes.first(), bytes.get(1).map(|second| second & 15), bytes.get(5)),
        (Some(0xa7), Some(4..=7), _)
            | (Some(0x84 | 0x85 | 0xc4 | 0xc6), ..)
            | (Some(0xc0), Some(0 | 4 | 5), _)
            | (Some(0xcc), Some(6), _)
            | (Some(0xec), _, Some(0x44 | 0x45 | 0x64 | 0x65 | 0x76 | 0x77 | 0x7c..=0x7f))
    )
}

/// objdump writes numbers in decimal.
fn decimal(operands: &str) -> String {
    let mut out = String::with_capacity(operands.len());
    let mut rest = operands;
    while let Some(at) = rest.find("0x") {
        let digits = rest[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let (before, number) = (&rest[..at], &rest[at + 2..at + 2 + digits]);
        out.push_str(before);
        match u64::from_str_radix(number, 16) {
            Ok(value) => out.push_str(&value.to_string()),
            Err(_) => out.push_str(&rest[at..at + 2 + digits]),
        }
        rest = &rest[at + 2 + digits..];
    }
    out.push_str(rest);
    out
}

fn flow(mnemonic: &str, operands: &str) -> Flow {
    match mnemonic {
        "brasl" | "bras" | "basr" | "bras r" | "jas" | "jasl" => Flow::Call,
        "br" if operands == "%r14" => Flow::Return,
        "br" | "j" | "jg" | "b" => Flow::Jump,
        "lpswe" | "lpswey" | "pr" => Flow::Return,
        "trap" => Flow::Trap,
        _ if mnemonic.starts_with("crj") || mnemonic.starts_with("cgrj") => Flow::ConditionalJump,
        _ if mnemonic.starts_with("cij") || mnemonic.starts_with("cgij") => Flow::ConditionalJump,
        _ if mnemonic.starts_with("clrj") || mnemonic.starts_with("clgrj") => Flow::ConditionalJump,
        _ if mnemonic.starts_with("clij") || mnemonic.starts_with("clgij") => Flow::ConditionalJump,
        _ if mnemonic.starts_with("brct") || mnemonic.starts_with("brx") => Flow::ConditionalJump,
        _ if mnemonic.starts_with('j') => Flow::ConditionalJump,
        _ => Flow::Next,
    }
}
