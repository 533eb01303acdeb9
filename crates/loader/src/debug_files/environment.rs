//! What the environment says of debuginfod: the servers, and where downloads are kept. That is
//! elfutils' own cache, so that what gdb fetched is there already.

use std::{env, path::PathBuf};

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

/// The servers that `DEBUGINFOD_URLS` names.
pub fn urls_of_environment() -> Vec<String> {
    urls_of(&env::var("DEBUGINFOD_URLS").unwrap_or_default())
}

fn urls_of(text: &str) -> Vec<String> {
    // elfutils has words among them that say how signatures are checked.
    text.split_whitespace().filter(|word| !word.starts_with("ima:")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_environment() {
        assert_eq!(urls_of(" http://a  ima:enforcing https://b/ "), ["http://a", "https://b/"]);
        assert!(urls_of("").is_empty());
    }

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
