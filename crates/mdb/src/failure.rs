//! Why a statement stops.

use necropsy_dump::Fault;

/// Why a statement stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// In words.
    #[error("{0}")]
    Text(String),
    /// A dcmd was used wrongly.
    #[error("{0}")]
    Usage(String),
    /// Memory that is not there.
    #[error("{0}")]
    Fault(Fault),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Nobody reads the output any more.
    #[error("output closed")]
    Closed,
    /// `$q`.
    #[error("quit")]
    Quit,
}

/// How a statement, a dcmd or a part of one went.
pub type Outcome<T = ()> = Result<T, Failure>;

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

impl From<necropsy_illumos::Error> for Failure {
    fn from(error: necropsy_illumos::Error) -> Self {
        match error {
            necropsy_illumos::Error::Fault(fault) => Failure::Fault(fault),
            other => Failure::Text(other.to_string()),
        }
    }
}

/// A failure in words.
pub(crate) fn fail<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure::Text(what.into()))
}
