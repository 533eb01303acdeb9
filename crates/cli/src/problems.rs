//! What went wrong on the way through a kernel structure, told once the rows are out.

use necropsy_linux::{Error, printk::Log};

use crate::{CommandError, Outcome, render::Output};

/// More than this and the reader wants to know only how many.
const MOST: usize = 8;
/// The same of damaged messages.
const MOST_MESSAGES: usize = 10;

/// Errors of a walk that went on.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Error>);

impl Problems {
    /// Keeps the value, or notes its error.
    pub(crate) fn keep<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.0.push(error)).ok()
    }

    /// Whether everything could be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands where there would be a list: that there is none, or that nobody knows.
    pub(crate) fn nothing<'a>(&self, none: &'a str) -> &'a str {
        if self.is_empty() { none } else { "(the dump lacks what would tell)" }
    }

    /// Notes errors.
    pub(crate) fn extend(&mut self, errors: impl IntoIterator<Item = Error>) {
        self.0.extend(errors);
    }

    /// Counts what could not be read, and makes what is wrong the command's error.
    ///
    /// # Errors
    /// Structures that contradict themselves.
    pub(crate) fn report(self, what: &str, out: &mut Output) -> Outcome {
        let mut texts = Vec::new();
        for error in self.0 {
            match error {
                Error::Fault(fault, _) => out.skipped(what, &fault),
                other => texts.push(other.to_string()),
            }
        }
        let more = texts.len().saturating_sub(MOST);
        texts.truncate(MOST);
        if more > 0 {
            texts.push(format!("and {more} more"));
        }
        if texts.is_empty() { Ok(()) } else { Err(CommandError::failed(texts.join("\n"))) }
    }
}

/// Tells which messages of the log are damaged: the first few, and how many more.
///
/// # Errors
/// The output is closed.
pub(crate) fn log_damage(log: &Log, out: &mut Output) -> Outcome {
    let mut rest = 0;
    for (index, error) in log.errors.iter().enumerate() {
        if index < MOST_MESSAGES {
            out.line(format_args!("log: {error}"))?;
        } else {
            rest += 1;
        }
    }
    if rest > 0 {
        out.line(format_args!("log: {rest} more messages are damaged"))?;
    }
    Ok(())
}
