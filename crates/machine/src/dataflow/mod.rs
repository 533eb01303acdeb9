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
//! What is taken for granted is the calling convention of the architecture ([`Abi`](crate::Abi)): a
//! function called preserves certain registers, and changes of its caller's frame only what it was
//! given the address of. Compiled C keeps to it, and so does assembly that C calls.
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

pub use code::{Code, Insn, far_call};
pub use frames::{Holder, entry_value_holder, recover};
pub use function::{Function, beginning_at, function_of, retpoline_register, unread};
pub use state::{Origin, Place, Slot, State};
pub use values::{Certainty, Evaluator, Known, Lost};

pub(crate) use source::is_cold;
