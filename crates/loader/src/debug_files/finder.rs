//! One look for one file: the places in their order, and what is told of each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use necropsy_linux::build_id::to_hex;

use crate::files::{self, module_of};

use super::{
    DebugFiles, Found, Lookup,
    facts::{Facts, checksum},
    folder::{Depth, Folder},
    places,
    query::{Open, Part, Query, Refusal, Trust},
};

/// Lines that are told of the files of one folder.
const MAX_TOLD: usize = 4;
/// Files without a telling name that are looked at in one folder.
const MAX_OTHERS: usize = 1000;

pub(super) struct Finder<'a> {
    files: &'a DebugFiles,
    query: Query<'a>,
    refused: Vec<String>,
    /// A given file with another build-id, for when that does not matter.
    fallback: Option<Found>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(files: &'a DebugFiles, query: Query<'a>) -> Self {
        Finder { files, query, refused: Vec::new(), fallback: None }
    }

    /// Everywhere.
    pub(super) fn everywhere(mut self) -> Lookup {
        let found = self
            .given()
            .or_else(|| self.by_build_id())
            .or_else(|| self.by_release())
            .or_else(|| self.beside())
            .or_else(|| self.download());
        self.done(found)
    }

    /// Only in a file or folder.
    pub(super) fn only_in(mut self, path: &Path) -> Lookup {
        let found = match fs::metadata(path) {
            Err(error) => {
                self.refused.push(files::told(path, &error));
                None
            }
            Ok(meta) if meta.is_dir() => {
                let found = self.folder(path).or_else(|| self.fallback.take());
                if let (None, true, Part::Module(name)) =
                    (&found, self.refused.is_empty(), self.query.part)
                {
                    self.refused.push(format!("{}: no file of {name} in it", path.display()));
                }
                found
            }
            Ok(_) => {
                let found = self.attempt(path, "given", Trust::Named);
                let found = found.or_else(|| self.fallback.take());
                if found.is_none() && self.refused.is_empty() {
                    self.refused.push(format!("{}: not a module", path.display()));
                }
                found
            }
        };
        self.done(found)
    }

    fn done(self, found: Option<Found>) -> Lookup {
        Lookup { found, refused: self.refused }
    }

    fn tell(&mut self, line: String) {
        if !self.refused.contains(&line) {
            self.refused.push(line);
        }
    }

    /// The files and folders that the user named.
    fn given(&mut self) -> Option<Found> {
        for path in &self.files.options.given {
            let found = match fs::metadata(path) {
                Ok(meta) if meta.is_dir() => self.folder(path),
                Ok(_) => self.given_file(path),
                Err(error) => {
                    // Once is enough, and the kernel is always asked for.
                    if self.query.part == Part::Kernel {
                        self.tell(files::told(path, &error));
                    }
                    None
                }
            };
            if found.is_some() {
                return found;
            }
        }
        self.fallback.take()
    }

    fn given_file(&mut self, path: &Path) -> Option<Found> {
        match (self.query.part, module_of(path)) {
            (Part::Kernel, None) => self.attempt(path, "given", Trust::Named),
            (Part::Module(name), Some(of)) if of == name => {
                self.attempt(path, "given", Trust::Named)
            }
            // Any name is good for a file that has the right build-id.
            (Part::Module(_), None) if self.query.build_id.is_some() => {
                self.attempt(path, "given", Trust::None)
            }
            _ => None,
        }
    }

    /// A folder that the user named.
    fn folder(&mut self, path: &Path) -> Option<Found> {
        let folder = self.files.folders.get(path, Depth::All);
        if let Some(path) = self.query.build_id.and_then(|id| folder.by_id.get(&to_hex(id)))
            && let Some(found) = self.attempt(path, "given", Trust::None)
        {
            return Some(found);
        }
        let candidates = self.candidates(&folder);
        let alone = self.query.build_id.is_none() && self.is_alone(candidates);
        let told = self.refused.len();
        for path in candidates {
            if let Some(found) = self.attempt(path, "given", Trust::InFolder { alone }) {
                self.refused.truncate(told);
                return Some(found);
            }
        }
        let more = self.refused.len().saturating_sub(told + MAX_TOLD);
        if more > 0 {
            self.refused.truncate(told + MAX_TOLD);
            self.refused.push(format!("{}: {more} more files do not fit", path.display()));
        }
        self.others(&folder, "given")
    }

    fn candidates<'f>(&self, folder: &'f Folder) -> &'f [PathBuf] {
        match self.query.part {
            Part::Kernel => &folder.kernels,
            Part::Module(name) => folder.modules.get(name).map_or(&[], Vec::as_slice),
        }
    }

    /// Whether exactly one of the files has debug information: a built kernel's folder holds
    /// several files called `vmlinux`.
    fn is_alone(&self, candidates: &[PathBuf]) -> bool {
        let kind = self.query.kind();
        let has_debug =
            |path: &&PathBuf| Open::file(path, kind).is_ok_and(|file| file.facts.has_debug);
        candidates.len() == 1 || candidates.iter().filter(has_debug).take(2).count() == 1
    }

    /// Debug files whose names say nothing.
    fn others(&mut self, folder: &Folder, how: &'static str) -> Option<Found> {
        self.query.build_id?;
        let mut others = folder.others.iter().take(MAX_OTHERS);
        others.find_map(|path| self.attempt(path, how, Trust::None))
    }

    fn by_build_id(&mut self) -> Option<Found> {
        let root = places::debug_root(&self.files.root);
        let path = places::by_build_id(&root, self.query.build_id?)?;
        self.attempt(&path, "build-id directory", Trust::None)
    }

    fn by_release(&mut self) -> Option<Found> {
        let root = &self.files.root;
        let release = self.query.release?;
        match self.query.part {
            Part::Kernel => places::kernels(root, release)
                .iter()
                .find_map(|path| self.attempt(path, "release's directory", Trust::Release)),
            Part::Module(_) => places::module_folders(root, release).iter().find_map(|path| {
                let folder = self.files.folders.get(path, Depth::All);
                self.candidates(&folder)
                    .iter()
                    .find_map(|path| self.attempt(path, "release's directory", Trust::Release))
            }),
        }
    }

    fn beside(&mut self) -> Option<Found> {
        let how = "beside the dump";
        self.files.options.dump_dirs.iter().find_map(|path| {
            let folder = self.files.folders.get(path, Depth::Own);
            let mut candidates = self.candidates(&folder).iter();
            candidates
                .find_map(|path| self.attempt(path, how, Trust::None))
                .or_else(|| self.others(&folder, how))
        })
    }

    fn download(&mut self) -> Option<Found> {
        let id = self.query.build_id.filter(|id| id.len() > 1)?;
        let files = self.files;
        let fits = |path: &Path| {
            let bytes = files::open(path).map_err(|error| error.to_string())?;
            match Facts::of(&bytes) {
                Some(facts) if facts.build_id.as_deref() != Some(id) => {
                    Err("sent a file with another build-id".to_owned())
                }
                Some(facts) if facts.has_debug => Ok(()),
                Some(_) => Err("sent a file without debug information".to_owned()),
                None => Err("sent something that is no ELF file".to_owned()),
            }
        };
        let fetched = files.servers.fetch(&to_hex(id), &fits);
        fetched.problems.into_iter().for_each(|line| self.tell(line));
        self.attempt(&fetched.path?, "debuginfod", Trust::None)
    }

    /// Looks at one file.
    fn attempt(&mut self, path: &Path, how: &'static str, trust: Trust) -> Option<Found> {
        match self.judge(path, how, trust) {
            Ok(found) => Some(found),
            Err(Refusal::Silent) => None,
            Err(Refusal::Told(line)) => {
                self.tell(line);
                None
            }
            Err(Refusal::Differs(_, Some(found))) => {
                self.fallback.get_or_insert(*found);
                None
            }
            Err(Refusal::Differs(line, None)) => {
                self.tell(line);
                None
            }
        }
    }

    fn judge(&self, path: &Path, how: &'static str, trust: Trust) -> Result<Found, Refusal> {
        let refuse = |line: Option<String>| match line {
            Some(line) if trust == Trust::Named => Refusal::Told(line),
            _ => Refusal::Silent,
        };
        let open = Open::file(path, self.query.kind()).map_err(|why| refuse(why.told(path)))?;
        let id = open.facts.build_id.clone();
        let id_unknown = self.query.build_id.is_none();
        let (note, differs) = match self.query.compare(path, id.as_deref(), trust) {
            Ok(note) => (note, None),
            Err(Refusal::Differs(line, _)) if self.files.options.any_build_id => {
                (Some(self.query.differs_note(path, id.as_deref())), Some(line))
            }
            // Nor would it help if it were the right one.
            Err(_) if trust != Trust::Named && !open.facts.has_debug && id_unknown => {
                return Err(Refusal::Silent);
            }
            Err(refusal) => return Err(refusal),
        };
        let found = if open.facts.has_debug {
            let path = path.to_owned();
            Some(Found { path, bytes: open.bytes, build_id: id, how, note })
        } else {
            self.follow(path, &open.facts)
                .map(|found| Found { note: note.or(found.note.clone()), ..found })
        };
        let found = found.ok_or_else(|| {
            let line = format!("{}: no debug information in it", path.display());
            if trust.is_given() { Refusal::Told(line) } else { Refusal::Silent }
        })?;
        match differs {
            None => Ok(found),
            Some(line) => Err(Refusal::Differs(line, Some(Box::new(found)))),
        }
    }

    /// The file that has the debug information of one that has none.
    fn follow(&self, path: &Path, facts: &Facts) -> Option<Found> {
        let root = &self.files.root;
        let by_link = facts.link.iter().flat_map(|(name, crc)| {
            let places = places::linked(root, path, name).into_iter();
            places.map(|path| (path, Some(*crc), ".gnu_debuglink"))
        });
        let id = facts.build_id.as_deref();
        let by_id = id.and_then(|id| places::by_build_id(&places::debug_root(root), id));
        let in_given = id.into_iter().flat_map(|id| {
            let id = to_hex(id);
            self.files.options.given.iter().filter_map(move |path| {
                path.is_dir()
                    .then(|| self.files.folders.get(path, Depth::All))?
                    .by_id
                    .get(&id)
                    .cloned()
            })
        });
        let by_id = by_id.into_iter().chain(in_given);
        let by_id = by_id.map(|path| (path, None, "build-id directory"));
        by_link.chain(by_id).find_map(|(path, crc, how)| {
            let open = Open::file(&path, facts.kind).ok().filter(|file| file.facts.has_debug)?;
            let belongs = match (&facts.build_id, &open.facts.build_id) {
                (Some(this), Some(other)) => this == other,
                // A checksum means reading all of it: only where nothing else tells.
                _ => crc.is_some_and(|crc| checksum(&open.bytes) == crc),
            };
            let build_id = open.facts.build_id.or_else(|| facts.build_id.clone());
            belongs.then_some(Found { path, bytes: open.bytes, build_id, how, note: None })
        })
    }
}
