//! What every reader of a format hands to the table of formats.

use crate::{
    OpenError,
    meta::{Input, Opened},
    options::OpenOptions,
};

/// A kind of file: what recognises it, and what is done with it.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    /// As users call it.
    pub(crate) name: &'static str,
    /// What makes such files.
    pub(crate) about: &'static str,
    pub(crate) tested: Tested,
    pub(crate) recognise: fn(&Input) -> bool,
    pub(crate) answer: Answer,
}

/// What is done with a file that was recognised.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// It is opened; several files may be one dump.
    Open(fn(Vec<Input>, &OpenOptions) -> Result<Opened, OpenError>),
    /// It is a dump of another kernel, which a type of its own opens.
    Apart,
    /// It is refused: what to do instead.
    Refuse(&'static str),
    /// It is refused, with something out of the file.
    Explain(&'static str, fn(&Input) -> String),
}

/// What the reader of a format was tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tested {
    /// Dumps of real machines.
    Real,
    /// Files of other makers' generators, besides our own.
    Generated,
    /// Only files that were generated here, from the format's description.
    Description,
}

/// The one file of a format that has no sets.
pub(crate) fn single(inputs: Vec<Input>) -> Result<Input, OpenError> {
    let mut inputs = inputs.into_iter();
    match (inputs.next(), inputs.next()) {
        (Some(input), None) => Ok(input),
        (Some(first), Some(second)) => {
            Err(OpenError::not_one_dump(&first.path, &second.path, "this format has no split sets"))
        }
        (None, _) => Err(OpenError::NoFile),
    }
}
