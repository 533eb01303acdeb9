//! What is looked for, and whether a file is it.

use std::path::Path;

use necropsy_dump::Map;
use necropsy_linux::build_id::to_hex;

use crate::files;

use super::{
    Found,
    facts::{Facts, Kind, kind_of_head},
    places,
};

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) part: Part<'a>,
    pub(super) build_id: Option<&'a [u8]>,
    pub(super) release: Option<&'a str>,
}

/// A part of the kernel that has its own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Kernel,
    /// With underscores in its name.
    Module(&'a str),
}

/// Why a file is looked at, and with that how much it has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The user named this very file.
    Named,
    /// The user named a folder that it is in; whether no other file there can be meant.
    InFolder { alone: bool },
    /// Its path names the release.
    Release,
    /// Only its build-id can show that it is right.
    None,
}

impl Trust {
    /// Whether the user expects the file to be used, and is to be told why it is not.
    pub(super) fn is_given(self) -> bool {
        matches!(self, Trust::Named | Trust::InFolder { .. })
    }
}

/// Why a file is not used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody expected it to be.
    Silent,
    /// One line.
    Told(String),
    /// It has another build-id; the file all the same, if that is to be overridden.
    Differs(String, Option<Box<Found>>),
}

/// An ELF file that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) bytes: Map,
    pub(super) facts: Facts,
}

impl Open {
    /// Opens a file if it is an ELF file of the right kind. A packed one of another kind is not
    /// unpacked.
    pub(super) fn file(path: &Path, kind: Kind) -> Result<Open, NotOpen> {
        let head = files::head(path).map_err(|error| NotOpen::Failed(error.to_string()))?;
        match kind_of_head(&head) {
            None => return Err(NotOpen::NotElf),
            Some(found) if found != kind => return Err(NotOpen::Other(found)),
            Some(_) => {}
        }
        let bytes = files::open(path).map_err(|error| NotOpen::Failed(error.to_string()))?;
        let facts = Facts::of(&bytes).ok_or(NotOpen::Damaged)?;
        Ok(Open { bytes, facts })
    }
}

/// Why a file could not be opened.
#[derive(Debug)]
pub(super) enum NotOpen {
    Failed(String),
    NotElf,
    Damaged,
    Other(Kind),
}

impl NotOpen {
    /// One line; `None` if the file is of something else, and good for that.
    pub(super) fn told(self, path: &Path) -> Option<String> {
        let what = match self {
            NotOpen::Failed(error) => error,
            NotOpen::NotElf => {
                "not an ELF file: give a vmlinux, a module or a debug file of one".to_owned()
            }
            NotOpen::Damaged => "its ELF headers are damaged".to_owned(),
            NotOpen::Other(Kind::Core) => "a dump, not debug information".to_owned(),
            NotOpen::Other(_) => return None,
        };
        Some(format!("{}: {what}", path.display()))
    }
}

impl Query<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self.part {
            Part::Kernel => Kind::Linked,
            Part::Module(_) => Kind::Relocatable,
        }
    }

    fn what(&self) -> String {
        match self.part {
            Part::Kernel => "the dump's kernel".to_owned(),
            Part::Module(name) => format!("the dump's module {name}"),
        }
    }

    /// Compares build-ids, as far as there are any. `Ok` is what the user should know of a file
    /// that is used.
    pub(super) fn compare(
        &self,
        path: &Path,
        found: Option<&[u8]>,
        trust: Trust,
    ) -> Result<Option<String>, Refusal> {
        let shown = path.display();
        let refuse = |line: String| match trust.is_given() {
            true => Refusal::Told(line),
            false => Refusal::Silent,
        };
        match (self.build_id, found) {
            (Some(wanted), Some(found)) if wanted == found => Ok(None),
            (Some(_), Some(_)) if !trust.is_given() => Err(Refusal::Silent),
            (Some(wanted), Some(found)) => {
                let (wanted, found) = (to_hex(wanted), to_hex(found));
                let line = format!(
                    "{shown}: build-id {found}, {} has {wanted} (--any-build-id uses it all the \
                     same)",
                    self.what()
                );
                Err(Refusal::Differs(line, None))
            }
            (Some(_), None) => match trust {
                Trust::Named => Ok(Some(format!("{shown}: has no build-id to compare"))),
                _ => Err(refuse(format!(
                    "{shown}: has no build-id to compare: name the file itself to use it"
                ))),
            },
            (None, _) => self.without_id(path, trust),
        }
    }

    /// A file when the dump does not say its build-id.
    fn without_id(&self, path: &Path, trust: Trust) -> Result<Option<String>, Refusal> {
        let shown = path.display();
        let why = format!("the build-id of {} is not known", self.what());
        let by_release = self.release.is_some_and(|release| places::names_release(path, release));
        let sure = match trust {
            Trust::Named | Trust::InFolder { alone: true } | Trust::Release => true,
            Trust::InFolder { alone: false } | Trust::None => by_release,
        };
        match sure {
            true => Ok(Some(format!("{shown}: not compared: {why}"))),
            false => {
                Err(Refusal::Told(format!("{shown}: {why}: --symbols {shown} takes it as it is")))
            }
        }
    }

    /// What is told of a file that is used although its build-id is another.
    pub(super) fn differs_note(&self, path: &Path, found: Option<&[u8]>) -> String {
        let of = |id: Option<&[u8]>| id.map_or_else(|| "none".to_owned(), to_hex);
        format!(
            "{}: build-id {}, {} has {}: used all the same",
            path.display(),
            of(found),
            self.what(),
            of(self.build_id)
        )
    }
}
