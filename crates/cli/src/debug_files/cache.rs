//! Where downloads are kept: elfutils' own cache, so that what gdb fetched is there already.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// The folder of downloads that the environment names (`debuginfod_find_debuginfo(3)`).
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    cache_dir_of(set)
}

fn cache_dir_of(set: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    set("DEBUGINFOD_CACHE_PATH").or_else(|| {
        let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(caches.join("debuginfod_client"))
    })
}

/// The debug information of a build-id.
pub(super) fn path_of(cache: &Path, build_id: &str) -> PathBuf {
    cache.join(build_id).join("debuginfo")
}

/// A file to download to, in the folder where it is to end up: there it is renamed to its name
/// when it is complete.
pub(super) fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    tempfile::Builder::new().prefix("debuginfo.").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_s_choice() {
        for (set, dir) in [
            (&[("DEBUGINFOD_CACHE_PATH", "/c"), ("HOME", "/h")][..], Some("/c")),
            (&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], Some("/x/debuginfod_client")),
            (&[("HOME", "/h")], Some("/h/.cache/debuginfod_client")),
            (&[], None),
        ] {
            let value = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
            assert_eq!(cache_dir_of(value), dir.map(PathBuf::from));
        }
    }
}
