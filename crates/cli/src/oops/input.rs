//! What the command line names: files, folders, standard input; packed or not, short or long.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use necropsy_oops::channel::Packing;

use super::is_stdin;
use crate::opening::Request;

/// Inputs up to so many bytes are looked at as a whole, for they may be containers. Longer ones
/// are text, read as it comes.
pub(super) const SHORT: usize = 32 << 20;

/// Files within files, such as a log that was packed twice.
const MAX_PACKED: usize = 4;
/// Folders within folders: systemd keeps pstore in `/var/lib/systemd/pstore/EPOCH/COUNT`.
const MAX_DEPTH: usize = 4;
/// Files of a folder.
const MAX_FILES: usize = 10_000;

/// One file to read.
#[derive(Debug)]
pub(super) struct Input(PathBuf);

/// What a file holds.
pub(super) enum Content {
    /// A dump, whose log is meant.
    Dump(Request),
    /// All of it.
    Short(Vec<u8>),
    /// Where it comes from.
    Long(Box<dyn Read>),
}

/// An error with the file it is about.
pub(super) fn named(name: Option<&str>, error: &io::Error) -> String {
    format!("{}: {error}", name.unwrap_or("standard input"))
}

/// The files that are meant: those of a folder in the order of their names.
pub(super) fn inputs(paths: &[PathBuf]) -> impl Iterator<Item = Result<Input, String>> {
    paths.iter().flat_map(|path| {
        let mut found = Vec::new();
        walk(path, 0, &mut found);
        found
    })
}

fn walk(path: &Path, depth: usize, found: &mut Vec<Result<Input, String>>) {
    if depth > MAX_DEPTH || found.len() >= MAX_FILES {
        return;
    }
    // What does not exist is told when it is opened.
    if is_stdin(path) || !path.is_dir() {
        found.push(Ok(Input(path.to_owned())));
        return;
    }
    match fs::read_dir(path) {
        Err(error) => found.push(Err(format!("{}: {error}", path.display()))),
        Ok(entries) => {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            // A device or a pipe in a folder was not asked for.
            for path in paths.iter().filter(|path| path.is_dir() || path.is_file()) {
                walk(path, depth + 1, found);
            }
        }
    }
}

impl Input {
    /// Opens it and unpacks what is packed; gives its name too, unless it is standard input.
    ///
    /// # Errors
    /// It cannot be opened, or not a byte of it can be read.
    pub(super) fn open(self) -> Result<(Option<String>, Content), String> {
        let name = (!is_stdin(&self.0)).then(|| self.0.display().to_string());
        if name.is_some() && self.is_dump() {
            let request = Request { files: vec![self.0], ..Request::default() };
            return Ok((name, Content::Dump(request)));
        }
        let content = self.content(name.as_deref());
        let content = content.map_err(|error| named(name.as_deref(), &error))?;
        Ok((name, content))
    }

    /// Packed files are taken for logs: looking into a large one takes long.
    fn is_dump(&self) -> bool {
        let head = || read_up_to(&mut File::open(&self.0)?, 16);
        self.0.is_file()
            && head().is_ok_and(|head| Packing::of(&head).is_none())
            && necropsy_dump::is_dump(&self.0)
    }

    fn content(&self, name: Option<&str>) -> io::Result<Content> {
        let mut reader: Box<dyn Read> = match name {
            None => {
                if io::stdin().is_terminal() {
                    complain!("paste the log, then press Ctrl-D on a line of its own");
                }
                Box::new(io::stdin())
            }
            Some(_) => Box::new(File::open(&self.0)?),
        };
        // A record that the kernel packed is padded: the container's reader knows about that.
        let record = name.is_some_and(|name| name.ends_with(".enc.z"));
        for _ in 0..MAX_PACKED {
            let head = read_up_to(&mut reader, 16)?;
            let packing = Packing::of(&head).filter(|_| !record);
            let whole = io::Cursor::new(head).chain(reader);
            let Some(packing) = packing else {
                reader = Box::new(whole);
                break;
            };
            reader = packing.reader(whole)?;
        }
        let head = read_up_to(&mut reader, SHORT + 1)?;
        if head.len() <= SHORT {
            return Ok(Content::Short(head));
        }
        Ok(Content::Long(Box::new(io::Cursor::new(head).chain(reader))))
    }
}

/// The next bytes, as many as there are up to `limit`.
///
/// # Errors
/// Not one byte can be read. An error behind some bytes ends them: a damaged archive is read as
/// far as it goes.
fn read_up_to(reader: &mut dyn Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match reader.take(limit as u64).read_to_end(&mut bytes) {
        Err(error) if bytes.is_empty() => Err(error),
        _ => Ok(bytes),
    }
}
