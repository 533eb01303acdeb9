//! What went wrong on the way through a kernel structure, told once the rows are out.

use necropsy_linux::Error;

use crate::{CommandError, Outcome, render::Output};

/// More than this and the reader wants to know only how many.
const MOST: usize = 8;

/// Errors of a walk that went on.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Error>);

impl Problems {
    /// Keeps the value, or notes its error.
    pub(crate) fn keep<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.0.push(error)).ok()
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
                Error::Fault(fault) => out.skipped(what, &fault),
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
