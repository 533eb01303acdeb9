//! The `Code:` line: bytes around the trap, disassembled.

use std::collections::HashSet;

use necropsy_disasm as disasm;

use super::meaning::{self, Layout};
use super::operand::{self, Touched};
use super::registers::Registers;
use crate::report::{Code, Frame};
use necropsy_lexicon::Arch;

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
fn machine(arch: Arch, unit: usize) -> Option<disasm::Isa> {
    match arch {
        Arch::Aarch64 => Some(disasm::Isa::Aarch64),
        // half words are Thumb code
        Arch::Arm if unit == 2 => Some(disasm::Isa::Thumb),
        Arch::Arm => Some(disasm::Isa::Arm),
        Arch::Riscv64 => Some(disasm::Isa::Riscv64),
        Arch::X86_64 => Some(disasm::Isa::X86_64),
        Arch::I386 => Some(disasm::Isa::I386),
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

    /// The name of an address near the trap. Where the trap's own address is unknown, so is every
    /// other: then it is told by its distance.
    fn symbol(&self, address: u64) -> Option<String> {
        let Some((function, offset)) = self.function.as_ref() else {
            return self.address.is_none().then(|| distance("trap", address as i64));
        };
        let start = self.base().wrapping_sub(*offset);
        let from_start = address.wrapping_sub(start);
        if from_start < 1 << 16 {
            return Some(format!("{function}+{from_start:#x}"));
        }
        self.address.is_none().then(|| distance(function, from_start as i64))
    }
}

fn distance(from: &str, by: i64) -> String {
    let sign = if by < 0 { '-' } else { '+' };
    format!("{from}{sign}{:#x}", by.unsigned_abs())
}

/// Disassemble, so that an instruction begins at the trap.
pub(crate) fn disassemble(code: &Bytes, arch: Option<Arch>, place: &Trap) -> Vec<Code> {
    let start = place.base().wrapping_sub(code.trap as u64);
    let Some(machine) = arch.and_then(|arch| machine(arch, code.unit)) else {
        return words(code, start);
    };
    let trap = start.wrapping_add(code.trap as u64);
    // where an instruction begins before the trap is unknown: all ways to cut that lead to the
    // trap without an invalid one are as good, and only what they agree on is a fact
    let listings = (0..code.trap.min(8)).filter_map(|cut| {
        let listing =
            disasm::decode_all(machine, code.bytes.get(cut..)?, start.wrapping_add(cut as u64));
        let clean = listing.iter().take_while(|instruction| instruction.address != trap).all(
            |instruction| instruction.valid && instruction.end() <= trap || pointer_wraps(start),
        );
        (clean && listing.iter().any(|instruction| instruction.address == trap)).then_some(listing)
    });
    let mut listings = listings.collect::<Vec<_>>().into_iter();
    let first = listings.next();
    let others: Vec<HashSet<u64>> = listings
        .map(|listing| listing.iter().map(|instruction| instruction.address).collect())
        .collect();
    // fixed-length code has no such doubt: a cut within a word is no other reading of it
    let x86 = matches!(machine, disasm::Isa::X86_64 | disasm::Isa::I386);
    let sure = |address: u64| !x86 || others.iter().all(|other| other.contains(&address));
    let mut listing = first.unwrap_or_else(|| {
        disasm::decode_all(machine, code.bytes.get(code.trap..).unwrap_or(&[]), trap)
    });
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
            doubtful: instruction.address < trap && !sure(instruction.address),
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
                doubtful: false,
            }
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// What the trapping instruction was about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    /// In words: `movl $0x3f,(%rax): %rax = 0: a write to NULL`.
    pub(crate) text: String,
    /// The registers that it went by, and their values: those that the address is made of; where it
    /// touches no memory that is known, all that it uses.
    pub(crate) went_by: Vec<(String, u64)>,
}

