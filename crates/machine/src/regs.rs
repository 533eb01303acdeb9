//! A set of registers, each known or not.

use necropsy_lexicon::{Arch, reg::MAX_REGISTERS};

pub use necropsy_lexicon::Reg;

use crate::arch::{self, Abi};

/// A set of registers of one architecture: that of the first one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regs {
    values: [u64; MAX_REGISTERS],
    known: u64,
    arch: Option<Arch>,
}

impl Default for Regs {
    fn default() -> Self {
        Regs { values: [0; MAX_REGISTERS], known: 0, arch: None }
    }
}

impl Regs {
    /// No register known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value, if known.
    pub fn get(&self, reg: Reg) -> Option<u64> {
        let known = self.known & (1 << reg.number()) != 0 && self.arch == Some(reg.arch());
        known.then(|| self.values[reg.number()])
    }

    /// Sets a value. A register of another architecture is ignored.
    pub fn set(&mut self, reg: Reg, value: u64) {
        if *self.arch.get_or_insert(reg.arch()) == reg.arch() {
            self.values[reg.number()] = value;
            self.known |= 1 << reg.number();
        }
    }

    /// Sets or forgets.
    pub fn put(&mut self, reg: Reg, value: Option<u64>) {
        match value {
            Some(value) => self.set(reg, value),
            None if self.arch == Some(reg.arch()) => {
                self.known &= !(1 << reg.number());
                // What is not known makes no difference between two sets.
                self.values[reg.number()] = 0;
            }
            None => {}
        }
    }

    /// Every known register, by number.
    pub fn iter(&self) -> impl Iterator<Item = (Reg, u64)> + '_ {
        let all = self.arch.into_iter().flat_map(Reg::all);
        all.filter_map(|reg| Some((reg, self.get(reg)?)))
    }

    fn abi(&self) -> Option<&'static Abi> {
        Some(arch::of(self.arch?)?.abi())
    }

    /// The program counter, if known.
    pub fn pc(&self) -> Option<u64> {
        self.get(self.abi()?.program_counter)
    }

    /// The stack pointer, if known.
    pub fn sp(&self) -> Option<u64> {
        self.get(self.abi()?.stack_pointer)
    }

    /// Whether they are of a user program.
    pub fn user_mode(&self) -> bool {
        self.arch.and_then(arch::of).is_some_and(|arch| arch.user_mode(self))
    }
}
