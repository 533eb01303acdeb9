//! Files with debug information for an open dump: which ones there are, and whether they fit.
//!
//! Nothing is opened before it is asked for, and only headers are read to tell whether a file is
//! the right one. A file with another build-id than the dump's would give wrong answers with a
//! straight face, so it is refused; the user may insist.

#[cfg(feature = "debuginfod")]
mod debuginfod;
#[cfg(not(feature = "debuginfod"))]
#[path = "no_debuginfod.rs"]
mod debuginfod;
mod environment;
mod facts;
mod finder;
mod folder;
mod places;
mod query;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use necropsy_dump::Map;

use crate::{event::Listener, files};

pub use environment::{cache_dir, urls_of_environment};

use debuginfod::Servers;
use finder::Finder;
use folder::Folders;
use query::{Part, Query};

/// What was given, and where to look.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and folders that the user named.
    pub given: Vec<PathBuf>,
    /// The folders of the dump's files.
    pub dump_dirs: Vec<PathBuf>,
    /// Whether to look at all: not even given files are used otherwise.
    pub search: bool,
    /// Given files are used even if their build-id is another.
    pub any_build_id: bool,
    /// debuginfod servers, in the order in which they are asked.
    pub debuginfod_urls: Vec<String>,
    /// Where downloads are kept, in the layout of elfutils; nothing is downloaded without.
    pub debuginfod_cache: Option<PathBuf>,
    /// Who is told of downloads, and of files that [`attach`](crate::attach) does not use.
    pub listener: Listener,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            given: Vec::new(),
            dump_dirs: Vec::new(),
            search: true,
            any_build_id: false,
            debuginfod_urls: Vec::new(),
            debuginfod_cache: None,
            listener: Listener::default(),
        }
    }
}

/// Finds files with debug information. Cheap to make: nothing is opened yet.
#[derive(Debug)]
pub struct DebugFiles {
    options: Options,
    /// What `/usr/lib/debug` is below of.
    root: PathBuf,
    folders: Folders,
    servers: Servers,
}

/// A file with debug information.
pub struct Found {
    /// The file; it may be packed.
    pub path: PathBuf,
    /// What is in it, unpacked: an ELF file with DWARF.
    pub bytes: Map,
    /// Its build-id.
    pub build_id: Option<Vec<u8>>,
    /// How it was found: `given`, `build-id directory`, `release's directory`,
    /// `beside the dump`, `debuginfod`, `.gnu_debuglink`.
    pub how: &'static str,
    /// Why it may be the wrong one, in one line that names the file.
    pub note: Option<String>,
}

/// What a look for a file yields.
#[derive(Debug, Default)]
pub struct Lookup {
    /// The file.
    pub found: Option<Found>,
    /// Files and servers that were expected to help and did not, one line each.
    pub refused: Vec<String>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("path", &self.path)
            .field("bytes", &self.bytes.len())
            .field("build_id", &self.build_id)
            .field("how", &self.how)
            .field("note", &self.note)
            .finish()
    }
}

impl DebugFiles {
    /// Looks where the options say, and where the system keeps debug information.
    pub fn new(options: Options) -> Self {
        Self::below(PathBuf::from("/"), options)
    }

    fn below(root: PathBuf, options: Options) -> Self {
        let servers = Servers::new(&options);
        DebugFiles { options, root, folders: Folders::default(), servers }
    }

    pub(crate) fn listener(&self) -> &Listener {
        &self.options.listener
    }

    /// The file of the kernel itself. Without a build-id, a given file is taken at the user's
    /// word, and others if their path names the release.
    pub fn kernel(&self, build_id: Option<&[u8]>, release: Option<&str>) -> Lookup {
        self.look(Part::Kernel, build_id, release)
    }

    /// The file of a module.
    pub fn module(&self, name: &str, build_id: Option<&[u8]>, release: Option<&str>) -> Lookup {
        self.look(Part::Module(&underscored(name)), build_id, release)
    }

    /// The file of a module, which is this file or in this folder, and nowhere else. The user
    /// asked for it by name: it is looked for even when no others are.
    pub fn module_in(&self, dir_or_file: &Path, name: &str, build_id: Option<&[u8]>) -> Lookup {
        let name = underscored(name);
        let query = Query { part: Part::Module(&name), build_id: some(build_id), release: None };
        Finder::new(self, query).only_in(dir_or_file)
    }

    fn look(&self, part: Part<'_>, build_id: Option<&[u8]>, release: Option<&str>) -> Lookup {
        if !self.options.search {
            return Lookup::default();
        }
        let release = release.and_then(places::plain);
        Finder::new(self, Query { part, build_id: some(build_id), release }).everywhere()
    }
}

/// Whether a file, packed or not, is an ELF file and no dump.
pub fn is_debug_file(path: &Path) -> bool {
    let kind = files::head(path).ok().and_then(|head| facts::kind_of_head(&head));
    kind.is_some_and(|kind| kind != facts::Kind::Core)
}

/// Modules are called by either, and their files too.
fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

/// An empty build-id is none.
fn some(build_id: Option<&[u8]>) -> Option<&[u8]> {
    build_id.filter(|id| !id.is_empty())
}
