//! Why a kernel object could not be read.

use necropsy_dump::Fault;

/// Why a kernel object could not be read: one line that names what is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Memory.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The kernel has no such symbol.
    #[error("no symbol {0}")]
    NoSymbol(String),
    /// The kernel has no such type.
    #[error("no type {0}")]
    NoType(String),
    /// A type has no such member.
    #[error("no member {member} in {of}")]
    NoMember {
        /// The type.
        of: String,
        /// The member.
        member: String,
    },
    /// Something contradicts itself.
    #[error("{0}")]
    Damaged(String),
}

/// What readers of objects return.
pub type Result<T> = std::result::Result<T, Error>;

/// Shorthand for [`Error::Damaged`].
pub(crate) fn damaged<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Damaged(what.into()))
}
