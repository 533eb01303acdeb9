//! What is worth telling while files are looked for and opened: values, which a front end words.

use std::{fmt, path::Path, sync::Arc};

/// Something that happened. [`fmt::Display`] gives the line of those that are messages.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A file or a server that was expected to help does not: one line that names it.
    Refused(&'a str),
    /// A file is used that may be the wrong one: one line that names it.
    Doubtful(&'a str),
    /// The right file was found, and cannot be used; the dump alone goes on answering.
    Unusable {
        /// The file.
        path: &'a Path,
        /// What is wrong with it.
        why: &'a str,
    },
    /// A file that was given is of no use here.
    NotNeeded(&'a Path),
    /// A log beside the dump is not read.
    LogBeside(&'a Path),
    /// Something takes long or takes space: one line that says what and where.
    Notice(&'a str),
    /// A packed dump is being unpacked.
    Unpacking {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A file is being fetched from a server.
    Downloading {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, if the server says.
        total: Option<u64>,
    },
    /// No more of it comes, whether it is complete or not.
    DownloadOver,
}

impl Event<'_> {
    /// Whether it is a message; the others say how far something has come.
    pub fn is_message(&self) -> bool {
        !matches!(self, Event::Unpacking { .. } | Event::Downloading { .. } | Event::DownloadOver)
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Refused(line) | Event::Doubtful(line) | Event::Notice(line) => f.write_str(line),
            Event::LogBeside(path) => {
                let path = path.display();
                write!(f, "{path}: a log, not needed beside the dump (necropsy oops reads it)")
            }
            Event::Unusable { path, why } => write!(f, "{}: not used: {why}", path.display()),
            Event::NotNeeded(path) => {
                write!(f, "{}: not needed: symbols come from the dump", path.display())
            }
            Event::Unpacking { done, total } => write!(f, "unpacking: {done} of {total} bytes"),
            Event::Downloading { done, .. } => write!(f, "downloading: {done} bytes"),
            Event::DownloadOver => f.write_str("download over"),
        }
    }
}

/// Who is told. Nobody by default.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<Hear>>);

type Hear = dyn Fn(Event<'_>) + Send + Sync;

impl Listener {
    /// Calls `listen` for every event, from whichever thread it happens on.
    pub fn new(listen: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        Listener(Some(Arc::new(listen)))
    }

    pub(crate) fn tell(&self, event: Event<'_>) {
        if let Some(listen) = &self.0 {
            listen(event);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "nobody" })
    }
}
