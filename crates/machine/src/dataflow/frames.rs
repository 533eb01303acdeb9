//! What the analyses say about frames of a stack.

use super::{
    function::{beginning_at, function_of},
    state::{Origin, State},
};
use crate::{
    Target,
    regs::Reg,
    stack::{FoundBy, Frame},
};

/// Where the value lies that a register had when its function was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// In a register.
    Register(Reg),
    /// On the stack, so many bytes from the CFA, which is the stack pointer that the caller has
    /// after the return.
    Stack(i64),
}

/// Completes the registers of `next`, the frame that called the function of `frame`: what that
/// function saved comes from the stack, what it has not touched is still in its registers. Changes
/// nothing that is known already, and nothing at all unless the two are an ordinary call and the
/// analysis agrees with the unwinder on the place of the frame.
pub fn recover(target: &Target, frame: &Frame, next: &mut Frame) {
    let ordinary = !next.saved_regs && !next.interrupted && frame.stack == next.stack;
    let abi = target.abi();
    let missing = abi.preserved.iter().any(|reg| next.regs.get(*reg).is_none());
    let pushes = abi.return_slot(next.sp);
    if !ordinary || !missing || pushes.is_some_and(|slot| slot != next.slot) {
        return;
    }
    let Some(function) = function_of(target, frame.lookup_pc()) else { return };
    let Some(state) = function.state_at(frame.pc, frame.interrupted) else { return };
    let cfa = state.stack_pointer().map(|below| frame.sp.wrapping_sub(below as u64));
    match (cfa, pushes) {
        (Some(cfa), Some(_)) if cfa == next.sp => {}
        // The stack pointer of the caller is known from here on: what was saved of the register
        // that calls leave the return address in lies where the unwinder found that.
        (Some(cfa), None) if returns_by(&state, abi.link, cfa, next) => {
            next.sp = cfa;
            next.regs.set(abi.stack_pointer, cfa);
        }
        _ => return,
    }
    for reg in abi.preserved.iter().copied() {
        if next.regs.get(reg).is_none() {
            next.regs.put(reg, preserved(target, &state, frame, next.sp, reg));
        }
    }
}

/// Whether the return address was saved where the unwinder found it, or lies in its register still.
fn returns_by(state: &State, link: Option<(Reg, u16)>, cfa: u64, next: &Frame) -> bool {
    let Some((link, _)) = link else { return false };
    let origin = Origin::Entry { register: link, bytes: 8 };
    let saved = state.slots_with(origin).any(|at| cfa.checked_add_signed(at) == Some(next.slot));
    saved || next.found_by == FoundBy::Link && state.register(link) == origin
}

/// The value that the caller had in `reg`.
fn preserved(target: &Target, state: &State, frame: &Frame, cfa: u64, reg: Reg) -> Option<u64> {
    let origin = Origin::Entry { register: reg, bytes: 8 };
    let on_stack = state
        .slots_with(origin)
        .find_map(|offset| target.read_pointer(cfa.checked_add_signed(offset)?).ok());
    on_stack.or_else(|| state.registers_with(origin).find_map(|reg| frame.regs.get(reg)))
}

/// Where, in a frame of `function` (its first address and its end) at `pc`, the value still is
/// that `reg` had on entry. `interrupted`: `pc` is an instruction that has not been executed, not
/// where a call returns to. `None` if it is proved to be nowhere.
pub fn entry_value_holder(
    target: &Target,
    function: (u64, u64),
    pc: u64,
    interrupted: bool,
    reg: Reg,
) -> Option<Holder> {
    let state = beginning_at(target, function.0)?.state_at(pc, interrupted)?;
    holder(&state, reg)
}

/// Registers first, and of those the ones that outlive a call.
pub(super) fn holder(state: &State, reg: Reg) -> Option<Holder> {
    let origin = Origin::Entry { register: reg, bytes: 8 };
    let preserved = state.registers_with(origin).find(|reg| state.abi().is_preserved(*reg));
    preserved
        .or_else(|| state.registers_with(origin).next())
        .map(Holder::Register)
        .or_else(|| state.slots_with(origin).next().map(Holder::Stack))
}
