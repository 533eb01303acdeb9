//! What an analysis looks at.

use std::fmt;

use necropsy_linux::{Error, Kernel, task::Task};
use necropsy_machine::unwind::{FoundBy, Frame, Trace};

use crate::{
    blame,
    explain::{code, contexts},
    names::{Btf, Debug, Names},
};

/// A task of a stopped kernel with its trace, and what the source calls things.
pub struct Case<'k> {
    /// The kernel.
    pub kernel: &'k Kernel,
    /// The task.
    pub task: Task<'k>,
    /// Where names and types come from.
    pub names: Box<dyn Names + 'k>,
    /// Base of the CPU's own data, which a segment or a register leads to.
    pub per_cpu_base: Option<u64>,
    /// The frames, innermost first.
    pub(crate) trace: Trace,
    /// The function of each frame: as many as frames.
    pub(crate) functions: Vec<String>,
}

/// Functions by which a dying kernel leaves: their registers explain nothing.
const LEAVING: [&str; 7] = [
    "__crash_kexec",
    "crash_kexec",
    "panic",
    "vpanic",
    "nmi_panic",
    "crash_setup_regs",
    "machine_crash_shutdown",
];

/// Functions that call `panic()`, in an interrupt, for what the interrupt came to: watchdogs, RCU's
/// stall detector, and what asks for a crash from without.
const WATCHES: [&str; 14] = [
    "watchdog_",
    "perf_event_",
    "__perf_event_",
    "rcu_",
    "print_cpu_stall",
    "print_other_cpu_stall",
    "check_cpu_stall",
    "panic_on_rcu_stall",
    "default_do_nmi",
    "unknown_nmi_error",
    "pci_serr_error",
    "io_check_error",
    "nmi_",
    "sysrq_",
];

pub(crate) fn is_leaving(function: &str) -> bool {
    LEAVING.contains(&function)
}

