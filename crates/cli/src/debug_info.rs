//! Debug information of the open dump: which file is taken for which image, and where its index
//! is kept.

use std::{env, io, ops::Range, path::PathBuf, sync::Arc};

use necropsy_debuginfo::dwarf::{Cache, DebugFile, Dwarf, FileData};
use necropsy_dump::Map;
use necropsy_linux::{Kernel, module};
use necropsy_target::{Image, Target, debug::ImageDebug, target::VMLINUX};

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

/// Opens a file as debug information of the kernel, or of a module whose sections `place` knows.
pub(crate) fn open(
    bytes: Map,
    place: Option<&dyn Fn(&str) -> Option<u64>>,
) -> Result<Dwarf, String> {
    let bytes = Box::new(Mapped(bytes));
    let file = match place {
        None => DebugFile::open(bytes),
        Some(place) => DebugFile::open_placed(bytes, place),
    };
    let file = file.map_err(|error| error.to_string())?;
    let directory = cache_directory();
    let map = |path: &std::path::Path| -> io::Result<necropsy_debuginfo::dwarf::IndexBytes> {
        Ok(Box::new(Map::open(path)?))
    };
    let cache = directory.as_deref().map(|directory| Cache { directory, map: &map });
    Dwarf::open(file, cache.as_ref()).map_err(|error| error.to_string())
}

/// How far the running kernel is from where a file was linked.
fn bias(target: &Target, dwarf: &Dwarf) -> Option<u64> {
    let linked = dwarf.file().symbols().by_name("_stext")?.address;
    Some(target.address_of("_stext")?.wrapping_sub(linked))
}

/// Tells a kernel how its debug information is found. (TEMPORARY)
pub(crate) fn attach(kernel: &Arc<Kernel>, dir: Option<PathBuf>) {
    let Some(dir) = dir else { return };
    kernel.target().set_debug_loader(Box::new(move |target, image| {
        if image.name == VMLINUX {
            let path = dir.join("vmlinux");
            let dwarf = open(Map::open(&path).ok()?, None).ok()?;
            let bias = bias(target, &dwarf)?;
            Some(ImageDebug { dwarf, bias, path, how: "given" })
        } else {
            let path = dir.join(format!("{}.ko", image.name));
            let map = Map::open(&path).ok()?;
            let placement = module::placement(target, &image.name).ok()?;
            let dwarf = open(map, Some(&|name| placement.sections.get(name).copied())).ok()?;
            Some(ImageDebug { dwarf, bias: 0, path, how: "given" })
        }
    }));
}
