//! The frame that was selected, by its number among those of a trace.

use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::{
    Abi, Regs,
    debug::{FrameNumber, LogicalFrame, Variable, logical_frames},
    unwind::Frame,
};

use crate::{CommandError, locals, session::Session};

/// A frame of the task that commands look at.
pub(crate) struct Selected {
    /// The frames on the stack.
    pub(crate) frames: Vec<Frame>,
    /// All functions of the trace, and which of them this is.
    pub(crate) all: Vec<LogicalFrame>,
    pub(crate) position: usize,
    /// Which it is.
    pub(crate) at: LogicalFrame,
}

impl Selected {
    /// The frame on the stack.
    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.frames.get(self.at.on_stack)
    }

    /// Its registers, as far as they are known: of a function that jumped, those that it had given
    /// back to its caller.
    pub(crate) fn regs(&self, abi: &Abi) -> Regs {
        let Some(behind) = self.at.jumped else {
            return self.frame().map(|frame| frame.regs).unwrap_or_default();
        };
        let mut regs = Regs::new();
        if let Some(caller) = self.frames.get(self.at.on_stack + 1) {
            for reg in abi.preserved {
                regs.put(*reg, caller.regs.get(*reg));
            }
            regs.put(abi.stack_pointer, caller.sp.checked_add_signed(-abi.pushed));
        }
        regs.set(abi.program_counter, behind);
        regs
    }

    /// Where the address is that it returns to.
    pub(crate) fn slot(&self) -> Option<u64> {
        let on_stack = self.at.on_stack + usize::from(self.at.jumped.is_some());
        Some(self.frames.get(on_stack)?.slot)
    }

    /// Its arguments and variables.
    pub(crate) fn variables(&self, kernel: &Kernel) -> Vec<Variable> {
        locals::variables(kernel, &self.frames, &self.at)
    }
}

/// A frame of a task: the one of that number; without one, where an exception interrupted the kernel, or
/// the innermost.
pub(crate) fn select(
    kernel: &Kernel,
    task: Task<'_>,
    number: Option<FrameNumber>,
) -> Result<Selected, CommandError> {
    let trace = task.trace()?;
    let frames = trace.all();
    let all = logical_frames(kernel.target(), &frames);
    // A task that was in user space has none but those by which it was stopped.
    let known = if trace.frames.is_empty() { 0 } else { trace.number(0) };
    let number = number.unwrap_or(FrameNumber { index: known, inline: 0 });
    let found = all.iter().position(|at| at.number == number);
    let position = found.ok_or_else(|| {
        CommandError::failed(match (frames.len(), number.inline) {
            (0, _) => "this task has no frames".to_owned(),
            (count, inline) if inline == 0 || number.index >= count => {
                format!("{number}: the frames are numbered from 0 to {}", count - 1)
            }
            _ => format!("{number}: no such function within frame {}: see bt", number.index),
        })
    })?;
    let at = all[position].clone();
    Ok(Selected { frames, all, position, at })
}

impl Session {
    /// The frame that was selected with `frame`; without one, where the task was interrupted, else the
    /// innermost.
    ///
    /// # Errors
    /// The task has no such frame.
    pub(crate) fn selected_frame(&self, kernel: &Kernel) -> Result<Selected, CommandError> {
        let task = self.context(kernel)?;
        let number = self.frame.filter(|(of, _)| *of == task.address).map(|(_, number)| number);
        select(kernel, task, number)
    }
}
