//! The values of origins in one frame.

use std::sync::Arc;

use necropsy_disasm::{effective_address, effects::Expression};
use necropsy_dump::Fault;
use necropsy_lexicon::reg::MAX_REGISTERS;

use super::{
    function::Function,
    state::{Origin, Place, State},
    transfer,
};
use crate::{
    Target,
    regs::{Reg, Regs},
};

/// How a value is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The code says it.
    Constant,
    /// A register of the frame holds it.
    Register(Reg),
    /// A slot of the frame, at this kernel virtual address, holds it.
    Stack(u64),
    /// Computed from such values.
    Computed,
    /// Computed from memory as it is in the dump; it may have been other when the code read it.
    Recomputed,
}

impl Certainty {
    /// Whether memory that others write was needed.
    pub fn is_loaded(self) -> bool {
        self == Certainty::Recomputed
    }

    /// Of something computed from two values.
    #[must_use]
    pub fn and(self, other: Certainty) -> Certainty {
        if self.is_loaded() || other.is_loaded() {
            Certainty::Recomputed
        } else if self == Certainty::Constant && other == Certainty::Constant {
            Certainty::Constant
        } else {
            Certainty::Computed
        }
    }
}

/// A value, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The value.
    pub value: u64,
    /// How it is known.
    pub certainty: Certainty,
}

/// Why a value is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The value that a register had when the function was entered is nowhere to be found.
    Entry(Reg),
    /// The function called at this address left it, and no register holds it any more.
    Call(u64),
    /// The paths that meet at this address brought different values.
    Merged(u64),
    /// It was computed in a loop, from values that went on changing.
    Loop(u64),
    /// The instruction at this address computes what is not modelled.
    Unmodelled(u64),
    /// The frame's place is not known.
    Frame,
    /// The base of this segment is not known.
    Segment(Reg),
    /// Memory that it was read from is not in the dump.
    Fault(Fault),
    /// It takes too many steps.
    TooDeep,
    /// Nothing is known of it.
    Unknown,
}

/// The longest chain of computations that is followed.
const MAX_DEPTH: u32 = 48;

/// The most computations for one value.
const MAX_WORK: u32 = 300;

/// One frame of a function: the state of its code, and the registers and memory to go with it.
pub struct Evaluator<'a> {
    /// The machine.
    pub target: &'a Target,
    /// The function.
    pub function: Arc<Function>,
    /// The instruction that control is at: interrupted, or a call that has not returned.
    pub at: u64,
    /// What is known of the places, at `at` or behind the call.
    pub state: State,
    /// The registers of the frame, as far as they are known.
    pub regs: Regs,
    /// The caller's stack pointer after the return.
    pub cfa: Option<u64>,
    /// Values of registers on entry that the caller tells.
    pub entry: [Option<Known>; MAX_REGISTERS],
    /// What the code adds to reach the per-CPU area, where a register is set aside for that.
    pub per_cpu: Option<u64>,
}

