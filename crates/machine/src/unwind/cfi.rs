//! What debug information adds: the registers of callers, and a step where the kernel's own means
//! have none.

use necropsy_debuginfo::dwarf::{Cfi, Rule};

use super::{FoundBy, Frame};
use crate::{Target, debug};

/// Where a frame returns to by its rules.
struct Return {
    pc: u64,
    cfa: u64,
    /// Where the return address lies.
    slot: u64,
}

fn returns(target: &Target, cfi: &Cfi, frame: &Frame) -> Option<Return> {
    let abi = target.abi();
    let cfa = debug::cfa(abi, cfi, &frame.regs)?;
    if let Some(slot) = abi.return_slot(cfa) {
        return Some(Return { pc: target.read_pointer(slot).ok()?, cfa, slot });
    }
    let (link, number) = abi.link?;
    let rule = cfi.registers.iter().find(|(at, _)| *at == number).map(|(_, rule)| *rule);
    let (word, slot) = match rule {
        Some(Rule::AtCfa(offset)) => {
            let slot = cfa.wrapping_add_signed(offset);
            (target.read_pointer(slot).ok()?, slot)
        }
        // Still in the register, which whoever made a call has lost.
        None | Some(Rule::Same) if frame.interrupted => (frame.regs.get(link)?, frame.sp),
        _ => return None,
    };
    let pc = target.architecture().code_address(target.layout(), word);
    Some(Return { pc, cfa, slot })
}

/// The stack pointer of the caller.
fn stack_pointer(target: &Target, cfi: &Cfi, cfa: u64) -> Option<u64> {
    let abi = target.abi();
    let number = abi.dwarf_number(abi.stack_pointer);
    let rule = cfi.registers.iter().find(|(at, _)| Some(*at) == number).map(|(_, rule)| *rule);
    match rule {
        Some(Rule::AtCfa(offset)) => target.read_pointer(cfa.wrapping_add_signed(offset)).ok(),
        _ => Some(cfa),
    }
}

/// One step by the rules of debug information.
pub(super) fn step(target: &Target, frame: &Frame) -> Option<Frame> {
    let cfi = target.cfi(frame.lookup_pc())?;
    let Return { pc, cfa, slot } = returns(target, &cfi, frame)?;
    if !target.is_text(pc) {
        return None;
    }
    let sp = stack_pointer(target, &cfi, cfa)?;
    let mut next = Frame::returning(target.abi(), pc, sp, slot, FoundBy::Cfi);
    if target.abi().return_slot(cfa).is_none() {
        // Steps go on by the frame pointer.
        debug::restore(target, &cfi, cfa, &frame.regs, &mut next.regs);
    }
    Some(next)
}

/// Fills in the caller's registers that the function saved, or left alone. Only where the rules
/// agree with the step that was taken: they do not know of stack switches and exceptions.
pub(super) fn recover(target: &Target, frame: &Frame, next: &mut Frame) {
    let abi = target.abi();
    let pushes = abi.return_slot(next.sp);
    if next.interrupted || next.saved_regs || pushes.is_some_and(|slot| slot != next.slot) {
        return;
    }
    let Some(cfi) = target.cfi(frame.lookup_pc()) else { return };
    if pushes.is_some() {
        if debug::cfa(abi, &cfi, &frame.regs) == Some(next.sp) {
            debug::restore(target, &cfi, next.sp, &frame.regs, &mut next.regs);
        }
        return;
    }
    if let Some(found) = returns(target, &cfi, frame)
        && found.pc == next.pc
        && let Some(sp) = stack_pointer(target, &cfi, found.cfa)
    {
        debug::restore(target, &cfi, found.cfa, &frame.regs, &mut next.regs);
        next.sp = sp;
        next.regs.set(abi.stack_pointer, sp);
    }
}
