//! Source text from a source tree of the kernel.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
};

use crate::session::Session;

/// The largest source file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Source trees, and the files of them that were shown.
#[derive(Debug, Default)]
pub(crate) struct Source {
    trees: Vec<PathBuf>,
    files: RefCell<HashMap<String, Option<Vec<String>>>>,
}

impl Source {
    /// The trees that the session was given.
    pub(crate) fn of(session: &Session) -> Self {
        Source { trees: session.source.clone(), files: RefCell::default() }
    }

    /// Whether there is any tree.
    pub(crate) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// The text of a line, counted from 1. None where no tree has the file, or the file no such
    /// line.
    pub(crate) fn line(&self, file: &str, line: u32) -> Option<String> {
        let mut files = self.files.borrow_mut();
        let lines = files.entry(file.to_owned()).or_insert_with(|| self.read(file)).as_ref()?;
        lines.get(usize::try_from(line).ok()?.checked_sub(1)?).cloned()
    }

    fn read(&self, file: &str) -> Option<Vec<String>> {
        let path = self.trees.iter().find_map(|tree| find(tree, file))?;
        if fs::metadata(&path).ok()?.len() > MAX_FILE {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        Some(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }
}

/// A file in a tree: by its whole name, else by as much of the end of it as the tree has.
fn find(tree: &Path, file: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = Path::new(file)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    (0..parts.len())
        .map(|skipped| {
            parts[skipped..].iter().fold(tree.to_path_buf(), |path, part| path.join(part))
        })
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_end_of_their_names() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("mm")).unwrap();
        fs::write(tree.path().join("mm/vma.c"), "one\ntwo\n").unwrap();
        for name in ["mm/vma.c", "/build/linux-6.12/mm/vma.c", "debian/build/x/mm/vma.c"] {
            assert_eq!(find(tree.path(), name), Some(tree.path().join("mm/vma.c")), "{name}");
        }
        assert_eq!(find(tree.path(), "mm/none.c"), None);
        let trees = vec![tree.path().to_path_buf()];
        let source = Source { trees, files: RefCell::default() };
        assert_eq!(source.line("/build/mm/vma.c", 2).as_deref(), Some("two"));
        assert_eq!(source.line("/build/mm/vma.c", 3), None);
        assert_eq!(source.line("/build/mm/vma.c", 0), None);
    }
}
