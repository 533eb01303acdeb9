//! The `Code:` line: bytes around the trap, disassembled.

use necropsy_disasm as disasm;

use super::meaning;
use super::operand::{self, Touched};
use super::registers::Registers;
use crate::report::{Arch, Code, Frame};

/// The bytes of a `Code:` line and where the trap is among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trap: usize,
    /// Bytes of one token: 1 on x86, 2 or 4 elsewhere.
    pub(crate) unit: usize,
}

/// Read the tokens after `Code:`; none unless exactly one is marked.
pub(crate) fn read(text: &str) -> Option<Bytes> {
    let mut bytes = Vec::new();
    let mut trap = None;
    let mut unit = 0;
    for token in text.split_whitespace() {
        let marked = token.starts_with(['<', '(']);
        let digits = token.trim_matches(|c| matches!(c, '<' | '>' | '(' | ')'));
        let Some(digits) = digits_of(digits) else {
            break;
        };
        if unit == 0 {
            unit = digits.len() / 2;
        }
        if digits.len() != unit * 2 {
            break;
        }
        if marked && trap.replace(bytes.len()).is_some() {
            return None;
        }
        // words are printed as numbers: the machine's order is little-endian
        // on every architecture whose words we disassemble
        let value = u32::from_str_radix(&digits, 16).ok()?;
        bytes.extend_from_slice(&value.to_le_bytes()[..unit]);
        if bytes.len() > 256 {
            break;
        }
    }
    Some(Bytes { bytes, trap: trap?, unit })
}

/// The digits of a token, letters that a transcriber took for digits set right.
pub(super) fn digits_of(token: &str) -> Option<String> {
    if !matches!(token.len(), 2 | 4 | 8) {
        return None;
    }
    token
        .chars()
        .map(|char| match char {
            'o' | 'O' => Some('0'),
            'l' | 'I' => Some('1'),
            char => char.is_ascii_hexdigit().then_some(char),
        })
        .collect()
}

/// The instruction set to disassemble with, if we can.
fn machine(arch: Arch, unit: usize) -> Option<disasm::Arch> {
    match arch {
        Arch::Arm64 => Some(disasm::Arch::Aarch64),
        // half words are Thumb code
        Arch::Arm if unit == 2 => Some(disasm::Arch::Thumb),
        Arch::Arm => Some(disasm::Arch::Arm),
        Arch::Riscv => Some(disasm::Arch::Riscv64),
        Arch::X86_64 => Some(disasm::Arch::X86_64),
        Arch::I386 => Some(disasm::Arch::I386),
        _ => None,
    }
}

/// Where the trap is: the address if the text has it, else the function's name
/// and the offset in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trap {
    address: Option<u64>,
    function: Option<(String, u64)>,
}

impl Trap {
    pub(crate) fn new(pointer: Option<&Frame>, registers: &Registers) -> Trap {
        Trap {
            address: ["rip", "eip", "pc", "epc", "nip"].iter().find_map(|name| registers.get(name)),
            function: pointer.and_then(|frame| Some((frame.function.clone(), frame.offset?))),
        }
    }

    /// What the listing calls the trap's address.
    fn base(&self) -> u64 {
        self.address.or(self.function.as_ref().map(|(_, offset)| *offset)).unwrap_or(0)
    }

    /// The name of an address near the trap.
    fn symbol(&self, address: u64) -> Option<String> {
        let (function, offset) = self.function.as_ref()?;
        let start = self.base().wrapping_sub(*offset);
        let from_start = address.wrapping_sub(start);
        (from_start < 1 << 16).then(|| format!("{function}+{from_start:#x}"))
    }
}

/// Disassemble, so that an instruction begins at the trap.
pub(crate) fn disassemble(code: &Bytes, arch: Option<Arch>, place: &Trap) -> Vec<Code> {
    let start = place.base().wrapping_sub(code.trap as u64);
    let Some(machine) = arch.and_then(|arch| machine(arch, code.unit)) else {
        return words(code, start);
    };
    let trap = start.wrapping_add(code.trap as u64);
    // where an instruction begins before the trap is unknown: try until one
    // begins at it, and none before it is invalid
    let listing = (0..code.trap.min(16)).find_map(|cut| {
        let listing =
            disasm::decode_all(machine, code.bytes.get(cut..)?, start.wrapping_add(cut as u64));
        let clean = listing.iter().take_while(|instruction| instruction.address != trap).all(
            |instruction| instruction.valid && instruction.end() <= trap || pointer_wraps(start),
        );
        (clean && listing.iter().any(|instruction| instruction.address == trap)).then_some(listing)
    });
    let listing = listing.unwrap_or_else(|| {
        disasm::decode_all(machine, code.bytes.get(code.trap..).unwrap_or(&[]), trap)
    });
    let mut listing: Vec<_> = listing;
    // the last instruction is cut off by the end of the line
    while listing.last().is_some_and(|last| !last.valid && last.address != trap) {
        listing.pop();
    }
    listing
        .into_iter()
        .map(|instruction| Code {
            address: instruction.address,
            bytes: hex(&instruction.bytes),
            text: instruction.text(&|address| place.symbol(address)),
            trapping: instruction.address == trap,
        })
        .collect()
}

