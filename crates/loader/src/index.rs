//! One file of debug information, and where its index is kept.

use std::{
    env, io,
    ops::Range,
    path::{Path, PathBuf},
};

use necropsy_debuginfo::{
    ElfError,
    dwarf::{Cache, DebugFile, Dwarf, DwarfError, FileData, IndexBytes},
};
use necropsy_dump::Map;

/// Why a file that was found is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not a sound ELF file.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Its debug information cannot be read.
    #[error(transparent)]
    Dwarf(#[from] DwarfError),
    /// How far the kernel was moved from where it was linked cannot be told.
    #[error("{0} has no symbol _stext")]
    NoStext(&'static str),
    /// Where a module lies cannot be told.
    #[error(transparent)]
    Module(#[from] necropsy_linux::Error),
}

/// A file of debug information, mapped.
struct Mapped(Map);

impl std::ops::Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl FileData for Mapped {
    fn release(&self, range: Range<usize>) {
        self.0.release(range);
    }
}

/// Where indexes are kept: `$XDG_CACHE_HOME/necropsy/index`, or below `~/.cache`.
fn cache_directory() -> Option<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(env::var_os("HOME")?).join(".cache"),
    };
    Some(base.join("necropsy").join("index"))
}

/// Where the sections of a module are, by name.
pub(crate) type Place<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// Opens a file of the kernel, or of a module whose sections `place` knows.
pub(crate) fn open_placed(bytes: Map, place: Option<Place<'_>>) -> Result<DebugFile, LoadError> {
    let bytes = Box::new(Mapped(bytes));
    Ok(match place {
        None => DebugFile::open(bytes)?,
        Some(place) => DebugFile::open_placed(bytes, place)?,
    })
}

/// The symbols and sections of a file, whose bytes are an unpacked ELF file
/// ([`files::open`](crate::files::open)).
///
/// # Errors
/// It is no sound ELF file.
pub fn open_file(bytes: Map) -> Result<DebugFile, LoadError> {
    open_placed(bytes, None)
}

/// Makes a file's debug information ready, by the index that was kept of it in
/// `~/.cache/necropsy`; if there is none, makes and keeps it.
///
/// # Errors
/// It has none, or it cannot be read.
pub fn index(file: DebugFile) -> Result<Dwarf, LoadError> {
    let directory = cache_directory();
    let map = |path: &Path| -> io::Result<IndexBytes> { Ok(Box::new(Map::open(path)?)) };
    let cache = directory.as_deref().map(|directory| Cache { directory, map: &map });
    Ok(Dwarf::open(file, cache.as_ref())?)
}
