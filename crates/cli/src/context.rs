//! The task that commands look at, as `set` and the banner show it.

use std::fmt::Write;

use necropsy_linux::{Kernel, task::Task};

use crate::rows::tasks::Context;
use crate::{
    Outcome,
    render::{Faults, Hex, Output},
};

impl Context {
    /// Of a task.
    pub(crate) fn new(kernel: &Kernel, task: Task<'_>) -> Self {
        let mut faults = Faults::default();
        Context {
            pid: faults.keep(task.pid()),
            comm: faults.keep(task.comm()),
            task: Hex(task.address),
            cpu: faults.keep(task.cpu()),
            state: faults.keep(task.state()).map(|s| s.name()),
            panic: kernel.panic_task().is_some_and(|p| p.address == task.address),
            active: kernel.running_on(task).is_some(),
            faults,
        }
    }

    /// Its lines.
    pub(crate) fn write(&self, line: &mut dyn Write) -> std::fmt::Result {
        let unknown = || "?".to_owned();
        let task = self.task.0;
        writeln!(line, "    PID: {}", self.pid.map_or_else(unknown, |p| p.to_string()))?;
        writeln!(line, "COMMAND: \"{}\"", self.comm.as_deref().unwrap_or("?"))?;
        // thread_info lies in task_struct, at its start.
        writeln!(line, "   TASK: {task:x}  [THREAD_INFO: {task:x}]")?;
        writeln!(line, "    CPU: {}", self.cpu.map_or_else(unknown, |c| c.to_string()))?;
        let mark = match (self.panic, self.active) {
            (true, _) => "(PANIC)",
            (_, true) => "(ACTIVE)",
            _ => "",
        };
        writeln!(line, "  STATE: {} {mark}", self.state.unwrap_or("(unknown)"))
    }

    /// Shows it.
    ///
    /// # Errors
    /// The output is closed.
    pub(crate) fn show(&self, out: &mut Output) -> Outcome {
        out.record(self, |line| self.write(line))
    }
}
