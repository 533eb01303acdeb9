//! Why an object of the kernel could not be had.

use necropsy_dump::Fault;

/// Three things that must not be mixed up: the dump lacks the memory ([`Error::Fault`]), the
/// kernel or its debug information lacks what it takes to try ([`Error::NoSuch`]), and there is
/// none ([`Error::Absent`]). And a fourth: what was read is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Memory could not be read; where it was that of a member, which.
    #[error("{0}")]
    Fault(Fault, Option<MemberName>),
    /// It could not be tried: this kernel, or what is known of it, has no such thing.
    #[error("no {thing} {name}")]
    NoSuch {
        /// What kind of thing.
        thing: Thing,
        /// `task_struct.__state or .state`, `prb`.
        name: String,
    },
    /// There is none, and that is no fault of the dump: a kernel thread has no address space.
    #[error("no {what}")]
    Absent {
        /// What, and why: `address space: a kernel thread`.
        what: String,
    },
    /// What was read contradicts itself.
    #[error("corrupt: {what}")]
    Corrupt {
        /// What, and the address that shows it.
        what: String,
        /// The structure that is wrong, where it is one.
        at: Option<u64>,
    },
}

/// What a kernel or its debug information can lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thing {
    /// A symbol.
    Symbol,
    /// A type.
    Type,
    /// A member of a structure.
    Member,
    /// A constant of an enum.
    Constant,
    /// A table or area that the layout of memory would tell.
    Table,
    /// A way to do it on such a machine.
    Way,
}

/// As errors spell it.
impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Thing::Symbol => "symbol",
            Thing::Type => "type",
            Thing::Member => "member",
            Thing::Constant => "enum constant",
            Thing::Table => "table",
            Thing::Way => "way",
        })
    }
}

/// A member of a structure by the name that it has in this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberName {
    /// The C tag.
    pub shape: &'static str,
    /// The member, or the path to it.
    pub member: &'static str,
}

/// `task_struct.pid`
impl std::fmt::Display for MemberName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.shape, self.member)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Fault(fault, None)
    }
}

impl Error {
    /// A missing symbol.
    pub fn no_symbol(name: &str) -> Error {
        Error::NoSuch { thing: Thing::Symbol, name: name.into() }
    }

    /// A missing type.
    pub fn no_type(name: &str) -> Error {
        Error::NoSuch { thing: Thing::Type, name: name.into() }
    }

    /// A missing member, by all the names that it has had.
    pub fn no_member<'a>(shape: &str, names: impl IntoIterator<Item = &'a str>) -> Error {
        let names: Vec<&str> = names.into_iter().collect();
        Error::NoSuch { thing: Thing::Member, name: format!("{shape}.{}", names.join(" or .")) }
    }

    /// A missing constant, by all the names that it has had.
    pub fn no_constant<'a>(names: impl IntoIterator<Item = &'a str>) -> Error {
        let names: Vec<&str> = names.into_iter().collect();
        Error::NoSuch { thing: Thing::Constant, name: names.join(" or ") }
    }

    /// Something that there is not.
    pub fn absent(what: impl Into<String>) -> Error {
        Error::Absent { what: what.into() }
    }

    /// A contradiction.
    pub fn corrupt(what: impl Into<String>) -> Error {
        Error::Corrupt { what: what.into(), at: None }
    }

    /// A contradiction in the structure at an address.
    pub fn corrupt_at(at: u64, what: impl Into<String>) -> Error {
        Error::Corrupt { what: what.into(), at: Some(at) }
    }

    /// The fault, when memory could not be read.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Fault(fault, _) => Some(fault),
            _ => None,
        }
    }

    /// Whether it could not even be tried.
    pub fn is_no_such(&self) -> bool {
        matches!(self, Error::NoSuch { .. })
    }
}

/// What a member says that some kernels lack; `missing` where this one does. A fault stays one.
pub(crate) fn or_missing<T>(read: Result<T>, missing: T) -> Result<T> {
    match read {
        Err(error) if error.is_no_such() => Ok(missing),
        read => read,
    }
}

/// The result of reading a kernel object.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the kernel lacks, or does not have, is no fault of the dump.
impl necropsy_rows::Unread for Error {
    fn fault(&self) -> Option<(Fault, String)> {
        match self {
            Error::Fault(fault, Some(member)) => Some((*fault, member.to_string())),
            Error::Fault(fault, None) => Some((*fault, "memory".to_owned())),
            _ => None,
        }
    }
}
