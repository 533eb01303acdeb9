//! What is known before an instruction.

use std::collections::BTreeMap;

use crate::{Abi, regs::Reg};

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A general register, by its number.
    Register(u8),
    /// The frame, so many bytes from the stack pointer that the caller has after the return (the
    /// CFA).
    Slot(i64),
}

/// Where a value comes from. Places with equal origins hold equal values, [`Origin::Unknown`]
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// What a register held when the function was entered.
    Entry {
        /// Which.
        register: Reg,
        /// 8, or 4: its low half, extended by zeros.
        bytes: u8,
    },
    /// An address in the frame, so many bytes from the CFA.
    Frame(i64),
    /// A constant.
    Constant(u64),
    /// What the instruction at an address put into a register, at its latest execution.
    Defined {
        /// Address of the instruction.
        at: u64,
        /// The register that it wrote.
        register: Reg,
    },
    /// One of several, by the path on which control came to an address.
    Merged {
        /// Address where the paths meet.
        at: u64,
        /// Where the value lay then.
        place: Place,
    },
    /// Anything.
    Unknown,
}

/// A part of the frame with a known origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// 8 or 4.
    pub bytes: u8,
    /// What was stored there; of 4 bytes the zero-extended value.
    pub origin: Origin,
    /// A push put it there: of the outgoing arguments of a call, maybe.
    pub pushed: bool,
}

/// As many general registers as any architecture whose instructions are followed has; their
/// numbers are less.
const GENERAL: usize = 32;

/// Every register's and slot's origin.
#[derive(Debug, Clone)]
pub struct State {
    abi: &'static Abi,
    registers: [Origin; GENERAL],
    slots: BTreeMap<i64, Slot>,
    /// Someone else may know an address in the frame.
    pub(super) escaped: bool,
}

/// The most slots that are followed: a few functions (ciphers) have more.
const MAX_SLOTS: usize = 128;

impl State {
    /// On entry to a function.
    pub(super) fn entry(abi: &'static Abi) -> State {
        let mut registers = [Origin::Unknown; GENERAL];
        for reg in abi.general {
            if let Some(origin) = registers.get_mut(reg.number()) {
                *origin = Origin::Entry { register: *reg, bytes: 8 };
            }
        }
        if let Some(origin) = registers.get_mut(abi.stack_pointer.number()) {
            *origin = Origin::Frame(-abi.pushed);
        }
        State { abi, registers, slots: BTreeMap::new(), escaped: false }
    }

