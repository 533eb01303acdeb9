//! Unwind rules from `.debug_frame`: where the caller's registers are.

use std::sync::Arc;

use gimli::{CfaRule, RegisterRule, UnwindContext, UnwindSection};

use super::{Dwarf, Inner};

/// How the caller's frame is found from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cfi {
    /// The canonical frame address (the caller's stack pointer once it is returned to): the value
    /// of a DWARF register plus an offset. None if it takes an expression.
    pub cfa: Option<(u16, i64)>,
    /// The caller's registers by their DWARF numbers, where they are known.
    pub registers: Vec<(u16, Rule)>,
    /// The function is called by the processor, not by code: its caller's address is exact.
    pub signal: bool,
}

/// Where a register of the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nowhere.
    Undefined,
    /// Where it was.
    Same,
    /// In memory, so many bytes from the CFA.
    AtCfa(i64),
    /// It is the CFA plus an offset.
    IsCfa(i64),
    /// In another register.
    Register(u16),
    /// It takes an expression, which kernels written in C have none of.
    Expression,
}

impl Dwarf {
    /// The rules at an address; None where there are none.
    pub fn cfi_at(&self, address: u64) -> Option<Arc<Cfi>> {
        self.with(|inner| inner.cfi_at.get(address, || inner.find_cfi(address).map(Arc::new)))
    }
}

impl Inner<'_> {
    fn find_cfi(&self, address: u64) -> Option<Cfi> {
        let bases = gimli::BaseAddresses::default();
        let offset = gimli::DebugFrameOffset(self.index.frame_at(address)? as usize);
        let entry = self.frame.fde_from_offset(&bases, offset, gimli::DebugFrame::cie_from_offset);
        let entry = entry.ok()?;
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&self.frame, &bases, &mut context, address).ok()?;
        Some(rules(row, entry.is_signal_trampoline()))
    }
}

/// A row of an unwind table.
fn rules(row: &gimli::UnwindTableRow<usize>, signal: bool) -> Cfi {
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => Some((register.0, *offset)),
        CfaRule::Expression(_) => None,
    };
    let registers = row
        .registers()
        .map(|(register, rule)| {
            let rule = match *rule {
                RegisterRule::Undefined => Rule::Undefined,
                RegisterRule::SameValue => Rule::Same,
                RegisterRule::Offset(offset) => Rule::AtCfa(offset),
                RegisterRule::ValOffset(offset) => Rule::IsCfa(offset),
                RegisterRule::Register(other) => Rule::Register(other.0),
                _ => Rule::Expression,
            };
            (register.0, rule)
        })
        .collect();
    Cfi { cfa, registers, signal }
}

/// The unwind tables that a running program carries in its memory: `.eh_frame_hdr`, an index by address,
/// and `.eh_frame`, which it leads to (Linux Standard Base, Core, 10.6). 64-bit, little endian.
#[derive(Debug)]
pub struct EhFrame {
    /// Virtual address of `.eh_frame_hdr`, and its bytes; static programs have none, and the table is
    /// gone through.
    pub index: Option<(u64, Vec<u8>)>,
    /// Virtual address of `.eh_frame`, and its bytes: what lies behind it may follow.
    pub table: (u64, Vec<u8>),
}

impl EhFrame {
    /// Where `.eh_frame` begins, as the index at an address says.
    pub fn table_address(address: u64, index: &[u8]) -> Option<u64> {
        let bases = gimli::BaseAddresses::default().set_eh_frame_hdr(address);
        let index = gimli::EhFrameHdr::new(index, gimli::LittleEndian).parse(&bases, 8).ok()?;
        match index.eh_frame_ptr() {
            gimli::Pointer::Direct(address) => Some(address),
            gimli::Pointer::Indirect(_) => None,
        }
    }

    /// Where in some bytes `.eh_frame` begins: at the first description of functions that GCC and clang
    /// write for x86_64 (version 1, `zR`, factors 1 and -8, return address in register 16).
    pub fn find_table(bytes: &[u8]) -> Option<usize> {
        /// Length, and a zero in place of the distance to another description.
        const BEFORE: usize = 8;
        let marks: [&[u8]; 2] = [b"\x01zR\0\x01\x78\x10", b"\x01zPLR\0\x01\x78\x10"];
        let at = |at: usize| {
            let begins = marks.iter().any(|mark| bytes[at..].starts_with(mark));
            let start = at.checked_sub(BEFORE).filter(|_| begins)?;
            let length = u32::from_le_bytes(bytes.get(start..start + 4)?.try_into().ok()?);
            let sound = bytes[start + 4..at] == [0; 4] && (12..256).contains(&length);
            sound.then_some(start)
        };
        (BEFORE..bytes.len()).find_map(at)
    }

    /// The rules at an address of the program.
    pub fn cfi_at(&self, address: u64) -> Option<Cfi> {
        let find = gimli::EhFrame::cie_from_offset;
        let mut bases = gimli::BaseAddresses::default().set_eh_frame(self.table.0);
        let mut frame = gimli::EhFrame::new(&self.table.1, gimli::LittleEndian);
        frame.set_address_size(8);
        let entry = match &self.index {
            Some((at, index)) => {
                bases = bases.set_eh_frame_hdr(*at);
                let index = gimli::EhFrameHdr::new(index, gimli::LittleEndian);
                let index = index.parse(&bases, 8).ok()?;
                index.table()?.fde_for_address(&frame, &bases, address, find).ok()?
            }
            None => frame.fde_for_address(&bases, address, find).ok()?,
        };
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&frame, &bases, &mut context, address).ok()?;
        Some(rules(row, entry.is_signal_trampoline()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description and one function of 16 bytes at 0x1010, whose frame is 16 bytes.
    fn table() -> Vec<u8> {
        let mut bytes = vec![0xcc; 24];
        bytes.extend([20, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(b"\x01zR\0\x01\x78\x10\x01\x1b");
        bytes.extend([0x0c, 7, 8, 0x90, 1, 0, 0]);
        bytes.extend([20, 0, 0, 0, 28, 0, 0, 0]);
        // Relative to its own place, which is 24 + 24 + 8 = 56 from 0x1000.
        bytes.extend((0x1010i32 - (0x1000 + 56)).to_le_bytes());
        bytes.extend(16u32.to_le_bytes());
        bytes.extend([0, 0x0e, 16, 0, 0, 0, 0, 0]);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn a_static_program_s_table_is_found_and_gone_through() {
        let bytes = table();
        assert_eq!(EhFrame::find_table(&bytes), Some(24));
        let frame = EhFrame { index: None, table: (0x1018, bytes[24..].to_vec()) };
        let cfi = frame.cfi_at(0x1018).expect("rules");
        assert_eq!(
            (cfi.cfa, cfi.registers.as_slice()),
            (Some((7, 16)), &[(16, Rule::AtCfa(-8))][..])
        );
        assert_eq!(frame.cfi_at(0x1020), None);
        assert_eq!(EhFrame::find_table(&bytes[..30]), None);
    }
}
