//! Values that debug information calls lost, found by following the code: an argument that is still
//! in the register it came in, or was saved on the stack; what the caller had put there; what a
//! function that is gone by a jump had passed on.

use necropsy_debuginfo::{
    Type, TypeId, Types,
    dwarf::{Frame as _, Local},
};

use super::{Entered, StackFrame};
use crate::{
    Abi,
    dataflow::{
        Certainty, Evaluator, Holder, Known, Lost, Origin, entry_value_holder, function_of,
        is_cold, retpoline_register,
    },
    regs::Reg,
};

/// A value that was found by following the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inferred {
    pub(super) value: u64,
    /// Where it was found, for a person to check.
    pub(super) how: String,
    certainty: Certainty,
}

impl Inferred {
    fn new(known: Known, how: String) -> Self {
        let again = if known.certainty.is_loaded() { ", read again from memory" } else { "" };
        let Known { value, certainty } = known;
        Inferred { value, how: format!("{how}{again}"), certainty }
    }
}

impl From<Inferred> for Known {
    fn from(found: Inferred) -> Known {
        Known { value: found.value, certainty: found.certainty }
    }
}

/// Arguments of one function whose values on entry are asked for to have another's.
const MAX_ENTRIES: usize = 6;

/// The register that each variable came in, if it is an argument that came in one: integers and
/// pointers do, as long as none before was passed in another way.
pub(super) fn argument_registers(
    abi: &Abi,
    types: &Types,
    locals: &[Local],
    function: Option<TypeId>,
) -> Vec<Option<Reg>> {
    // A large result goes where the caller says, in a register before all arguments.
    let hidden = match function.map(|function| types.resolve(function)) {
        Some(Type::Function { result, .. }) => {
            types.as_composite(*result).is_some_and(|result| result.size > 16)
        }
        _ => true,
    };
    let mut plain = !hidden;
    let mut register = |local: &Local| {
        let position = local.position.filter(|_| local.argument)?;
        plain &= matches!(
            types.resolve(local.ty),
            Type::Int { size: ..=8, .. } | Type::Pointer(_) | Type::Enum { .. }
        );
        abi.arguments.get(position).copied().filter(|_| plain)
    };
    locals.iter().map(&mut register).collect()
}

/// What a register held when a frame's function was entered.
pub(super) fn entry(frame: &StackFrame<'_>, reg: Reg) -> Option<Inferred> {
    still_there(frame, reg).or_else(|| {
        let entered = frame.entered()?;
        match entered.jump() {
            None => at_call(&entered.caller, reg),
            Some(behind) => at_jump(&entered, behind, reg),
        }
    })
}

/// In the frame itself.
fn still_there(frame: &StackFrame<'_>, reg: Reg) -> Option<Inferred> {
    let this = frame.frame()?;
    // A part that was moved away does not begin where the function is entered.
    let located = frame.target.locate(this.lookup_pc()).filter(|l| !is_cold(l.symbol.name))?;
    let start = located.symbol.address;
    let function = (start, start.saturating_add(located.symbol.size));
    match entry_value_holder(frame.target, function, this.pc, this.interrupted, reg)? {
        Holder::Register(held) => {
            let value = this.regs.get(held)?;
            let how = format!("passed in %{}, kept in %{}", reg.name(), held.name());
            Some(Inferred::new(Known { value, certainty: Certainty::Register(held) }, how))
        }
        Holder::Stack(offset) => {
            let address = frame.cfa()?.checked_add_signed(offset)?;
            let value = frame.target.read_u64(address).ok()?;
            let how = format!("passed in %{}, saved at {address:x}", reg.name());
            Some(Inferred::new(Known { value, certainty: Certainty::Stack(address) }, how))
        }
    }
}

