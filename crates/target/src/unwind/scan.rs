//! Fallbacks: the frame pointer, and the search for return addresses.

use super::{FoundBy, Frame, Stack};
use crate::{
    Target,
    regs::{Reg, Regs},
};

fn frame(pc: u64, slot: u64, bp: Option<u64>, found_by: FoundBy) -> Frame {
    let mut regs = Regs::new();
    regs.set(Reg::Rip, pc);
    regs.set(Reg::Rsp, slot + 8);
    regs.put(Reg::Rbp, bp);
    Frame {
        pc,
        sp: slot + 8,
        slot,
        found_by,
        interrupted: false,
        regs,
        saved_regs: false,
        stack: None,
    }
}

/// The caller by the frame pointer: `[bp]` is the caller's bp, `[bp + 8]` the return address.
pub(super) fn frame_pointer(target: &Target, at: &Frame, stack: Option<&Stack>) -> Option<Frame> {
    let stack = stack?;
    let bp = at.regs.get(Reg::Rbp)?;
    if bp % 8 != 0 || bp < at.sp || bp > stack.end.saturating_sub(16) {
        return None;
    }
    let next = target.read_u64(bp).ok()?;
    let pc = target.read_u64(bp + 8).ok()?;
    (follows_call(target, pc)).then(|| frame(pc, bp + 8, Some(next), FoundBy::FramePointer))
}

/// The first word above `sp` that a direct call of the function at hand would have left. Few
/// functions lack unwind information (`STACK_FRAME_NON_STANDARD`: `__crash_kexec` is one), and
/// this finds their callers for certain.
pub(super) fn called_from(target: &Target, at: &Frame, stack: Option<&Stack>) -> Option<Frame> {
    let stack = stack?;
    let function = target.locate(at.lookup_pc())?.symbol.address;
    slots(at, stack).find_map(|slot| {
        let word = target.read_u64(slot).ok()?;
        (direct_call(target, word) == Some(function))
            .then(|| frame(word, slot, None, FoundBy::Call))
    })
}

/// The words of the stack above the stack pointer.
fn slots(at: &Frame, stack: &Stack) -> impl Iterator<Item = u64> {
    let first = at.sp.max(stack.start).checked_next_multiple_of(8).unwrap_or(u64::MAX);
    (first..stack.end.saturating_sub(7)).step_by(8)
}

/// Where the `call rel32` before `pc` leads, if there is one.
fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let [opcode, a, b, c, d] = target.read_array::<5>(pc.wrapping_sub(5)).ok()?;
    let offset = i32::from_le_bytes([a, b, c, d]);
    (opcode == 0xe8).then(|| pc.wrapping_add_signed(offset.into()))
}

/// The next word above `sp` that follows a call instruction.
pub(super) fn scan(target: &Target, at: &Frame, stack: Option<&Stack>) -> Option<Frame> {
    let stack = stack?;
    slots(at, stack).find_map(|slot| {
        let word = target.read_u64(slot).ok()?;
        follows_call(target, word).then(|| frame(word, slot, None, FoundBy::Scan))
    })
}

/// Whether the instruction before `pc` could be a call: `e8 rel32`, or `ff /2` in its
/// lengths.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    if !target.is_text(pc) {
        return false;
    }
    let Ok(before) = target.read_array::<7>(pc.wrapping_sub(7)) else { return false };
    let indirect = |at: usize| before[at] == 0xff && before[at + 1] & 0x38 == 0x10;
    before[2] == 0xe8 || [0, 1, 3, 4, 5].into_iter().any(indirect)
}
