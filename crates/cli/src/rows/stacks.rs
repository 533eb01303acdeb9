//! Stacks: traces, frames, variables, words.

use necropsy_machine::{
    Regs,
    unwind::{Frame, Stack},
};
use necropsy_rows::{Any, Faults, Hex, Kind, Value, row};
use serde::{Serialize, Serializer};

use super::tasks::Header;

/// Registers by name; those that are not known are left out.
#[derive(Debug)]
pub struct Registers(pub Regs);

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sorted: std::collections::BTreeMap<_, _> =
            self.0.iter().map(|(reg, value)| (reg.name(), Hex(value))).collect();
        serializer.collect_map(sorted)
    }
}

impl Value for Registers {
    const KIND: Kind = Kind::Map(&Kind::Hex);
}

row! {
    /// A variable of a function.
    #[derive(Debug)]
    pub struct VariableRow {
        /// Its name.
        pub name: String,
        /// Its type.
        pub r#type: String [key "type"],
        /// The function was called with it.
        pub argument: bool,
        /// Its value; `null` when it is lost.
        pub value: Option<Any>,
        /// Where it lies, if it does in memory.
        pub address: Option<Hex>,
        /// How it is known: `located` (debug information says where it is), `entry` (as the caller
        /// passed it), `inferred` (from the code) or `lost`.
        pub known: &'static str,
        /// How it was inferred, or why it is lost.
        pub why: Option<String> [maybe],
        pub(crate) text: String [own],
    }

    /// A frame of a trace.
    #[derive(Debug)]
    pub struct FrameRow {
        /// The number of its frame on the stack.
        pub index: usize,
        /// Which of the functions within that frame, counted from 1, of kinds `inlined` and `tail_call`.
        pub inline: Option<usize> [maybe],
        /// `call`, `exception` (its registers were saved), `interrupted`, `inlined` (it has no
        /// frame of its own on the stack) or `tail_call` (it left by a jump).
        pub kind: &'static str,
        /// The stack that it is on: `task`, `irq`, `nmi`, …
        pub stack: Option<&'static str>,
        /// Address of the slot that holds the return address.
        pub sp: Hex,
        /// Where it is to go on, or was interrupted.
        pub pc: Hex,
        /// The function.
        pub function: Option<String>,
        /// Offset of `pc` in it; none of an inlined function.
        pub offset: Option<u64> [bytes],
        /// The module it belongs to.
        pub module: Option<String>,
        /// The compiler put it into its caller.
        pub inlined: bool,
        /// What gave the frame: `regs`, `orc`, `cfi`, `call`, `fp`, `search` (the deepest frame from which
        /// calls lead to the registers that were saved), `scan` (a guess), `tail_call`.
        pub found_by: &'static str,
        /// Source file.
        pub file: Option<String>,
        /// Line in it.
        pub line: Option<u32>,
        /// The registers that were saved there, of kind `exception`.
        pub registers: Option<Registers> [maybe],
        /// Arguments and variables (`-v`).
        pub variables: Option<Vec<VariableRow>> [maybe],
        /// The number of its frame on the stack.
        pub(crate) on_stack: usize [own],
    }

    /// A task's trace.
    #[derive(Debug)]
    pub struct TraceRow {
        /// The task.
        pub header: Header [flat],
        /// The frames, innermost first.
        pub frames: Vec<FrameRow>,
        /// Registers of user space.
        pub user_registers: Option<Registers> [maybe],
        /// The trace reaches the stack's end.
        pub complete: bool,
        /// Why it ends where it does, when it is not complete.
        pub ended: Option<String> [maybe],
        /// What could not be read.
        pub faults: Faults,
        pub(crate) found: Vec<Frame> [own],
        pub(crate) user: Option<(u64, Regs)> [own],
        pub(crate) stacks: Vec<Stack> [own],
    }

    /// A frame of a user program (`bt -u`).
    #[derive(Debug)]
    pub struct UserFrameRow {
        /// Its number.
        pub index: usize,
        /// Its stack pointer.
        pub sp: Hex,
        /// Where it is, or will return to.
        pub pc: Hex,
        /// What gave it: `regs`, `eh_frame` (the program's unwind tables), `fp` (the frame pointer).
        pub found_by: &'static str,
        /// The file that is mapped there.
        pub file: Option<String>,
        /// The address in that file as it was linked.
        pub linked: Option<Hex>,
    }

    /// A stack of a user program (`bt -u`).
    #[derive(Debug)]
    pub struct UserTraceRow {
        /// The task.
        pub header: Header [flat],
        /// Its frames, innermost first.
        pub frames: Vec<UserFrameRow>,
        /// Why it ends, if not at the program's first function.
        pub ended: Option<String> [maybe],
    }

    /// A word of a stack (`bt -r`, `-t`, `-T`).
    #[derive(Debug)]
    pub struct WordRow {
        /// The task.
        pub header: Header [flat],
        /// Where the word lies.
        pub address: Hex,
        /// The word.
        pub value: Option<Hex>,
        /// The symbol that it leads to.
        pub symbol: Option<String>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// Saved registers on a stack (`bt -e`, `-E`).
    #[derive(Debug)]
    pub struct ExceptionRow {
        /// The task.
        pub header: Header [flat],
        /// Where the registers lie.
        pub address: Hex,
        /// They are those of user space.
        pub user: bool,
        /// The registers.
        pub registers: Registers,
    }

    /// A stack whose low end is not as it should be (`bt --overflow`).
    #[derive(Debug)]
    pub struct OverflowRow {
        /// The task.
        pub header: Header [flat],
        /// The stack's lowest address.
        pub stack: Hex,
        /// The word there: not STACK_END_MAGIC, unless `sp` tells of an overflow.
        pub value: Option<Hex>,
        /// A stack pointer that lies in the guard page below the stack.
        pub sp: Option<Hex> [maybe],
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// The frame that was selected.
    #[derive(Debug)]
    pub struct SelectedRow {
        /// The number of its frame, as `bt` has it.
        pub index: usize,
        /// Which of the functions within that frame, counted from 1, if it has no frame of its own.
        pub inline: Option<usize> [maybe],
        /// The function.
        pub function: Option<String>,
        /// Where it is to go on, or was interrupted.
        pub pc: Hex,
        /// Address of the slot that holds the return address.
        pub sp: Hex,
        /// The compiler put it into its caller.
        pub inlined: bool,
        /// It left by a jump.
        pub tail_call: bool,
        /// Source file.
        pub file: Option<String>,
        /// Line in it.
        pub line: Option<u32>,
        /// What it was called with.
        pub arguments: Vec<VariableRow>,
    }
}
