//! What debug information adds: the registers of callers, and a step where ORC has none.

use super::{FoundBy, Frame};
use crate::{
    Target, debug,
    regs::{Reg, Regs},
};

/// One step by the rules of debug information.
pub(super) fn step(target: &Target, frame: &Frame) -> Option<Frame> {
    let cfi = target.cfi(frame.lookup_pc())?;
    let cfa = debug::cfa(&cfi, &frame.regs)?;
    let slot = cfa.checked_sub(8)?;
    let pc = target.read_u64(slot).ok()?;
    if !target.is_text(pc) {
        return None;
    }
    let mut regs = Regs::new();
    regs.set(Reg::Rip, pc);
    regs.set(Reg::Rsp, cfa);
    Some(Frame {
        pc,
        sp: cfa,
        slot,
        found_by: FoundBy::Cfi,
        interrupted: false,
        regs,
        saved_regs: false,
        stack: None,
    })
}

/// Fills in the caller's registers that the function saved, or left alone. Only where the rules
/// agree with the step that was taken: they do not know of stack switches and exceptions.
pub(super) fn recover(target: &Target, frame: &Frame, next: &mut Frame) {
    if next.interrupted || next.saved_regs || next.slot.wrapping_add(8) != next.sp {
        return;
    }
    let Some(cfi) = target.cfi(frame.lookup_pc()) else { return };
    if debug::cfa(&cfi, &frame.regs) == Some(next.sp) {
        debug::restore(target, &cfi, next.sp, &frame.regs, &mut next.regs);
    }
}
