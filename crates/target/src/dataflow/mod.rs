//! Where the values of a function are: analyses of machine code that claim nothing they cannot
//! prove from the code in the dump's memory.
//!
//! One forward analysis over a function's control-flow graph gives every register and every slot
//! of the frame, before each instruction, an [`Origin`]: the value that this or that register had
//! when the function was entered, a place in the frame, a constant, or *what the instruction at
//! this address computed*. Where paths meet with different origins, the value has a new origin, the
//! meeting. Two places with the same origin hold the same value. From that follow
//!
//! - where a function keeps the registers that it has to preserve ([`recover`]),
//! - where an argument is still found ([`entry_value_holder`]), and
//! - of which loads and sums a value was made ([`Evaluator`]).
//!
//! What is taken for granted is the System V calling convention: a function called preserves
//! `rbx`, `rbp`, `rsp` and `r12` to `r15`, and changes of its caller's frame only what it was given
//! the address of. Compiled C keeps to it, and so does assembly that C calls.
//! Everything else makes an analysis give up: a jump by a table, code that cannot be read, a stack
//! pointer that is not known.

mod code;
mod fixups;
mod frames;
mod function;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod transfer;
mod values;

pub use code::{Code, Insn};
pub use frames::{Holder, entry_value_holder, recover};
pub use function::{Function, beginning_at, function_of, retpoline_register};
pub use state::{Origin, Place, Slot, State};
pub use values::{Certainty, Evaluator, Known, Lost};

pub(crate) use function::Cache;
pub(crate) use source::is_cold;

use crate::regs::Reg;

/// The registers that a function preserves for its caller.
pub const PRESERVED: [Reg; 6] = [Reg::Rbx, Reg::Rbp, Reg::R12, Reg::R13, Reg::R14, Reg::R15];

/// The registers that carry the first six integer or pointer arguments, in order.
pub const ARGUMENTS: [Reg; 6] = [Reg::Rdi, Reg::Rsi, Reg::Rdx, Reg::Rcx, Reg::R8, Reg::R9];

/// Whether a function preserves the register for its caller.
pub fn is_preserved(reg: Reg) -> bool {
    PRESERVED.contains(&reg)
}
