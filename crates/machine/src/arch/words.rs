//! What several architectures share: registers that are saved as words, one after the other.

use necropsy_dump::PrStatus;
use necropsy_lexicon::Reg;

use super::Abi;
use crate::regs::Regs;

/// A word of `size` bytes (4 or 8) at `at`.
pub(super) fn word(bytes: &[u8], at: usize, size: usize, big_endian: bool) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(size)?)?;
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Some(match big_endian {
        true => field.iter().fold(0, fold),
        false => field.iter().rev().fold(0, fold),
    })
}

/// Registers that lie one after the other, each of `size` bytes.
pub(super) fn registers(
    bytes: &[u8],
    order: &[Reg],
    size: usize,
    big_endian: bool,
) -> Option<Regs> {
    let mut regs = Regs::new();
    for (index, reg) in order.iter().enumerate() {
        regs.set(*reg, word(bytes, index * size, size, big_endian)?);
    }
    Some(regs)
}

/// The registers of a note by their names.
pub(super) fn of_note(abi: &Abi, note: &PrStatus) -> Option<Regs> {
    let mut regs = Regs::new();
    for reg in Reg::all(abi.arch) {
        regs.put(reg, note.reg(reg.name()));
    }
    regs.get(abi.program_counter).is_some().then_some(regs)
}
