//! What can go wrong with a command, and which exit code that is.

use std::io;

use necropsy_dump::{Fault, Reason};

/// Why a command did not do what it was asked. Printed as one line on the error stream, so every
/// text says what to do about it where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The line is wrong: an unknown option, a missing argument.
    #[error("{0}")]
    Usage(String),
    /// The command ran, and could not do it.
    #[error("{0}")]
    Failed(String),
    /// The dump or the debug information lacks what the command needs.
    #[error("{0}")]
    Missing(String),
    /// Memory that the command cannot do without could not be read.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// A file could not be read or written, a program not be started.
    #[error("{0}")]
    Io(io::Error),
    /// Whoever read the output went away (`| head`). Not worth a message.
    #[error("output closed")]
    BrokenPipe,
    /// `check` found so many contradictions.
    #[error("{0} findings")]
    Damage(usize),
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What a command gives back. Its results went to the output already.
pub type Outcome = Result<(), CommandError>;

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CommandError::BrokenPipe,
            _ => CommandError::Io(error),
        }
    }
}

impl CommandError {
    /// A [`CommandError::Usage`] of `text`.
    pub fn usage(text: impl Into<String>) -> Self {
        CommandError::Usage(text.into())
    }

    /// A [`CommandError::Failed`] of `text`.
    pub fn failed(text: impl Into<String>) -> Self {
        CommandError::Failed(text.into())
    }

    /// A [`CommandError::Missing`] of `text`.
    pub fn missing(text: impl Into<String>) -> Self {
        CommandError::Missing(text.into())
    }

    /// The exit code this failure stands for.
    pub fn status(&self) -> Status {
        match self {
            CommandError::BrokenPipe => Status::Done,
            CommandError::Usage(_) => Status::Usage,
            CommandError::Missing(_) => Status::Missing,
            CommandError::Damage(_) => Status::Damage,
            // It was there, and the dump does not have it.
            CommandError::Fault(fault)
                if matches!(
                    fault.reason,
                    Reason::Excluded | Reason::NotSaved | Reason::Truncated
                ) =>
            {
                Status::Missing
            }
            CommandError::Failed(_)
            | CommandError::Fault(_)
            | CommandError::Io(_)
            | CommandError::Interrupted => Status::Failed,
        }
    }
}

/// Exit codes of the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Everything was done.
    #[default]
    Done = 0,
    /// A command failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The dump cannot be opened.
    CannotOpen = 3,
    /// Opened, but what was asked needs something that the dump or the debug information lacks.
    Missing = 4,
    /// `check` found damage.
    Damage = 5,
}

impl Status {
    /// The status after this one and `next`: the first failure stays, and wins over damage that
    /// was found.
    #[must_use]
    pub fn then(self, next: Status) -> Status {
        match (self, next) {
            (Status::Done, next) => next,
            (Status::Damage, next) if next != Status::Done => next,
            (first, _) => first,
        }
    }
}

impl From<Status> for std::process::ExitCode {
    fn from(status: Status) -> Self {
        std::process::ExitCode::from(status as u8)
    }
}
