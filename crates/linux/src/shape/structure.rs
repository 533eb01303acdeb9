//! A structure as a whole.

use necropsy_debuginfo::TypeId;
use necropsy_dump::Fault;

use super::Sources;
use crate::error::{Error, Result};

/// A structure or union: which of its tags this kernel has, and how large it is.
#[derive(Debug, Clone, Copy)]
pub struct Structure {
    /// Its tags through time; the first that exists counts.
    pub tags: &'static [&'static str],
    at: Option<(&'static str, TypeId)>,
    size: Option<u64>,
    /// Why it may be there all the same.
    hidden: Option<Fault>,
}

impl Structure {
    pub(crate) fn resolve(sources: &Sources<'_>, tags: &'static [&'static str]) -> Structure {
        let types = sources.types;
        let at = tags.iter().find_map(|&tag| Some((tag, types.composite(tag)?)));
        let size = match at {
            Some((_, id)) => types.size_of(id),
            None => tags.iter().find_map(|tag| sources.info?.size(tag)),
        };
        Structure { tags, at, size, hidden: sources.hidden }
    }

    /// Whether this kernel's types have it.
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// The tag that it has in this kernel, else the first that it had.
    pub fn tag(&self) -> &'static str {
        self.at.map(|(tag, _)| tag).or(self.tags.first().copied()).unwrap_or_default()
    }

    /// Its type.
    pub fn ty(&self) -> Option<TypeId> {
        self.at.map(|(_, id)| id)
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when neither the types nor VMCOREINFO know it.
    pub fn size(&self) -> Result<u64> {
        self.size.filter(|size| *size > 0).ok_or_else(|| match self.hidden {
            Some(fault) => fault.into(),
            None => Error::no_type(self.tag()),
        })
    }
}
