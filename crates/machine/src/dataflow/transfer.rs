//! What an instruction does to what is known.

use necropsy_disasm::{
    Flow, MemoryOperand,
    effects::{Assignment, Expression, Operation},
};

use super::{
    code::Insn,
    state::{Origin, Slot, State},
};
use crate::regs::Reg;

/// The state behind the instruction at `at`.
pub(super) fn step(state: &mut State, at: u64, insn: &Insn) {
    if insn.effects.flow == Flow::Call {
        if !insn.traced {
            call(state, at);
        }
        return;
    }
    // All of it speaks of the state before the instruction.
    let changes: Vec<Change> = insn
        .effects
        .assignments
        .iter()
        .map(|assignment| match assignment {
            Assignment::Register { register, value } => {
                let reg = *register;
                let origin = evaluate(state, value);
                let escapes = origin.is_none() && uses_frame(state, value);
                let origin = origin.unwrap_or(Origin::Defined { at, register: reg });
                Change::Register { reg, origin, escapes }
            }
            Assignment::Memory { memory, value } => stored(state, memory, value),
        })
        .collect();
    state.forget_defined_by(at);
    for change in changes {
        apply(state, change);
    }
}

/// What an assignment changes.
enum Change {
    Register {
        reg: Reg,
        origin: Origin,
        /// An address in the frame went into a value that is not followed.
        escapes: bool,
    },
    /// Of one place in the frame.
    Slot { offset: i64, bytes: u32, content: Option<Slot>, escapes: bool },
    /// Of memory elsewhere, or somewhere in the frame.
    Memory { escapes: bool, in_frame: bool },
}

fn apply(state: &mut State, change: Change) {
    match change {
        Change::Register { reg, origin, escapes } => {
            state.escaped |= escapes;
            state.set(reg, origin);
        }
        Change::Slot { offset, bytes, content, escapes } => {
            state.escaped |= escapes;
            if bytes == 0 {
                // Any number of them.
                state.forget_exposed();
            } else {
                state.store(offset, bytes, content);
            }
        }
        Change::Memory { escapes, in_frame } => {
            state.escaped |= escapes;
            if state.escaped || in_frame {
                state.forget_exposed();
            }
        }
    }
}

fn call(state: &mut State, at: u64) {
    let frame = |origin: Origin| matches!(origin, Origin::Frame(_));
    let abi = state.abi();
    state.escaped |= abi.scratch().any(|reg| frame(state.register(reg)));
    let stored = state.slots().any(|(_, slot)| frame(slot.origin));
    state.escaped |= stored;
    state.forget_pushed();
    if state.escaped {
        state.forget_exposed();
    }
    state.forget_defined_by(at);
    for register in abi.scratch() {
        state.set(register, Origin::Defined { at, register });
    }
}

fn stored(state: &State, memory: &MemoryOperand, value: &Expression) -> Change {
    let origin = evaluate(state, value);
    let stores_frame = match origin {
        Some(origin) => matches!(origin, Origin::Frame(_)),
        None => uses_frame(state, value),
    };
    let Some(offset) = frame_offset(state, memory) else {
        return Change::Memory { escapes: stores_frame, in_frame: touches_frame(state, memory) };
    };
    let bytes = memory.size_bytes;
    let content = match (origin, bytes) {
        (Some(origin), 8) => Some(origin),
        (Some(origin), 4) => low_half(origin),
        _ => None,
    };
    let abi = state.abi();
    let pushed =
        memory.base == Some(abi.stack_pointer) && memory.displacement == -abi.pushed as u64;
    let content = content.map(|origin| Slot { bytes: bytes as u8, origin, pushed });
    // An address of the frame in a slot that we follow is still ours; elsewhere it is out.
    Change::Slot { offset, bytes, escapes: stores_frame && content.is_none(), content }
}

/// The origin of a value that is no new one.
pub(super) fn evaluate(state: &State, value: &Expression) -> Option<Origin> {
    match value {
        Expression::Constant(constant) => Some(Origin::Constant(*constant)),
        Expression::Register { register, bytes, signed } => {
            let origin = state.register(*register);
            match (bytes, signed, origin) {
                (_, _, Origin::Unknown) => None,
                (8, _, origin) => Some(origin),
                (4, false, origin) => low_half(origin),
                _ => None,
            }
        }
        Expression::Address(memory) => match frame_offset(state, memory) {
            Some(offset) => Some(Origin::Frame(offset)),
            None => {
                let fixed = memory.base.is_none()
                    && memory.index.is_none()
                    && memory.segment.is_none()
                    && memory.address_bytes == 8;
                fixed.then_some(Origin::Constant(memory.displacement))
            }
        },
        Expression::Load { memory, signed: false } => {
            let offset = frame_offset(state, memory)?;
            state.slot(offset, u8::try_from(memory.size_bytes).ok()?)
        }
        Expression::Binary(operation, left, right) => {
            let (left, right) = (evaluate(state, left)?, evaluate(state, right)?);
            match (operation, left, right) {
                (_, Origin::Constant(left), Origin::Constant(right)) => {
                    Some(Origin::Constant(operation.apply(left, right)))
                }
                (Operation::Add, Origin::Frame(offset), Origin::Constant(amount)) => {
                    Some(Origin::Frame(offset.checked_add(amount as i64)?))
                }
                (Operation::Subtract, Origin::Frame(offset), Origin::Constant(amount)) => {
                    Some(Origin::Frame(offset.checked_sub(amount as i64)?))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The low half of a value, as far as that is no new value.
fn low_half(origin: Origin) -> Option<Origin> {
    match origin {
        Origin::Entry { register, .. } => Some(Origin::Entry { register, bytes: 4 }),
        Origin::Constant(constant) => Some(Origin::Constant(constant & u64::from(u32::MAX))),
        _ => None,
    }
}

/// Where in the frame an operand lies, if that is one fixed place.
pub(super) fn frame_offset(state: &State, memory: &MemoryOperand) -> Option<i64> {
    if memory.index.is_some() || memory.segment.is_some() || memory.address_bytes != 8 {
        return None;
    }
    match state.register(memory.base?) {
        Origin::Frame(offset) => offset.checked_add(memory.displacement as i64),
        _ => None,
    }
}

/// Whether an operand lies somewhere in the frame.
fn touches_frame(state: &State, memory: &MemoryOperand) -> bool {
    let frame =
        |reg: Option<Reg>| reg.is_some_and(|reg| matches!(state.register(reg), Origin::Frame(_)));
    frame(memory.base) || frame(memory.index)
}

/// Whether the value is made of an address in the frame: what we can then not follow may point
/// there. What is loaded from there is no address of it.
fn uses_frame(state: &State, value: &Expression) -> bool {
    let mut found = false;
    value.visit(&mut |part| {
        found |= match part {
            Expression::Register { register, .. } => {
                matches!(state.register(*register), Origin::Frame(_))
            }
            Expression::Address(memory) => touches_frame(state, memory),
            _ => false,
        };
    });
    found
}
