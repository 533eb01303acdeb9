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
        Some(Cfi { cfa, registers, signal: entry.is_signal_trampoline() })
    }
}
