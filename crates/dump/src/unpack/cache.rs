//! Where unpacked dumps are kept, for how long, and how much of them.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::Unpacked;

/// Ending of the note beside a copy that says why it is only the beginning.
const CUT: &str = "cut";
/// Ending of the note beside a copy that says which parts of it are there.
const PARTS: &str = "parts";

/// The folder of unpacked dumps.
#[derive(Debug, Clone)]
pub struct UnpackCache {
    dir: PathBuf,
}

/// An unpacked dump that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// The copy.
    pub path: PathBuf,
    /// Bytes on the disk.
    pub size: u64,
    /// When it was last opened.
    pub used: SystemTime,
}

impl UnpackCache {
    /// Bytes that all copies together may take; the oldest go first.
    pub const LIMIT: u64 = 64 << 30;
    /// Copies that were not opened for so long go.
    pub const AGE: Duration = Duration::from_secs(14 * 24 * 3600);

    /// The cache in a folder of one's own.
    pub fn at(dir: PathBuf) -> Self {
        UnpackCache { dir }
    }

    /// `necropsy/unpacked` under the user's cache directory.
    ///
    /// # Errors
    /// Neither HOME nor XDG_CACHE_HOME is set.
    pub fn of_user() -> io::Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map(|base| UnpackCache { dir: base.join("necropsy").join("unpacked") })
            .ok_or_else(|| io::Error::other("no cache directory: set HOME or XDG_CACHE_HOME"))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is kept, the longest unused first; nothing when there is no cache yet.
    pub fn files(&self) -> Vec<CachedFile> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut files: Vec<CachedFile> = entries
            .filter(|entry| {
                entry.path().extension().is_none_or(|ending| ending != CUT && ending != PARTS)
            })
            .filter_map(|entry| {
                let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let size = meta.blocks().saturating_mul(512).min(meta.len());
                Some(CachedFile { path: entry.path(), size, used })
            })
            .collect();
        files.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        files
    }

    /// Removes all copies; how many there were, and how many bytes they took.
    ///
    /// # Errors
    /// A copy that cannot be removed.
    pub fn clean(&self) -> io::Result<(usize, u64)> {
        let files = self.files();
        for file in &files {
            self.remove(file)?;
        }
        Ok((files.len(), files.iter().map(|file| file.size).sum()))
    }

    fn remove(&self, file: &CachedFile) -> io::Result<()> {
        for ending in [CUT, PARTS] {
            let _ = fs::remove_file(note_of(&file.path, ending));
        }
        fs::remove_file(&file.path)
    }

    /// Lets go of what is too old, and of the oldest until `coming` more bytes fit.
    pub(super) fn make_room(&self, coming: u64) {
        let files = self.files();
        let mut kept: u64 = files.iter().map(|file| file.size).sum();
        let now = SystemTime::now();
        for file in files {
            let age = now.duration_since(file.used).unwrap_or_default();
            if (age > Self::AGE || kept.saturating_add(coming) > Self::LIMIT)
                && self.remove(&file).is_ok()
            {
                kept -= file.size;
            }
        }
    }

    /// Bytes that are free on its disk.
    pub(super) fn free_space(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// A name that changes when the packed file does.
    pub(super) fn place(&self, path: &Path, key: &str) -> io::Result<PathBuf> {
        let path = path.canonicalize()?;
        let meta = path.metadata()?;
        let mut hasher = DefaultHasher::new();
        (&path, key, meta.len(), meta.modified()?).hash(&mut hasher);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(self.dir.join(format!("{stem}-{:016x}", hasher.finish())))
    }

    /// The copy, if it was made before; it counts as used now.
    pub(super) fn find(&self, place: &Path) -> Option<Unpacked> {
        let file = fs::File::options().read(true).append(true).open(place).ok()?;
        let _ = file.set_modified(SystemTime::now());
        let cut = fs::read_to_string(note_of(place, CUT)).ok();
        Some(Unpacked { path: place.into(), cut })
    }

    /// The file beside a copy that says which parts of it are there.
    pub(super) fn marks_of(place: &Path) -> PathBuf {
        note_of(place, PARTS)
    }

    pub(super) fn remember_cut(&self, place: &Path, why: &str) -> io::Result<()> {
        fs::write(note_of(place, CUT), why)
    }
}

/// A file beside a copy that says something of it.
fn note_of(place: &Path, ending: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
