//! Debug information of the open dump: which file is taken for which image, and where its index
//! is kept.

use std::{
    env, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use necropsy_debuginfo::dwarf::{Cache, DebugFile, Dwarf, FileData, IndexBytes};
use necropsy_dump::Map;
use necropsy_linux::{
    Kernel, build_id,
    module::{self, Placement},
};
use necropsy_target::{Target, debug::ImageDebug, target::VMLINUX};

use crate::debug_files::{DebugFiles, Found, Lookup};

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
type Place<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// Opens a file of the kernel, or of a module whose sections `place` knows.
pub(crate) fn file(bytes: Map, place: Option<Place<'_>>) -> Result<DebugFile, String> {
    let bytes = Box::new(Mapped(bytes));
    let file = match place {
        None => DebugFile::open(bytes),
        Some(place) => DebugFile::open_placed(bytes, place),
    };
    file.map_err(|error| error.to_string())
}

/// Makes a file's debug information ready, by the index that was kept of it.
pub(crate) fn index(file: DebugFile) -> Result<Dwarf, String> {
    let directory = cache_directory();
    let map = |path: &Path| -> io::Result<IndexBytes> { Ok(Box::new(Map::open(path)?)) };
    let cache = directory.as_deref().map(|directory| Cache { directory, map: &map });
    Dwarf::open(file, cache.as_ref()).map_err(|error| error.to_string())
}

/// How far the running kernel is from where a file was linked.
fn bias(target: &Target, dwarf: &Dwarf) -> Result<u64, String> {
    let linked = dwarf.stext().ok_or("it has no symbol _stext")?;
    let running = target.address_of("_stext").ok_or("the dump has no symbol _stext")?;
    Ok(running.wrapping_sub(linked))
}

/// Tells a kernel how its debug information is found: when it is first asked for.
pub(crate) fn attach(kernel: &Kernel, files: Arc<DebugFiles>) {
    kernel.target().set_debug_loader(Box::new(move |target, image| {
        let release = target.vmcoreinfo().and_then(|info| info.get("OSRELEASE"));
        if image.name == VMLINUX {
            let lookup = files.kernel(build_id::of_kernel(target).as_deref(), release);
            return take(lookup, |found| kernel_debug(target, found));
        }
        // A module that cannot be placed is looked for all the same: the user is told why not.
        let placement = module::placement(target, &image.name);
        let id = placement.as_ref().ok().and_then(|placement| placement.build_id.as_deref());
        let lookup = files.module(&image.name, id, release);
        take(lookup, |found| module_debug(placement.map_err(|e| e.to_string())?, found))
    }));
}

/// The file of a module that a user names, or a folder that holds it: `mod -s`, `mod -S`.
pub(crate) fn load_module(
    kernel: &Kernel,
    files: &DebugFiles,
    name: &str,
    place: Option<&Path>,
) -> Option<ImageDebug> {
    let target = kernel.target();
    let placement = module::placement(target, name);
    let id = placement.as_ref().ok().and_then(|placement| placement.build_id.clone());
    let release = target.vmcoreinfo().and_then(|info| info.get("OSRELEASE"));
    let lookup = match place {
        Some(place) => files.module_in(place, name, id.as_deref()),
        None => files.module(name, id.as_deref(), release),
    };
    take(lookup, |found| module_debug(placement.map_err(|e| e.to_string())?, found))
}

/// Uses what was found. What is wrong with a file is told once, and costs no more than the file:
/// the dump alone goes on answering.
fn take(
    lookup: Lookup,
    open: impl FnOnce(Found) -> Result<ImageDebug, String>,
) -> Option<ImageDebug> {
    for refused in &lookup.refused {
        eprintln!("necropsy: {refused}");
    }
    let found = lookup.found?;
    let path = found.path.clone();
    if let Some(note) = &found.note {
        eprintln!("necropsy: {note}");
    }
    match open(found) {
        Ok(debug) => Some(debug),
        Err(error) => {
            eprintln!("necropsy: {}: not used: {error}", path.display());
            None
        }
    }
}

fn kernel_debug(target: &Target, found: Found) -> Result<ImageDebug, String> {
    let dwarf = index(file(found.bytes, None)?)?;
    let bias = bias(target, &dwarf)?;
    let matches = found.note.is_none();
    Ok(ImageDebug { dwarf, bias, path: found.path, how: found.how, matches })
}

fn module_debug(placement: Placement, found: Found) -> Result<ImageDebug, String> {
    let place = |name: &str| placement.sections.get(name).copied();
    let dwarf = index(file(found.bytes, Some(&place))?)?;
    let matches = found.note.is_none();
    Ok(ImageDebug { dwarf, bias: 0, path: found.path, how: found.how, matches })
}