impl<'a> Evaluator<'a> {
    /// Of a frame. `None` if the function's analysis does not reach `pc`.
    pub fn new(
        target: &'a Target,
        function: Arc<Function>,
        pc: u64,
        interrupted: bool,
        regs: &Regs,
    ) -> Option<Evaluator<'a>> {
        let state = function.state_at(pc, interrupted)?;
        let at = if interrupted { pc } else { function.code().call_before(pc)?.0 };
        let below = state.stack_pointer();
        let cfa = regs.sp().zip(below).map(|(sp, below)| sp.wrapping_sub(below as u64));
        Some(Evaluator {
            target,
            function,
            at,
            state,
            regs: *regs,
            cfa,
            entry: [None; MAX_REGISTERS],
            per_cpu: None,
        })
    }

    /// The value that is in a register of the frame.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn register(&self, reg: Reg) -> Result<Known, Lost> {
        match self.regs.get(reg) {
            Some(value) => Ok(Known { value, certainty: Certainty::Register(reg) }),
            None => self.value(self.state.register(reg)),
        }
    }

    /// The value of an origin.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn value(&self, origin: Origin) -> Result<Known, Lost> {
        self.origin(origin, 0, &mut MAX_WORK.clone())
    }

    /// The value that an expression had in the instruction at `at`, which control passed on its
    /// way here.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn expression(&self, at: u64, value: &Expression) -> Result<Known, Lost> {
        let state = self.function.state_before(at).ok_or(Lost::Unknown)?;
        self.computed(at, &state, value, 0, &mut MAX_WORK.clone())
    }

    /// A register or slot of the frame that holds the value now.
    pub fn held(&self, origin: Origin) -> Option<Known> {
        let of_register = |reg: Reg| {
            let value = self.regs.get(reg)?;
            Some(Known { value, certainty: Certainty::Register(reg) })
        };
        let of_slot = |offset: i64| {
            let address = self.cfa?.checked_add_signed(offset)?;
            let value = self.target.read_pointer(address).ok()?;
            Some(Known { value, certainty: Certainty::Stack(address) })
        };
        let found = self.state.registers_with(origin).find_map(of_register);
        let found = found.or_else(|| self.state.slots_with(origin).find_map(of_slot));
        match origin {
            Origin::Entry { register, bytes: 4 } if found.is_none() => {
                let whole = self.held(Origin::Entry { register, bytes: 8 })?;
                Some(Known { value: whole.value & u64::from(u32::MAX), ..whole })
            }
            _ => found,
        }
    }

    fn origin(&self, origin: Origin, depth: u32, work: &mut u32) -> Result<Known, Lost> {
        *work = work.checked_sub(1).ok_or(Lost::TooDeep)?;
        if depth > MAX_DEPTH {
            return Err(Lost::TooDeep);
        }
        if let Some(held) = self.held(origin) {
            return Ok(held);
        }
        match origin {
            Origin::Constant(value) => Ok(Known { value, certainty: Certainty::Constant }),
            Origin::Frame(offset) => {
                let value = self.cfa.ok_or(Lost::Frame)?.wrapping_add_signed(offset);
                Ok(Known { value, certainty: Certainty::Computed })
            }
            Origin::Entry { register, bytes } => {
                let known = self.entry.get(register.number()).copied().flatten();
                let known = known.ok_or(Lost::Entry(register))?;
                let mask = if bytes == 4 { u64::from(u32::MAX) } else { u64::MAX };
                Ok(Known { value: known.value & mask, ..known })
            }
            Origin::Defined { at, register } => {
                let Some(value) = self.function.definition(at, register) else {
                    return Err(Lost::Call(at));
                };
                let state = self.function.state_before(at).ok_or(Lost::Unknown)?;
                self.computed(at, &state, value, depth + 1, work)
            }
            Origin::Merged { at, place: Place::Register(_) | Place::Slot(_) } => {
                Err(Lost::Merged(at))
            }
            Origin::Unknown => Err(Lost::Unknown),
        }
    }

    /// An expression of the instruction at `at`, whose state before it is `state`.
    fn computed(
        &self,
        at: u64,
        state: &State,
        value: &Expression,
        depth: u32,
        work: &mut u32,
    ) -> Result<Known, Lost> {
        let computed = |value, certainty| Ok(Known { value, certainty });
        if let Some(origin) = transfer::evaluate(state, value) {
            self.check_age(origin, at)?;
            return self.origin(origin, depth + 1, work);
        }
        match value {
            Expression::Constant(value) => computed(*value, Certainty::Constant),
            Expression::Register { register, bytes, signed } => {
                let known = self.register_at(at, state, *register, depth, work)?;
                computed(extend(known.value, *bytes, *signed), known.certainty)
            }
            Expression::Extend { value, bytes, signed } => {
                let known = self.computed(at, state, value, depth + 1, work)?;
                computed(extend(known.value, *bytes, *signed), known.certainty)
            }
            Expression::Binary(operation, left, right) => {
                let left = self.computed(at, state, left, depth + 1, work)?;
                let right = self.computed(at, state, right, depth + 1, work)?;
                let certainty = left.certainty.and(right.certainty);
                computed(operation.apply(left.value, right.value), certainty)
            }
            Expression::Address(memory) | Expression::Load { memory, .. } => {
                let mut certainty = Certainty::Constant;
                let mut lost = None;
                let mut regs = |reg: Reg| -> Option<u64> {
                    let known = if memory.segment == Some(reg) {
                        self.per_cpu
                            .filter(|_| state.abi().per_cpu_base == Some(reg))
                            .map(|value| Known { value, certainty: Certainty::Constant })
                            .ok_or(Lost::Segment(reg))
                    } else {
                        self.register_at(at, state, reg, depth, work)
                    };
                    match known {
                        Ok(known) => {
                            certainty = certainty.and(known.certainty);
                            Some(known.value)
                        }
                        Err(reason) => {
                            lost = Some(reason);
                            None
                        }
                    }
                };
                let address = effective_address(memory, &mut regs);
                let address = address.ok_or(lost.unwrap_or(Lost::Unknown))?;
                let Expression::Load { signed, .. } = value else {
                    return computed(address, certainty.and(Certainty::Constant));
                };
                let bytes = memory.size_bytes;
                let read = self.target.read_uint(address, bytes.into()).map_err(Lost::Fault)?;
                computed(extend(read, bytes.min(8) as u8, *signed), Certainty::Recomputed)
            }
            Expression::Unknown => Err(Lost::Unmodelled(at)),
        }
    }

    fn register_at(
        &self,
        at: u64,
        state: &State,
        reg: Reg,
        depth: u32,
        work: &mut u32,
    ) -> Result<Known, Lost> {
        let origin = state.register(reg);
        self.check_age(origin, at)?;
        self.origin(origin, depth + 1, work)
    }

    /// An origin names the latest of several values. That which the instruction at `at` used is
    /// the latest unless a new one may have come into being since.
    fn check_age(&self, origin: Origin, at: u64) -> Result<(), Lost> {
        let born = match origin {
            Origin::Defined { at, .. } | Origin::Merged { at, .. } => at,
            _ => return Ok(()),
        };
        let function = &self.function;
        // Control has come to `self.at` and not executed it, or not returned from it.
        let renewed = function.reaches(at, born, at)
            && (born == self.at || function.reaches(born, self.at, at));
        if renewed { Err(Lost::Loop(at)) } else { Ok(()) }
    }
}

/// The low bytes of a value, extended to 64 bits.
pub(crate) fn extend(value: u64, bytes: u8, signed: bool) -> u64 {
    if bytes == 0 || bytes >= 8 {
        return value;
    }
    let unused = 64 - u32::from(bytes) * 8;
    if signed { (((value << unused) as i64) >> unused) as u64 } else { value << unused >> unused }
}
