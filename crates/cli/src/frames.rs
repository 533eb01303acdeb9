//! The frames of a trace by number, inlined functions among them, and the one that was selected.

use necropsy_debuginfo::dwarf::SourceFrame;
use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{
    Reg, Regs,
    dataflow::PRESERVED,
    debug::{StackFrame, Variable, Work},
    unwind::Frame,
};

use crate::{CommandError, locals, session::Session};

/// A function of a trace: one that has a frame on the stack, or one that is inlined in it.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    /// Its frame, by its number among those on the stack.
    pub(crate) physical: usize,
    /// What debug information says of it.
    pub(crate) source: Option<SourceFrame>,
    /// It has no frame of its own.
    pub(crate) inlined: bool,
    /// It ended in a jump to the function inside of it, and has no frame any more: the address
    /// behind the jump.
    pub(crate) jumped: Option<u64>,
}

/// The functions of a trace, innermost first: their numbers are the indexes.
pub(crate) fn numbered(kernel: &Kernel, frames: &[Frame]) -> Vec<Numbered> {
    let mut all = Vec::with_capacity(frames.len());
    for (physical, frame) in frames.iter().enumerate() {
        let sources = kernel.target().source_frames(frame.lookup_pc());
        if sources.is_empty() {
            all.push(Numbered { physical, source: None, inlined: false, jumped: None });
        }
        let of_stack = sources.len();
        for source in sources.iter().cloned() {
            let inlined = source.inlined;
            all.push(Numbered { physical, source: Some(source), inlined, jumped: None });
        }
        if of_stack == 0 {
            continue;
        }
        let work = Work::default();
        let entered = StackFrame::new(kernel.target(), frames, physical, &work).entered();
        if let Some(behind) = entered.and_then(|entered| entered.jump()) {
            let there = kernel.target().source_frames(behind.wrapping_sub(1));
            for source in there.iter().cloned() {
                let (inlined, jumped) = (source.inlined, Some(behind));
                all.push(Numbered { physical, source: Some(source), inlined, jumped });
            }
        }
    }
    all
}

/// A frame of the task that commands look at.
pub(crate) struct Selected {
    /// The frames on the stack.
    pub(crate) frames: Vec<Frame>,
    /// Its number.
    pub(crate) number: usize,
    /// Which it is.
    pub(crate) at: Numbered,
}

impl Selected {
    /// The frame on the stack.
    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.frames.get(self.at.physical)
    }

    /// Its registers, as far as they are known: of a function that jumped, those that it had given
    /// back to its caller.
    pub(crate) fn regs(&self) -> Regs {
        let Some(behind) = self.at.jumped else {
            return self.frame().map(|frame| frame.regs).unwrap_or_default();
        };
        let mut regs = Regs::new();
        if let Some(caller) = self.frames.get(self.at.physical + 1) {
            for reg in PRESERVED {
                regs.put(reg, caller.regs.get(reg));
            }
            regs.put(Reg::Rsp, caller.sp.checked_sub(8));
        }
        regs.set(Reg::Rip, behind);
        regs
    }

    /// Where the address is that it returns to.
    pub(crate) fn slot(&self) -> Option<u64> {
        let physical = self.at.physical + usize::from(self.at.jumped.is_some());
        Some(self.frames.get(physical)?.slot)
    }

    /// Its arguments and variables.
    pub(crate) fn variables(&self, kernel: &Kernel) -> Vec<Variable> {
        locals::variables(kernel, &self.frames, &self.at)
    }
}

/// Frame `number` of a task.
pub(crate) fn select(
    kernel: &Kernel,
    task: Task<'_>,
    number: usize,
) -> Result<Selected, CommandError> {
    let frames = task.trace()?.frames;
    let mut all = numbered(kernel, &frames);
    if number >= all.len() {
        return Err(CommandError::failed(match all.len() {
            0 => "this task has no frames".to_owned(),
            count => format!("{number}: the frames are numbered from 0 to {}", count - 1),
        }));
    }
    let at = all.swap_remove(number);
    Ok(Selected { frames, number, at })
}

impl Session {
    /// The frame that was selected with `frame`; without one the innermost.
    ///
    /// # Errors
    /// The task has no such frame.
    pub(crate) fn selected_frame(&self, kernel: &Kernel) -> Result<Selected, CommandError> {
        let task = self.context(kernel)?;
        let number = match self.frame {
            Some((of, number)) if of == task.address => number,
            _ => 0,
        };
        select(kernel, task, number)
    }
}
