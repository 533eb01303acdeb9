//! Finding and opening files: folders searched with bounds, packed files unpacked.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use necropsy_dump::Map;
use necropsy_oops::channel::Packing;

/// Folders within folders: `/usr/lib/debug/lib/modules/RELEASE/kernel/drivers/net/…`.
const MAX_DEPTH: usize = 16;
/// Files that a search yields.
const MAX_FILES: usize = 100_000;
/// Entries that a search looks at: somebody may give it `/`.
const MAX_ENTRIES: usize = 1_000_000;
/// Most bytes that a packed file may grow to: twice the largest `vmlinux` known.
const MAX_UNPACKED: u64 = 2 << 30;
/// Bytes that tell what an ELF file is: its header.
const HEAD: u64 = 64;

/// An error of a file, in one line.
pub fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// The last part of a path.
pub fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The module that a file is of, by its name: `snd-hda-intel.ko.xz` is of `snd_hda_intel`.
pub fn module_of(path: &Path) -> Option<String> {
    let name = name_of(path);
    let (module, rest) = name.split_once(".ko")?;
    (rest.is_empty() || rest.starts_with('.')).then(|| module.replace('-', "_"))
}

/// Maps a file, or unpacks it.
///
/// # Errors
/// Those of the file, of unpacking it, and that it grows too large.
pub fn open(path: &Path) -> io::Result<Map> {
    regular(path)?;
    let map = Map::open(path)?;
    let Some(packing) = Packing::of(&map) else { return Ok(map) };
    let mut bytes = Vec::new();
    packing.reader(&*map)?.take(MAX_UNPACKED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_UNPACKED {
        return Err(io::Error::other("unpacks to more than 2 GiB: unpack it yourself"));
    }
    Ok(Map::of(bytes))
}

/// The first bytes of what a file holds once it is unpacked, for little work.
///
/// # Errors
/// Those of the file, and of unpacking it.
pub fn head(path: &Path) -> io::Result<Vec<u8>> {
    regular(path)?;
    let mut packed = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut packed)?;
    let Some(packing) = Packing::of(&packed) else { return Ok(packed) };
    let mut bytes = Vec::new();
    packing.reader(BufReader::new(File::open(path)?))?.take(HEAD).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opening a pipe would wait for whoever writes to it.
fn regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// The files in a folder and the folders in it that are wanted, sorted within each.
///
/// # Errors
/// The folder cannot be read; of the folders in it that is no error.
pub fn search(folder: &Path, wanted: &mut dyn FnMut(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut search = Search { wanted, found: Vec::new(), entries: 0 };
    search.folder(folder, MAX_DEPTH)?;
    Ok(search.found)
}

/// As [`search`], without the folders in the folder.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &Path, wanted: &mut dyn FnMut(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut search = Search { wanted, found: Vec::new(), entries: 0 };
    search.folder(folder, 0)?;
    Ok(search.found)
}

struct Search<'a> {
    wanted: &'a mut dyn FnMut(&Path) -> bool,
    found: Vec<PathBuf>,
    entries: usize,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        let left = MAX_ENTRIES - self.entries;
        let entries = fs::read_dir(folder)?.take(left).flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        self.entries += paths.len().min(left);
        paths.sort();
        for path in paths {
            if self.found.len() >= MAX_FILES {
                break;
            }
            // A link may lead back to where the search came from.
            let Ok(kind) = fs::symlink_metadata(&path).map(|meta| meta.file_type()) else {
                continue;
            };
            if kind.is_dir() {
                if depth > 0 {
                    // A folder that cannot be read has nothing to offer.
                    let _ = self.folder(&path, depth - 1);
                }
            } else if (self.wanted)(&path) && path.is_file() {
                self.found.push(path);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn modules_by_the_names_of_their_files() {
        for (file, module) in [
            ("/lib/modules/6.1/kernel/snd-hda-intel.ko.xz", Some("snd_hda_intel")),
            ("ext4.ko", Some("ext4")),
            ("ext4.ko.debug", Some("ext4")),
            ("vmlinux-6.1.0", None),
            ("x.kore", None),
        ] {
            assert_eq!(module_of(Path::new(file)).as_deref(), module, "{file}");
        }
    }

    #[test]
    fn folders_are_searched_without_going_in_circles() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        for path in [folder.path().join("x.ko"), inner.join("y.ko"), inner.join("z")] {
            fs::write(path, b"").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), inner.join("back.ko")).unwrap();
        let mut modules = |path: &Path| module_of(path).is_some();
        let found = search(folder.path(), &mut modules).unwrap();
        assert_eq!(found, [inner.join("y.ko"), folder.path().join("x.ko")]);
        assert_eq!(list(folder.path(), &mut modules).unwrap(), [folder.path().join("x.ko")]);
        assert!(search(&folder.path().join("none"), &mut modules).is_err());
        assert!(open(folder.path()).is_err() && head(folder.path()).is_err());
    }

    #[test]
    fn packed_files_are_unpacked_and_damaged_ones_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gz");
        let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&content).unwrap();
        let packed = packer.finish().unwrap();
        fs::write(&path, &packed).unwrap();
        assert_eq!(*open(&path).unwrap(), content);
        assert_eq!(head(&path).unwrap(), content[..64]);
        fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        assert!(open(&path).is_err());
        fs::write(&path, b"").unwrap();
        assert!(open(&path).unwrap().is_empty() && head(&path).unwrap().is_empty());
    }
}
