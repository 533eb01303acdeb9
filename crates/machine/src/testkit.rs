//! A machine put together by hand, for tests of any crate: memory, symbols, types and unwind tables
//! without a dump of a real one. Behind the feature `testkit`.
//!
//! ```
//! # use necropsy_machine::testkit::{Machine, STACK, TEXT};
//! let target = Machine::new()
//!     .function("schedule", TEXT, &[0x90, 0xc3])
//!     .words(STACK, &[TEXT + 1])
//!     .target();
//! assert_eq!(target.read_u64(STACK), Ok(TEXT + 1));
//! assert_eq!(target.locate(TEXT + 1).map(|found| found.symbol.name), Some("schedule"));
//! assert!(target.read_u64(STACK + 0x10_0000).is_err(), "not in the dump");
//! ```

use std::path::PathBuf;

use necropsy_debuginfo::{
    Types,
    orc::{Orc, OrcFormat},
    symbols::Symbols,
};
use necropsy_dump::{Dump, OpenOptions};
use necropsy_lexicon::Reg;
use necropsy_synth::{ElfCore, Order, Segment};

use crate::{
    Image, Regs, Target,
    image::Range,
    layout::{Layout, Linear, Overrides},
    paging::PagingFormat,
    target::VMLINUX,
    unwind::{Stack, StackKind},
};

/// Where the kernel's code begins, an x86_64 machine's.
pub const TEXT: u64 = 0xffff_ffff_8100_0000;
/// One past its last byte.
pub const TEXT_END: u64 = TEXT + 0x1_0000;
/// Where the map of all memory begins.
pub const DIRECT: u64 = 0xffff_8880_0000_0000;
/// The lowest address of a stack of [`STACK_SIZE`] bytes.
pub const STACK: u64 = DIRECT + 0x2_0000;
/// Bytes of the stack.
pub const STACK_SIZE: u64 = 0x4000;
/// Memory that tests may use for what they like, to [`MEMORY`] bytes from [`DIRECT`] on.
pub const HEAP: u64 = DIRECT + 0x3_0000;
/// Bytes of memory that the dump holds; the map goes on to twice as many.
pub const MEMORY: u64 = 0x8_0000;

/// Physical address of the code.
const TEXT_PHYSICAL: u64 = 0x1_0000;

/// The machine, as it is being put together. What is out of its memory panics: it is a mistake of
/// the test.
#[derive(Debug)]
pub struct Machine {
    memory: Vec<u8>,
    symbols: Vec<(u64, String, u64)>,
    types: Types,
    orc: Vec<(u64, [u8; 6])>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

/// An entry of the ORC table (arch/x86/include/asm/orc_types.h), in its form of Linux 6.4.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrcRule {
    /// 0 undefined, 1 end of stack, 2 call, 3 registers, 4 an interrupt's frame.
    pub kind: u16,
    /// What the caller's stack pointer is made of: 1 its own, 4 rbp, 5 rsp.
    pub sp_reg: u16,
    /// Bytes added to it.
    pub sp_offset: i16,
    /// Where the caller's rbp is: 0 not saved, 1 from the caller's stack pointer.
    pub bp_reg: u16,
    /// Bytes added to that.
    pub bp_offset: i16,
}

impl OrcRule {
    /// Of a function that has moved the stack pointer by `pushed` bytes, the return address among
    /// them.
    pub fn call(pushed: i16) -> OrcRule {
        OrcRule { kind: 2, sp_reg: 5, sp_offset: pushed, ..OrcRule::default() }
    }

    /// Of the outermost code.
    pub fn end() -> OrcRule {
        OrcRule { kind: 1, ..OrcRule::default() }
    }

    /// Of code that stands right above a saved `struct pt_regs`.
    pub fn regs() -> OrcRule {
        OrcRule { kind: 3, sp_reg: 5, ..OrcRule::default() }
    }

    /// Of code that stands right above what the CPU pushed.
    pub fn interrupt() -> OrcRule {
        OrcRule { kind: 4, sp_reg: 5, ..OrcRule::default() }
    }

    fn bytes(self) -> [u8; 6] {
        let [a, b] = self.sp_offset.to_le_bytes();
        let [c, d] = self.bp_offset.to_le_bytes();
        let [e, f] = (self.sp_reg | self.bp_reg << 4 | self.kind << 8).to_le_bytes();
        [a, b, c, d, e, f]
    }
}

