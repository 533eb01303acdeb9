//! The index of a large `vmdump` is kept in the cache directory, so that the second opening does
//! not go through the file again.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
};

use crate::map::Map;

use super::{IllumosDump, stream::Places};

const MAGIC: &[u8; 16] = b"necropsy places1";
/// Below this many pages the pass is quicker than a file.
const WORTH: usize = 1 << 16;

/// `necropsy/illumos` under the user's cache directory, or `given`.
pub(super) fn directory(given: Option<&Path>) -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match given {
        Some(dir) => Some(dir.to_owned()),
        None => set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map(|base| base.join("necropsy").join("illumos")),
    }
}

/// A name that changes when the dump does.
fn name(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let meta = path.metadata().ok()?;
    let mut hasher = DefaultHasher::new();
    (&path, meta.len(), meta.modified().ok()?).hash(&mut hasher);
    Some(format!("{:016x}.idx", hasher.finish()))
}

/// The index that was kept, if it is of this dump. A page's place is checked against the stream
/// when the page is read, so a damaged index yields faults and not wrong memory.
pub(super) fn load(dir: &Path, path: &Path, dump: &IllumosDump) -> Option<Places> {
    if dump.header().npages < WORTH as u64 {
        return None;
    }
    let map = Map::open(&dir.join(name(path)?)).ok()?;
    let words = map.strip_prefix(MAGIC)?;
    let (words, rest) = words.as_chunks::<8>();
    if !rest.is_empty() || words.len() as u64 != dump.header().npages {
        return None;
    }
    Some(Places::from_words(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
}

/// Keeps the index of an undamaged dump; where it cannot be written, it is made anew each time.
pub(super) fn store(dir: &Path, path: &Path, places: &Places) {
    if places.words().len() < WORTH || places.damage.is_some() {
        return;
    }
    let Some(name) = name(path) else { return };
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        let mut out = std::io::BufWriter::new(file.as_file_mut());
        out.write_all(MAGIC)?;
        for word in places.words() {
            out.write_all(&word.to_le_bytes())?;
        }
        out.flush()?;
        drop(out);
        file.persist(dir.join(name)).map_err(|error| error.error)?;
        Ok(())
    };
    let _ = write();
}
