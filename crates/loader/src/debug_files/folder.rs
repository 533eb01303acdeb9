//! What the names of a folder's files say: each folder is searched once.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::files::{self, module_of, name_of};

/// Files of a folder that may hold debug information.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Named like kernels.
    pub(super) kernels: Vec<PathBuf>,
    /// By module.
    pub(super) modules: HashMap<String, Vec<PathBuf>>,
    /// `.build-id/ab/cdef.debug` by the build-id in hexadecimal.
    pub(super) by_id: HashMap<String, PathBuf>,
    /// `.debug` files whose names say nothing more.
    pub(super) others: Vec<PathBuf>,
}

/// How far a folder is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Depth {
    /// The folders in it too.
    All,
    /// Only its own files.
    Own,
}

impl Folder {
    fn of(path: &Path, depth: Depth) -> io::Result<Folder> {
        let mut wanted = |path: &Path| sort(path).is_some();
        let files = match depth {
            Depth::All => files::search(path, &mut wanted)?,
            Depth::Own => files::list(path, &mut wanted)?,
        };
        let mut folder = Folder::default();
        for path in files {
            match sort(&path) {
                Some(Sort::Kernel) => folder.kernels.push(path),
                Some(Sort::Module(name)) => folder.modules.entry(name).or_default().push(path),
                Some(Sort::Id(id)) => drop(folder.by_id.insert(id, path)),
                Some(Sort::Other) => folder.others.push(path),
                None => {}
            }
        }
        Ok(folder)
    }
}

enum Sort {
    Kernel,
    Module(String),
    Id(String),
    Other,
}

fn sort(path: &Path) -> Option<Sort> {
    let name = name_of(path);
    if let Some(module) = module_of(path) {
        return Some(Sort::Module(module));
    }
    if name.starts_with("vmlinux") {
        return Some(Sort::Kernel);
    }
    let stem = name.strip_suffix(".debug")?;
    Some(id_of(path, stem).map_or(Sort::Other, Sort::Id))
}

fn id_of(path: &Path, stem: &str) -> Option<String> {
    let folder = path.parent()?;
    let first = name_of(folder);
    let all_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_id = name_of(folder.parent()?) == ".build-id"
        && first.len() == 2
        && all_hex(&first)
        && all_hex(stem);
    is_id.then(|| (first + stem).to_ascii_lowercase())
}

/// Folders that were searched.
#[derive(Debug, Default)]
pub(super) struct Folders {
    seen: Mutex<HashMap<(PathBuf, Depth), Arc<Folder>>>,
}

impl Folders {
    /// The files of a folder; none if it cannot be read.
    pub(super) fn get(&self, path: &Path, depth: Depth) -> Arc<Folder> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = seen.entry((path.to_owned(), depth)).or_insert_with(|| {
            // An unreadable folder is as good as an empty one: who gave it is told by the caller.
            Arc::new(Folder::of(path, depth).unwrap_or_default())
        });
        folder.clone()
    }
}
