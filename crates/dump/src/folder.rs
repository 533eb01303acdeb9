//! What a crash folder has inside: a dump, the parts of one, logs; also the layout of an sosreport.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Dump, OpenError, OpenOptions, is_dump};

/// What was found in a folder and below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Each is one dump: a file, or the parts of a split set. The newest first.
    pub dumps: Vec<Vec<PathBuf>>,
    /// Kernel logs, those named for a crash first.
    pub logs: Vec<PathBuf>,
}

/// Levels below the folder that are looked at: `var/crash/127.0.0.1-2026-11-27/vmcore`.
const DEPTH: usize = 4;
/// Files looked at: an sosreport has some thousands.
const FILES: usize = 20_000;
/// Smaller than this is no dump.
const SMALLEST: u64 = 512;

impl Folder {
    /// Looks into `folder`, at most four levels deep.
    ///
    /// # Errors
    /// The folder itself cannot be read; what cannot be read below it is left out.
    pub fn look_into(folder: &Path) -> io::Result<Folder> {
        let mut found = Folder::default();
        let mut left = FILES;
        look(folder, DEPTH, &mut left, &mut found)?;
        let age = |set: &Vec<PathBuf>| {
            let times = set.iter().filter_map(|path| path.metadata().ok()?.modified().ok());
            std::cmp::Reverse(times.max())
        };
        found.dumps.sort_by_key(age);
        found.logs.sort_by_key(|path| (!name(path).starts_with("vmcore"), path.clone()));
        Ok(found)
    }
}

/// The one dump in a folder: its file, or its parts.
///
/// # Errors
/// There is none, or there are several; the folder cannot be read.
pub fn dump_inside(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let found = Folder::look_into(folder).map_err(|error| OpenError::io(folder, error))?;
    let mut dumps = found.dumps.into_iter();
    match (dumps.next(), dumps.len()) {
        (Some(dump), 0) => Ok(dump),
        (Some(first), others) => {
            let shown = [first].into_iter().chain(dumps).take(SHOWN);
            let names: Vec<String> =
                shown.filter_map(|set| Some(set.first()?.display().to_string())).collect();
            let more = if others + 1 > SHOWN { ", …" } else { "" };
            Err(OpenError::SeveralDumps {
                folder: folder.into(),
                count: others + 1,
                names: format!("{}{more}", names.join(", ")),
            })
        }
        (None, _) => Err(match found.logs.into_iter().next() {
            Some(log) => OpenError::OnlyLog { folder: folder.into(), log },
            None => OpenError::NoDumpInside { folder: folder.into() },
        }),
    }
}

/// Dumps named in an error.
const SHOWN: usize = 5;

/// Whether a file beside a dump is a kernel's log, going by its name.
pub fn is_log_beside(path: &Path) -> bool {
    let name = name(path);
    is_log(&name) || matches!(name.as_str(), "kexec-dmesg.log" | "kdump.log")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn look(folder: &Path, depth: usize, left: &mut usize, found: &mut Folder) -> io::Result<()> {
    let mut dumps = Vec::new();
    let mut below = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let Ok(meta) = path.metadata() else { continue };
        if meta.is_dir() {
            // A link to a folder may lead round in a circle.
            if !path.is_symlink() {
                below.push(path);
            }
        } else if is_log(&name(&path)) {
            found.logs.push(path);
        } else if meta.len() >= SMALLEST && may_be_dump(&path) && is_dump(&path) {
            dumps.push(path);
        }
    }
    found.dumps.extend(sets(dumps));
    for folder in below.into_iter().filter(|_| depth > 0) {
        // A folder that may not be read is not what was asked for.
        let _ = look(&folder, depth - 1, left, found);
    }
    Ok(())
}

/// `vmcore-dmesg.txt`, `dmesg.202611270915`, an sosreport's `sos_commands/kernel/dmesg`.
fn is_log(name: &str) -> bool {
    let is_other = [".gz", ".xz", ".sh", ".conf"].iter().any(|ending| name.ends_with(ending));
    !is_other && (name.starts_with("vmcore-dmesg") || name.starts_with("dmesg"))
}

/// Anything may be packed: only what is named like a dump is taken for one then.
fn may_be_dump(path: &Path) -> bool {
    let name = name(path).to_ascii_lowercase();
    let endings = [".gz", ".xz", ".zst", ".bz2", ".lz4", ".lzma", ".zip", ".tar", ".sz", ".tgz"];
    let is_packed = endings.iter().any(|ending| name.ends_with(ending));
    !is_packed || ["core", "crash", "dump", "mem", "lime"].iter().any(|word| name.contains(word))
}

/// The dumps of one folder: parts that open together are one, and of a whole and an incomplete dump
/// the whole one counts.
fn sets(mut files: Vec<PathBuf>) -> Vec<Vec<PathBuf>> {
    let is_memory = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "vmem");
    if files.iter().any(|path| !is_memory(path)) {
        // It belongs to the state beside it.
        files.retain(|path| !is_memory(path));
    }
    if files.iter().any(|path| name(path) == "vmcore") {
        files.retain(|path| !name(path).starts_with("vmcore-incomplete"));
    }
    let is_packed = |path: &PathBuf| {
        crate::image::Image::open(path).is_ok_and(|image| crate::unpack::packing(&image).is_some())
    };
    if files.len() > 1
        && !files.iter().any(is_packed)
        && Dump::open(&files, OpenOptions::default()).is_ok()
    {
        return vec![files];
    }
    files.into_iter().map(|file| vec![file]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            path
        };
        assert!(matches!(dump_inside(folder.path()), Err(OpenError::NoDumpInside { .. })));
        let log = put("var/crash/1/vmcore-dmesg.txt", b"[    0.0] Linux version 6.1\n");
        put("var/log/messages", b"text");
        put("sos_commands/kernel/dmesg", b"[    0.0] Linux version 6.1\n");
        let Err(OpenError::OnlyLog { log: found, .. }) = dump_inside(folder.path()) else {
            panic!("only logs")
        };
        assert_eq!(found, log);
        let dump = necropsy_synth::lime(&[(0, vec![7; 8192])]);
        put("var/crash/1/vmcore-incomplete", &dump);
        let whole = put("var/crash/1/vmcore", &dump);
        assert_eq!(dump_inside(folder.path()).unwrap(), std::slice::from_ref(&whole));
        // A folder of links, as some services keep of the newest.
        let links = folder.path().join("links");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(&whole, links.join("latest")).unwrap();
        std::os::unix::fs::symlink(&links, links.join("round")).unwrap();
        assert_eq!(dump_inside(&links).unwrap(), [links.join("latest")]);
        fs::remove_dir_all(&links).unwrap();
        put("var/crash/2/vmcore", &dump);
        let error = dump_inside(folder.path()).unwrap_err().to_string();
        assert!(error.contains("2 dumps") && error.contains("crash/2/vmcore"), "{error}");
        assert_eq!(dump_inside(&folder.path().join("var/crash/2")).unwrap().len(), 1);
    }

    #[test]
    fn parts_of_a_split_set_are_one_dump() {
        let folder = tempfile::tempdir().unwrap();
        for (index, range) in [(0, 20), (20, 100)].into_iter().enumerate() {
            let mut part = necropsy_synth::Kdump::x86_64(100);
            part.split = Some(range);
            part.existed = (0..60).collect();
            fs::write(folder.path().join(format!("vmcore-{index}")), part.build()).unwrap();
        }
        assert_eq!(dump_inside(folder.path()).unwrap().len(), 2);
    }
}