impl Machine {
    /// A machine whose memory is zeros.
    pub fn new() -> Machine {
        Machine {
            memory: vec![0; MEMORY as usize],
            symbols: Vec::new(),
            types: Types::new(8),
            orc: Vec::new(),
        }
    }

    /// Writes bytes at an address of the kernel's code or of the map of memory.
    #[must_use]
    pub fn bytes(mut self, address: u64, bytes: &[u8]) -> Machine {
        let physical = match address {
            TEXT..TEXT_END => address - TEXT + TEXT_PHYSICAL,
            _ => address - DIRECT,
        };
        self.memory[physical as usize..][..bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Writes 8-byte words.
    #[must_use]
    pub fn words(self, address: u64, words: &[u64]) -> Machine {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.bytes(address, &bytes)
    }

    /// A function and its code.
    #[must_use]
    pub fn function(mut self, name: &str, address: u64, code: &[u8]) -> Machine {
        self.symbols.push((address, name.to_owned(), code.len() as u64));
        self.bytes(address, code)
    }

    /// A variable of `size` bytes.
    #[must_use]
    pub fn symbol(mut self, name: &str, address: u64, size: u64) -> Machine {
        self.symbols.push((address, name.to_owned(), size));
        self
    }

    /// The types that the machine's kernel was built from.
    #[must_use]
    pub fn types(mut self, types: Types) -> Machine {
        self.types = types;
        self
    }

    /// The rule of the unwind table from an address of code on.
    #[must_use]
    pub fn orc(mut self, address: u64, rule: OrcRule) -> Machine {
        self.orc.push((address, rule.bytes()));
        self
    }

    /// The stopped machine.
    pub fn target(self) -> Target {
        let segment =
            Segment { physical: 0, address: DIRECT, memory_size: MEMORY, data: self.memory };
        let core = ElfCore {
            wide: true,
            order: Order::Little,
            machine: 62,
            notes: Vec::new(),
            segments: vec![segment],
            extended_count: false,
        };
        let files = vec![(PathBuf::from("machine"), core.build())];
        let dump = Dump::from_bytes(files, OpenOptions::default()).expect("an ELF core");
        let mut symbols = Symbols::builder();
        let mut sorted = self.symbols;
        sorted.sort();
        for (address, name, size) in &sorted {
            let kind = if (TEXT..TEXT_END).contains(address) { 'T' } else { 'D' };
            symbols.push(*address, name, kind, *size);
        }
        let range = Range { start: TEXT, end: TEXT_END, text: true };
        let kernel = Image::new(VMLINUX, vec![range], symbols.finish(), None);
        let (mut ips, mut entries) = (Vec::new(), Vec::new());
        for (index, (address, entry)) in self.orc.iter().enumerate() {
            let field = TEXT_END + index as u64 * 4;
            ips.extend((address.wrapping_sub(field) as i32).to_le_bytes());
            entries.extend(entry);
        }
        let orc = Orc::parse(&ips, TEXT_END, &entries, OrcFormat::V3).expect("as many of both");
        let _ = kernel.orc.set((!orc.is_empty()).then_some(Ok(orc)));
        let layout = Layout {
            paging: PagingFormat::X86_64 { levels: 4, mask: 0 },
            root: 0,
            image_map: TEXT,
            phys_base: TEXT_PHYSICAL,
            kaslr: Some(0),
            image: Linear { start: TEXT, end: TEXT_END, physical: TEXT_PHYSICAL },
            direct: Some(Linear { start: DIRECT, end: DIRECT + 2 * MEMORY, physical: 0 }),
            vmalloc: Some(0xffff_c900_0000_0000),
            vmemmap: Some(0xffff_ea00_0000_0000),
            vmemmap_parts: Vec::new(),
        };
        Target::open(dump, &Overrides::default()).assembled(layout, kernel, self.types)
    }
}

/// The stack of a task at [`STACK`].
pub fn stack() -> Stack {
    Stack { kind: StackKind::Task, start: STACK, end: STACK + STACK_SIZE }
}

/// A set of registers.
pub fn regs(values: &[(Reg, u64)]) -> Regs {
    let mut regs = Regs::new();
    for (reg, value) in values {
        regs.set(*reg, *value);
    }
    regs
}