    /// The calling convention that the function keeps to.
    pub fn abi(&self) -> &'static Abi {
        self.abi
    }

    /// The origin of a register's value.
    pub fn register(&self, reg: Reg) -> Origin {
        self.registers.get(reg.number()).copied().unwrap_or(Origin::Unknown)
    }

    /// The slots with a known origin, by offset from the CFA.
    pub fn slots(&self) -> impl Iterator<Item = (i64, Slot)> + '_ {
        self.slots.iter().map(|(offset, slot)| (*offset, *slot))
    }

    /// The slot of exactly `bytes` bytes at an offset from the CFA.
    pub fn slot(&self, offset: i64, bytes: u8) -> Option<Origin> {
        self.slots.get(&offset).filter(|slot| slot.bytes == bytes).map(|slot| slot.origin)
    }

    /// The offset of the stack pointer from the CFA.
    pub fn stack_pointer(&self) -> Option<i64> {
        match self.register(self.abi.stack_pointer) {
            Origin::Frame(offset) => Some(offset),
            _ => None,
        }
    }

    /// The registers that hold a value of this origin.
    pub fn registers_with(&self, origin: Origin) -> impl Iterator<Item = Reg> + '_ {
        let known = origin != Origin::Unknown;
        self.abi.general.iter().copied().filter(move |reg| known && self.register(*reg) == origin)
    }

    /// The 8-byte slots that hold a value of this origin.
    pub fn slots_with(&self, origin: Origin) -> impl Iterator<Item = i64> + '_ {
        let known = origin != Origin::Unknown;
        self.slots()
            .filter(move |(_, slot)| known && slot.bytes == 8 && slot.origin == origin)
            .map(|(offset, _)| offset)
    }

    pub(super) fn set(&mut self, reg: Reg, origin: Origin) {
        if let Some(register) = self.registers.get_mut(reg.number()) {
            *register = origin;
        }
        if reg == self.abi.stack_pointer {
            match origin {
                // What lies below the stack pointer is anybody's: interrupts write there.
                Origin::Frame(bottom) => self.slots.retain(|offset, _| *offset >= bottom),
                _ => self.slots.clear(),
            }
        }
    }

    /// Notes a store of `bytes` bytes into the frame.
    pub(super) fn store(&mut self, offset: i64, bytes: u32, content: Option<Slot>) {
        let end = offset.saturating_add(bytes.into());
        self.slots.retain(|at, slot| *at >= end || at.saturating_add(slot.bytes.into()) <= offset);
        if let Some(slot) = content
            && slot.origin != Origin::Unknown
            && self.slots.len() < MAX_SLOTS
        {
            self.slots.insert(offset, slot);
        }
    }

    /// Somebody may have written to whatever part of the frame has an address in C. What a function
    /// saved of its caller's registers has none.
    pub(super) fn forget_exposed(&mut self) {
        let abi = self.abi;
        self.slots.retain(|_, slot| is_saved(abi, slot.origin));
    }

    /// As [`State::forget_exposed`], of what was pushed: the function called owns its arguments.
    pub(super) fn forget_pushed(&mut self) {
        let abi = self.abi;
        self.slots.retain(|_, slot| !slot.pushed || is_saved(abi, slot.origin));
    }

    /// Forgets the values that earlier executions of the instruction at `at` computed, and sees
    /// that no one takes them for those of this one.
    pub(super) fn forget_defined_by(&mut self, at: u64) {
        let by = |origin: &Origin| matches!(origin, Origin::Defined { at: by, .. } if *by == at);
        for origin in self.registers.iter_mut().filter(|origin| by(origin)) {
            *origin = Origin::Unknown;
        }
        self.slots.retain(|_, slot| !by(&slot.origin));
    }

    /// Lets `other` join at the instruction at `at`. Whether anything changed.
    pub(super) fn join(&mut self, other: &State, at: u64) -> bool {
        let mut changed = false;
        if other.escaped && !self.escaped {
            self.escaped = true;
            changed = true;
        }
        for number in 0..self.abi.general.len().min(GENERAL) as u8 {
            let (mine, theirs) =
                (self.registers[number as usize], other.registers[number as usize]);
            let joined = self.merge(mine, theirs, at, Place::Register(number), &mut changed);
            self.registers[number as usize] = joined;
        }
        for (offset, slot) in self.slots.clone() {
            let theirs = other.slots.get(&offset).filter(|theirs| theirs.bytes == slot.bytes);
            let Some(theirs) = theirs else {
                self.slots.remove(&offset);
                changed = true;
                continue;
            };
            let place = Place::Slot(offset);
            let origin = self.merge(slot.origin, theirs.origin, at, place, &mut changed);
            let pushed = slot.pushed || theirs.pushed;
            changed |= pushed != slot.pushed;
            self.slots.insert(offset, Slot { origin, pushed, ..slot });
        }
        if self.stack_pointer().is_none() {
            self.slots.clear();
        }
        changed
    }

    fn merge(
        &mut self,
        mine: Origin,
        theirs: Origin,
        at: u64,
        place: Place,
        changed: &mut bool,
    ) -> Origin {
        let meeting = Origin::Merged { at, place };
        // What comes back to where it was merged in another place is of an earlier round.
        let stale =
            matches!(theirs, Origin::Merged { at: met, .. } if met == at) && theirs != meeting;
        if mine == theirs && !stale || mine == meeting {
            return mine;
        }
        if (matches!(mine, Origin::Frame(_)) || matches!(theirs, Origin::Frame(_))) && !self.escaped
        {
            self.escaped = true;
        }
        *changed = true;
        meeting
    }
}

/// A register of the caller, saved: no variable in C has that value.
fn is_saved(abi: &Abi, origin: Origin) -> bool {
    matches!(origin, Origin::Entry { register, bytes: 8 } if abi.is_preserved(register))
}
