//! Why a dump cannot be opened.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a dump cannot be opened; each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No file was named.
    #[error("no dump file given: name one")]
    NoFile,
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file's content is of no known dump format.
    #[error(
        "{}: not a kernel dump in a known format (a bare memory image is opened as FILE@0xADDRESS)",
        path.display()
    )]
    NotADump {
        /// Which file.
        path: PathBuf,
    },
    /// A file of a known kind that is no dump, or none that can be read.
    #[error("{}: {kind}: {advice}", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// What it is.
        kind: String,
        /// What to do with it.
        advice: String,
    },
    /// A folder without a dump, with a kernel's log.
    #[error(
        "{}: a folder without a dump; there is a kernel's log: necropsy oops {}",
        folder.display(), log.display()
    )]
    OnlyLog {
        /// Which folder.
        folder: PathBuf,
        /// The log that says most.
        log: PathBuf,
    },
    /// A folder with several dumps.
    #[error("{}: a folder with {count} dumps: name one of them: {names}", folder.display())]
    SeveralDumps {
        /// Which folder.
        folder: PathBuf,
        /// How many.
        count: usize,
        /// The newest of them.
        names: String,
    },
    /// A folder with nothing to open.
    #[error("{}: a folder without a dump (also none in the folders in it): name a file", folder.display())]
    NoDumpInside {
        /// Which folder.
        folder: PathBuf,
    },
    /// One file was named more than once.
    #[error("{}: given twice (under this name or another): name each file once", path.display())]
    Twice {
        /// Which file.
        path: PathBuf,
    },
    /// The format is known, and this form of it cannot be read.
    #[error("{}: {format}: {what}", path.display())]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// What is not supported, and the way around it.
        what: String,
    },
    /// The headers contradict themselves: nothing can be read.
    #[error("{}: damaged beyond use: {what}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Several files, and they are not one dump.
    #[error(
        "{} and {} do not belong together: {what}; name the files of one dump",
        first.display(), second.display()
    )]
    NotOneDump {
        /// One file.
        first: PathBuf,
        /// Another.
        second: PathBuf,
        /// What tells them apart.
        what: &'static str,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        OpenError::Io { path: path.into(), source }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        OpenError::Corrupt { path: path.into(), what: what.into() }
    }

    pub(crate) fn unsupported(path: &Path, format: &'static str, what: impl Into<String>) -> Self {
        OpenError::Unsupported { path: path.into(), format, what: what.into() }
    }

    pub(crate) fn not_one_dump(first: &Path, second: &Path, what: &'static str) -> Self {
        OpenError::NotOneDump { first: first.into(), second: second.into(), what }
    }
}
