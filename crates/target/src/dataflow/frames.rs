//! What the analyses say about frames of a stack.

use necropsy_disasm::{Arch, decode};

use super::{
    PRESERVED,
    function::{beginning_at, function_of},
    state::{Origin, State},
    values::Evaluator,
};
use crate::{
    Target,
    regs::{Reg, Regs},
    unwind::Frame,
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

/// What a register held at a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The value.
    pub value: u64,
    /// The instruction that put it there, `mov    %rbx,%rdi at ffffffff81000000`, or that it was
    /// there already.
    pub how: String,
    /// Memory was read that may have changed since the call.
    pub loaded: bool,
}

/// Completes the registers of `next`, the frame that called the function of `frame`: what that
/// function saved comes from the stack, what it has not touched is still in its registers. Changes
/// nothing that is known already, and nothing at all unless the two are an ordinary call and the
/// analysis agrees with the unwinder on the place of the frame.
pub fn recover(target: &Target, frame: &Frame, next: &mut Frame) {
    let ordinary = !next.saved_regs && !next.interrupted && frame.stack == next.stack;
    let missing = PRESERVED.iter().any(|reg| next.regs.get(*reg).is_none());
    if !ordinary || !missing || next.slot.checked_add(8) != Some(next.sp) {
        return;
    }
    let Some(function) = function_of(target, frame.lookup_pc()) else { return };
    let Some(state) = function.state_at(frame.pc, frame.interrupted) else { return };
    let cfa = state.stack_pointer().map(|below| frame.sp.wrapping_sub(below as u64));
    if cfa != Some(next.sp) {
        return;
    }
    for reg in PRESERVED {
        if next.regs.get(reg).is_none() {
            next.regs.put(reg, preserved(target, &state, frame, next.sp, reg));
        }
    }
}

/// The value that the caller had in `reg`.
fn preserved(target: &Target, state: &State, frame: &Frame, cfa: u64, reg: Reg) -> Option<u64> {
    let origin = Origin::Entry { register: reg, bytes: 8 };
    let on_stack = state
        .slots_with(origin)
        .find_map(|offset| target.read_u64(cfa.checked_add_signed(offset)?).ok());
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
    let preserved = state.registers_with(origin).find(|reg| PRESERVED.contains(reg));
    preserved
        .or_else(|| state.registers_with(origin).next())
        .map(Holder::Register)
        .or_else(|| state.slots_with(origin).next().map(Holder::Stack))
}

/// What `reg` held at the call that returns to `return_pc` in `caller` (its first address and its
/// end), given the registers that the caller has after the call and, if it is known, the caller's
/// own CFA.
pub fn argument_at_call(
    target: &Target,
    caller: (u64, u64),
    return_pc: u64,
    caller_regs: &Regs,
    cfa: Option<u64>,
    reg: Reg,
) -> Option<Argument> {
    let function = beginning_at(target, caller.0)?;
    let (call, _) = function.code().call_before(return_pc)?;
    let mut evaluator = Evaluator::new(target, function.clone(), return_pc, false, caller_regs)?;
    evaluator.cfa = evaluator.cfa.or(cfa);
    let origin = function.state_before(call)?.register(reg);
    let known = evaluator.value(origin).ok()?;
    let how = match function.writer_before(call, reg) {
        Some(at) => written_by(target, at)?,
        None => format!("in %{} on the way to {call:x}", reg.name()),
    };
    Some(Argument { value: known.value, how, loaded: known.certainty.is_loaded() })
}

/// An instruction as objdump prints it, with its address.
fn written_by(target: &Target, at: u64) -> Option<String> {
    let mut bytes = [0; 15];
    // The last instruction before a hole is shorter.
    let len = (1..=15).rev().find(|len| target.read(at, &mut bytes[..*len]).is_ok())?;
    let insn = decode(Arch::X86_64, &bytes[..len], at)?;
    Some(format!("{} at {at:x}", insn.text(&|_| None)))
}
