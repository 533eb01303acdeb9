//! Where indexes are kept: one file a build ID, `BUILDID.index`.
//!
//! A file is written beside its place and renamed into it, so a reader sees a whole one or none,
//! and of two writers the last wins with the same bytes. What cannot be kept is made each time:
//! that costs time and is no error.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    build,
    file::DebugFile,
    index::{self, Index, IndexBytes},
};

/// A directory of indexes.
pub struct Cache<'a> {
    /// Made when it is not there.
    pub directory: &'a Path,
    /// How a file is mapped.
    pub map: &'a dyn Fn(&Path) -> io::Result<IndexBytes>,
}

impl std::fmt::Debug for Cache<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Files that this process has written, for names that no other writer has.
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// The index of a file, kept or made.
pub(super) fn index(file: &DebugFile, cache: Option<&Cache<'_>>) -> Index {
    let info = file.section(gimli::SectionId::DebugInfo).slice().len() as u64;
    let key = file.key();
    let cache = cache.filter(|_| file.build_id().is_some_and(|id| !id.is_empty()));
    let path = cache.map(|cache| path(cache, file));
    if let (Some(cache), Some(path)) = (cache, &path)
        && let Ok(bytes) = (cache.map)(path)
        && let Some(index) = Index::open(bytes, &key, info)
    {
        return index;
    }
    let bytes = index::write(build::build(file), &key, info);
    if let (Some(cache), Some(path)) = (cache, &path) {
        // A cache that cannot be written is as good as none.
        let _ = keep(cache.directory, path, &bytes);
    }
    Index::made(bytes)
}

fn path(cache: &Cache<'_>, file: &DebugFile) -> PathBuf {
    let id = file.build_id().unwrap_or_default();
    let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    cache.directory.join(format!("{name}.index"))
}

fn keep(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let unfinished = path.with_extension(format!("{}-{number}.part", process::id()));
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}
