//! The kernel of a session and the task that commands look at.

use std::sync::Arc;

use necropsy_linux::{Error, Kernel, task::Task};

use crate::{CommandError, session::Session};

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        match error {
            Error::Fault(fault, _) => CommandError::Fault(fault),
            Error::NoSuch { .. } => CommandError::Missing(error.to_string()),
            // There is none, or it is wrong: nothing that other files would help with.
            _ => CommandError::Failed(error.to_string()),
        }
    }
}

impl Session {
    /// The kernel; a command that can do without looks at `session.kernel`.
    ///
    /// # Errors
    /// No dump is open, or no kernel was recognised in it.
    pub fn kernel(&self) -> Result<Arc<Kernel>, CommandError> {
        let kernel = self.kernel.clone().ok_or_else(|| {
            CommandError::Missing("no dump is open: start with `necropsy DUMP`".into())
        })?;
        match kernel.target().problem() {
            None => Ok(kernel),
            Some(problem) => Err(CommandError::Missing(problem.to_owned())),
        }
    }

    /// The task that commands look at: the one set, else the one that panicked, else the idle
    /// task of CPU 0.
    ///
    /// # Errors
    /// None of them can be found.
    pub fn context<'k>(&self, kernel: &'k Kernel) -> Result<Task<'k>, CommandError> {
        match self.task {
            Some(address) => Ok(kernel.task_at(address)),
            None => match kernel.panic_task() {
                Some(task) => Ok(task),
                None => Ok(kernel.idle_task(0)?),
            },
        }
    }
}