fn pointer_wraps(start: u64) -> bool {
    start > u64::MAX - 512
}

/// What cannot be disassembled is listed word by word.
fn words(code: &Bytes, start: u64) -> Vec<Code> {
    code.bytes
        .chunks(code.unit.max(1))
        .enumerate()
        .map(|(index, word)| {
            let at = index * code.unit;
            let mut word = word.to_vec();
            word.reverse();
            Code {
                address: start.wrapping_add(at as u64),
                bytes: hex(&word),
                text: String::new(),
                trapping: at == code.trap,
            }
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// What the trapping instruction was about to touch, evaluated from the
/// registers: `movl $0x3f,(%rax): %rax = 0: a write to NULL`.
pub(crate) fn cause(
    code: &Bytes,
    arch: Option<Arch>,
    registers: &Registers,
    place: &Trap,
) -> Option<String> {
    let machine = machine(arch?, code.unit)?;
    let pointer = place.base();
    let bytes = code.bytes.get(code.trap..)?;
    let instruction = disasm::decode(machine, bytes, pointer)?;
    let text = instruction.text(&|address| place.symbol(address));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if instruction.flow == disasm::Flow::Trap {
        return Some(format!("{text}: a trap the kernel set itself (BUG or WARN)"));
    }
    let value = |name: &str| {
        registers.get(name).or_else(|| match arch {
            Some(Arch::I386) => None,
            _ => registers.get(&name.replacen('e', "r", 1)),
        })
    };
    let x86 = || {
        let operands = disasm::memory_operands(machine, bytes, pointer);
        // pushes and calls touch the stack: not what went wrong, unless
        // nothing else did
        operands.into_iter().find_map(|operand| {
            let names = [operand.base, operand.index].into_iter().flatten();
            Some(Touched {
                address: disasm::effective_address(&operand, &value)?,
                sources: names.filter_map(|n| Some((format!("%{n}"), value(n)?))).collect(),
                read: operand.read,
                write: operand.write,
            })
        })
    };
    let touched = match arch {
        Some(Arch::Arm64) => operand::arm64(&text, &value),
        _ => x86(),
    };
    let Some(touched) = touched else {
        return Some(text);
    };
    let sources = touched.sources.iter().map(|(name, value)| format!("{name} = {value:#x}"));
    let sources = sources.collect::<Vec<_>>().join(", ");
    let access = match (touched.read, touched.write) {
        (true, true) => "a read and write",
        (false, true) => "a write",
        _ => "a read",
    };
    let place = match touched.address {
        0 => "NULL".to_owned(),
        address @ 1..0x1000 => format!("NULL + {address:#x}"),
        address => match meaning::of(address, registers.layout()) {
            meaning if meaning.is_empty() => format!("{address:#x}"),
            meaning => format!("{address:#x} ({meaning})"),
        },
    };
    let separator = if sources.is_empty() { "" } else { ": " };
    Some(format!("{text}: {sources}{separator}{access} at {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(pairs: &[(&str, u64)]) -> Registers {
        Registers {
            arch: Some(Arch::X86_64),
            values: pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            ..Registers::default()
        }
    }

    #[test]
    fn write_to_null() {
        let code = read("90 90 <c7> 00 3f 00 00 00 c3").unwrap();
        assert_eq!((code.trap, code.unit), (2, 1));
        let registers = registers(&[("rip", 0xffff_ffff_a028_117f), ("rax", 0)]);
        let listing = disassemble(&code, Some(Arch::X86_64), &Trap::new(None, &registers));
        let trap = listing.iter().find(|line| line.trapping).unwrap();
        assert_eq!(trap.address, 0xffff_ffff_a028_117f);
        assert_eq!(trap.bytes, "c7 00 3f 00 00 00");
        assert_eq!(
            cause(&code, Some(Arch::X86_64), &registers, &Trap::new(None, &registers)).unwrap(),
            "movl $0x3f,(%rax): %rax = 0x0: a write at NULL"
        );
    }

    #[test]
    fn refuses_what_is_no_code() {
        assert_eq!(read("Bad RIP value."), None);
        assert_eq!(read("Unable to access opcode bytes at 0x0."), None);
        assert_eq!(read("90 <90> <90>"), None);
    }
}