impl<'k> Case<'k> {
    /// The case of `task`, with names from debug information where it is loaded, else from BTF.
    ///
    /// # Errors
    /// When the task has no trace: it runs in user space, its stack is not in the dump.
    pub fn of(kernel: &'k Kernel, task: Task<'k>) -> Result<Case<'k>, Error> {
        Ok(Case::with_trace(kernel, task, task.trace()?))
    }

    /// The case of `task` with a trace that was taken before.
    pub fn with_trace(kernel: &'k Kernel, task: Task<'k>, trace: Trace) -> Case<'k> {
        let functions = trace.frames.iter().map(|frame| code::frame_function(kernel, frame));
        Case {
            kernel,
            task,
            functions: functions.collect(),
            names: Box::new(Debug(Btf(kernel))),
            per_cpu_base: task.cpu().ok().and_then(|cpu| kernel.per_cpu_offset(cpu)),
            trace,
        }
    }

    /// The case of the task that panicked, `None` if no CPU did.
    ///
    /// # Errors
    /// As [`Case::of`].
    pub fn of_panic(kernel: &'k Kernel) -> Result<Option<Case<'k>>, Error> {
        kernel.panic_task().map(|task| Case::of(kernel, task)).transpose()
    }

    /// The task's frames, innermost first.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Number of the frame that an exception interrupted, not one by which the kernel left: the
    /// innermost. Where the machine stood still in `panic()` (a hypervisor wrote the dump), what it
    /// spun in there is not what failed.
    pub fn exception(&self) -> Option<usize> {
        let begin = self.left_by().map_or(0, |last| last + 1);
        let frames = self.trace.frames.iter().enumerate().skip(begin);
        frames.filter(|(_, frame)| frame.saved_regs).map(|(index, _)| index).next()
    }

    /// Number of the outermost frame by which the kernel left.
    fn left_by(&self) -> Option<usize> {
        self.functions.iter().rposition(|name| is_leaving(name))
    }

    /// Number of the frame where things went wrong: the exception, else the caller of `panic()`.
    pub fn failed(&self) -> Option<usize> {
        let called = || self.panic_caller().map(|(number, _)| number);
        let in_interrupt = self.called_in_interrupt().map(|(number, _)| number);
        in_interrupt.or_else(|| self.exception()).or_else(called)
    }

    /// Who called `panic()` while it handled an interrupt, as [`Case::panic_caller`] tells it: what
    /// that interrupted is innocent. A watchdog speaks of nothing but what it interrupted.
    pub fn called_in_interrupt(&self) -> Option<(usize, &str)> {
        let entry = self.functions.get(self.exception()?.checked_sub(1)?)?;
        let entries = self.kernel.target().abi().interrupt_entries;
        entries.iter().any(|prefix| entry.starts_with(prefix)).then_some(())?;
        let (number, panic) = self.panic_caller()?;
        let by = self.function(number)?;
        (!WATCHES.iter().any(|it| by.starts_with(it))).then_some((number, panic))
    }

    /// Number of the frame of a function, at or above which (further in) things went wrong.
    pub fn frame_of(&self, function: &str) -> Option<usize> {
        // A word on the stack that looks like a return address proves nothing.
        let frames = self.functions.iter().zip(&self.trace.frames);
        frames.into_iter().position(|(name, frame)| {
            frame.found_by != FoundBy::Scan && crate::blame::whole(name) == function
        })
    }

    /// Number of the first frame from `from` on whose function did not merely carry out what its
    /// caller asked for: who is to blame, by the stack alone.
    pub fn blamed_from(&self, from: usize) -> Option<usize> {
        let frames = self.trace.frames.iter().zip(&self.functions).enumerate().skip(from);
        let to_blame = |frame: &Frame, name: &str| {
            let module = self.kernel.image_name(frame.lookup_pc()).is_some();
            let code = self.kernel.target().is_text(frame.lookup_pc());
            code && (module || !blame::carries_out(name))
        };
        let mut found = frames.filter(|(_, (frame, name))| to_blame(frame, name));
        found.next().map(|(number, _)| number)
    }

    /// The function that is to blame, by the stack alone.
    pub fn blamed(&self) -> Option<String> {
        self.blamed_name(self.failed()?)
    }

    /// The function of [`Case::blamed_from`], or one that it called and that left by a jump to what
    /// stands on the stack, where the code proves that.
    pub fn blamed_name(&self, from: usize) -> Option<String> {
        let number = self.blamed_from(from)?;
        let gone = || {
            let inner = number.checked_sub(1).filter(|inner| *inner >= from)?;
            let contexts = contexts::contexts(self, inner).ok()?;
            let left = contexts.iter().skip(1).take_while(|context| context.frame.is_none());
            left.map(|context| context.evaluator.function.start()).find_map(|start| {
                let name = code::location(self.kernel, start);
                let module = self.kernel.image_name(start).is_some();
                (module || !blame::carries_out(&name)).then_some(name)
            })
        };
        gone().or_else(|| self.function(number).map(str::to_owned))
    }

    /// [`Case::exception`] of a trace, by the innermost frame that is not one by which the kernel
    /// left.
    pub fn exception_in(kernel: &Kernel, trace: &Trace) -> Option<usize> {
        let failed =
            |frame: &Frame| frame.saved_regs && !is_leaving(&code::frame_function(kernel, frame));
        trace.frames.iter().position(failed)
    }

    /// Number of the frame that called `panic()`, and the name by which it was called; `None` if
    /// the trace shows no such call.
    pub fn panic_caller(&self) -> Option<(usize, &str)> {
        let last = self.left_by()?;
        (last + 1 < self.trace.frames.len()).then(|| (last + 1, self.functions[last].as_str()))
    }

    /// The function of a frame, by its number on the stack.
    pub fn function(&self, frame: usize) -> Option<&str> {
        self.functions.get(frame).map(String::as_str)
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("task", &self.task.address).finish_non_exhaustive()
    }
}