/// What the trapping instruction was about to touch, evaluated from the registers.
pub(crate) fn cause(
    code: &Bytes,
    arch: Option<Arch>,
    registers: &Registers,
    layout: Layout,
    place: &Trap,
    told: Option<u64>,
) -> Option<Deed> {
    let machine = machine(arch?, code.unit)?;
    let pointer = place.base();
    let bytes = code.bytes.get(code.trap..)?;
    let instruction = disasm::decode(machine, bytes, pointer)?;
    let text = instruction.text(&|address| place.symbol(address));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if instruction.flow == disasm::Flow::Trap {
        let text = format!("{text}: a trap the kernel set itself (BUG or WARN)");
        return Some(Deed { text, went_by: Vec::new() });
    }
    let value = |name: &str| {
        // relative to an address that the text does not have
        if matches!(name, "rip" | "eip") && place.address.is_none() {
            return None;
        }
        registers.get(name).or_else(|| match arch {
            Some(Arch::I386) => None,
            _ => registers.get(&name.replacen('e', "r", 1)),
        })
    };
    let x86 = || {
        let operands = disasm::memory_operands(machine, bytes, pointer);
        // pushes and calls touch the stack: not what went wrong, unless
        // nothing else did
        let relative = text.contains("%rip") && place.address.is_none();
        operands.into_iter().filter(|_| !relative).find_map(|operand| {
            let names = [operand.base, operand.index].into_iter().flatten().map(|reg| reg.name());
            Some(Touched {
                address: disasm::effective_address(&operand, &mut |reg| value(reg.name()))?,
                sources: names.filter_map(|n| Some((format!("%{n}"), value(n)?))).collect(),
                read: operand.read,
                write: operand.write,
            })
        })
    };
    let touched = match arch {
        Some(Arch::X86_64 | Arch::I386) => x86(),
        _ => operand::touched(&text, &value),
    };
    // what the registers give must be what the kernel says: they may be of another moment
    let Some(touched) =
        touched.filter(|touched| told.is_none_or(|told| near(touched.address, told, arch)))
    else {
        let (used, _) = disasm::registers_used(machine, bytes, pointer);
        let used = used.into_iter().map(|reg| reg.name());
        let went_by = used.filter_map(|name| Some((name.to_owned(), value(name)?))).collect();
        return Some(Deed { text, went_by });
    };
    let sources = touched.sources.iter().map(|(name, value)| format!("{name} = {value:#x}"));
    let sources = sources.collect::<Vec<_>>().join(", ");
    let access = match (touched.read, touched.write) {
        (true, true) => "a read and write",
        (false, true) => "a write",
        _ => "a read",
    };
    let place = place_of(touched.address, layout);
    let separator = if sources.is_empty() { "" } else { ": " };
    let text = format!("{text}: {sources}{separator}{access} at {place}");
    let bare = |(name, value): (String, u64)| (name.trim_start_matches('%').to_owned(), value);
    Some(Deed { text, went_by: touched.sources.into_iter().map(bare).collect() })
}

/// Are two addresses within a page of each other? The upper bits hold a tag where the machine
/// passes over one.
fn near(one: u64, other: u64, arch: Option<Arch>) -> bool {
    let address = match arch {
        Some(Arch::Aarch64) => (1 << 48) - 1,
        _ => u64::MAX,
    };
    (one & address).abs_diff(other & address) < 0x1000
}

/// An address in words.
pub(crate) fn place_of(address: u64, layout: Layout) -> String {
    match address {
        0 => "NULL".to_owned(),
        address @ 1..0x1000 => format!("NULL + {address:#x}"),
        address => match meaning::of(address, layout) {
            meaning if meaning.is_empty() => format!("{address:#x}"),
            meaning => format!("{address:#x} ({meaning})"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(pairs: &[(&str, u64)]) -> Registers {
        let mut registers = Registers::of(Some(Arch::X86_64));
        registers.values = pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        registers
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
            cause(
                &code,
                Some(Arch::X86_64),
                &registers,
                registers.layout(),
                &Trap::new(None, &registers),
                None
            )
            .unwrap(),
            Deed {
                text: "movl $0x3f,(%rax): %rax = 0x0: a write at NULL".to_owned(),
                went_by: vec![("rax".to_owned(), 0)],
            }
        );
    }

    #[test]
    fn a_tag_is_no_distance_and_what_is_no_address_is_one() {
        let (tagged, plain) = (0xf0ff_8000_1234_5678, 0xffff_8000_1234_5678);
        assert!(near(tagged, plain, Some(Arch::Aarch64)));
        assert!(!near(tagged, plain, Some(Arch::X86_64)));
        assert!(near(plain + 8, plain, Some(Arch::X86_64)));
    }

    #[test]
    fn refuses_what_is_no_code() {
        assert_eq!(read("Bad RIP value."), None);
        assert_eq!(read("Unable to access opcode bytes at 0x0."), None);
        assert_eq!(read("90 <90> <90>"), None);
    }
}
