//! illumos dumps, and the mdb language on any dump.

mod expand;
#[cfg(feature = "desk")]
mod front;
#[cfg(not(feature = "desk"))]
#[path = "absent.rs"]
mod front;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use necropsy_dump::{OpenOptions, dump_inside, illumos::is_illumos};
use necropsy_loader::Event;

use crate::{opening::Request, progress};

pub use expand::{ExpandArgs, run_expand, run_savecore};
pub use front::{run_command, run_mdb, run_on_linux, run_session};

/// Whether the files are those of an illumos dump, or a folder with one.
pub fn is_dump(request: &Request) -> bool {
    files_of(request).iter().any(|path| is_illumos(path))
}

/// The files that were named; for a folder the dump inside.
fn files_of(request: &Request) -> Vec<PathBuf> {
    match &request.files[..] {
        [folder] if folder.is_dir() => dump_inside(folder).unwrap_or_default(),
        files => files.to_vec(),
    }
}

/// How a dump is opened: whoever waits is told what takes long.
fn options() -> OpenOptions {
    let listener = Arc::new(progress::listener());
    let notices = listener.clone();
    OpenOptions {
        progress: Some(Box::new(move |done, total| listener(Event::Unpacking { done, total }))),
        notice: Some(Box::new(move |line| notices(Event::Notice(line)))),
        ..OpenOptions::default()
    }
}

/// The last part of a path, for messages.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
