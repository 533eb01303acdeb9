//! Why an object of the kernel could not be had.

use necropsy_dump::Fault;

/// Could not be read, is not there, or is known to be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Memory could not be read.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// This kernel has no such member, type or symbol, or the dump does not tell.
    #[error("no {what}")]
    Missing {
        /// `task_struct.__state or .state`, `symbol prb`.
        what: String,
    },
    /// What was read contradicts itself.
    #[error("corrupt: {what}")]
    Corrupt {
        /// What, and the address that shows it.
        what: String,
    },
}

impl Error {
    /// A missing symbol.
    pub fn no_symbol(name: &str) -> Error {
        Error::Missing { what: format!("symbol {name}") }
    }

    /// A missing type.
    pub fn no_type(name: &str) -> Error {
        Error::Missing { what: format!("type {name}") }
    }

    /// A contradiction.
    pub fn corrupt(what: impl Into<String>) -> Error {
        Error::Corrupt { what: what.into() }
    }
}

/// The result of reading a kernel object.
pub type Result<T, E = Error> = std::result::Result<T, E>;