/// At the call that a frame's caller made, which is where control is in that frame.
pub(super) fn at_call(caller: &StackFrame<'_>, reg: Reg) -> Option<Inferred> {
    let this = caller.frame()?;
    let function = function_of(caller.target, this.lookup_pc())?;
    let (call, _) = function.code().call_before(this.pc)?;
    let mut evaluator =
        Evaluator::new(caller.target, function.clone(), this.pc, false, &this.regs)?;
    evaluator.cfa = evaluator.cfa.or_else(|| caller.cfa());
    let before = function.state_before(call)?;
    let origin = before.register(reg);
    // What the function saved where the called one may have changed it is worth reading again.
    let cfa = evaluator.cfa;
    let saved = |reg| {
        let offset = before.slots_with(Origin::Entry { register: reg, bytes: 8 }).next()?;
        let value = caller.target.read_u64(cfa?.checked_add_signed(offset)?).ok()?;
        Some(Known { value, certainty: Certainty::Recomputed })
    };
    let entry = |reg| on_entry(caller, reg).or_else(|| saved(reg));
    let known = solve(&mut evaluator, entry, |e| e.value(origin))?;
    let from = match function.writer_before(call, reg) {
        Some(at) => format!("%{} set at {at:x}", reg.name()),
        None => format!("%{} at the call {call:x}", reg.name()),
    };
    Some(Inferred::new(known, from))
}

/// At the jump by which a function that is gone went on to the frame's.
fn at_jump(entered: &Entered<'_>, behind: u64, reg: Reg) -> Option<Inferred> {
    let target = entered.caller.target;
    let function = function_of(target, behind.wrapping_sub(1))?;
    let mut instructions = function.code().instructions.range(..behind);
    let (&jump, _) = instructions.next_back().filter(|(_, insn)| insn.end == behind)?;
    // What it had saved it had given back; the return address lay on top of the stack.
    let caller = entered.caller.frame()?;
    let mut regs = caller.regs;
    let abi = target.abi();
    regs.set(abi.stack_pointer, caller.sp.checked_add_signed(-abi.pushed)?);
    regs.put(abi.program_counter, None);
    let mut evaluator = Evaluator::new(target, function.clone(), jump, true, &regs)?;
    // Its frame has been used again since.
    evaluator.cfa = None;
    let origin = function.state_before(jump)?.register(reg);
    let entry = |reg| at_call(&entered.caller, reg).map(Known::from);
    let known = solve(&mut evaluator, entry, |e| e.value(origin))?;
    let from = format!("%{} at the jump {jump:x}", reg.name());
    Some(Inferred::new(known, from))
}

/// Where the call leads at which control is in a frame.
pub(super) fn call_target(caller: &StackFrame<'_>) -> Option<u64> {
    let this = caller.frame()?;
    let function = function_of(caller.target, this.lookup_pc())?;
    let (call, insn) = function.code().call_before(this.pc)?;
    let mut evaluator =
        Evaluator::new(caller.target, function.clone(), this.pc, false, &this.regs)?;
    evaluator.cfa = evaluator.cfa.or_else(|| caller.cfa());
    let entry = |reg| on_entry(caller, reg);
    if let Some(expression) = &insn.effects.indirect {
        return Some(solve(&mut evaluator, entry, |e| e.expression(call, expression))?.value);
    }
    let target = insn.effects.target?;
    let Some(reg) = retpoline_register(caller.target, target) else { return Some(target) };
    let origin = function.state_before(call)?.register(reg);
    Some(solve(&mut evaluator, entry, |e| e.value(origin))?.value)
}

/// What a register held when a frame's function was entered: as debug information tells, else as
/// the code does.
fn on_entry(frame: &StackFrame<'_>, reg: Reg) -> Option<Known> {
    let told = frame.target.abi().dwarf_number(reg).and_then(|number| frame.entry_register(number));
    let told = told.map(|value| Known { value, certainty: Certainty::Computed });
    told.or_else(|| entry(frame, reg).map(Known::from))
}

/// Evaluates, and asks for the values on entry that it takes.
fn solve(
    evaluator: &mut Evaluator<'_>,
    entry: impl Fn(Reg) -> Option<Known>,
    evaluate: impl Fn(&Evaluator<'_>) -> Result<Known, Lost>,
) -> Option<Known> {
    for _ in 0..=MAX_ENTRIES {
        match evaluate(evaluator) {
            Ok(known) => return Some(known),
            Err(Lost::Entry(reg)) => {
                let slot = evaluator.entry.get_mut(reg.number())?;
                if slot.is_some() {
                    return None;
                }
                *slot = Some(entry(reg)?);
            }
            Err(_) => return None,
        }
    }
    None
}
