//! CTF version 2, the types of illumos kernels and modules (`uts/common/sys/ctf.h`).
//!
//! A container is filled into the one type graph. That of a module usually has a parent
//! (`genunix`), whose types its own refer to.

mod body;
mod kinds;
mod symbols;

use crate::types::{TypeId, Types};

pub use symbols::SymbolTypes;

/// Why a container cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CtfError {
    /// It is no CTF.
    #[error("no CTF data")]
    NotCtf,
    /// It is of another kind, which is named.
    #[error("{0}: illumos kernels have version 2")]
    Version(&'static str),
    /// It contradicts itself.
    #[error("damaged CTF data: {0}")]
    Damaged(&'static str),
    /// Its types refer to those of another container, which was not given.
    #[error("its types build on those of {0}, which are not there")]
    NoParent(String),
    /// The type graph is full.
    #[error("too many types")]
    Full,
}

/// A container whose types are in a [`Types`] graph.
#[derive(Debug)]
pub struct Ctf {
    body: Vec<u8>,
    header: body::Header,
    first: TypeId,
    count: u32,
    parent: Option<(TypeId, u32)>,
}

/// The name of the parent whose types a container's own build on; none for a container that
/// stands alone.
///
/// # Errors
/// It is no container that can be read.
pub fn parent_name(data: &[u8], elf_strings: &[u8]) -> Result<Option<String>, CtfError> {
    let (header, body) = body::unpack(data)?;
    Ok(header.parent_name(&body, elf_strings))
}

impl Ctf {
    /// Fills the types of a container into `types`. Names may lie in the module's own string
    /// table, `elf_strings`.
    ///
    /// # Errors
    /// It cannot be used; nothing was added then.
    pub fn load(
        types: &Types,
        data: &[u8],
        elf_strings: &[u8],
        parent: Option<&Ctf>,
    ) -> Result<Ctf, CtfError> {
        let (header, body) = body::unpack(data)?;
        if let Some(name) = header.parent_name(&body, elf_strings)
            && parent.is_none()
        {
            return Err(CtfError::NoParent(name));
        }
        let is_child = header.parent_name(&body, elf_strings).is_some();
        let parent = parent.filter(|_| is_child).map(|parent| (parent.first, parent.count));
        let (first, count) = kinds::fill(types, &header, &body, elf_strings, parent)?;
        Ok(Ctf { body, header, first, count, parent })
    }

    /// How many types it has.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the type is one of this container's own.
    pub fn owns(&self, ty: TypeId) -> bool {
        (self.first.0..self.first.0 + self.count).contains(&ty.0)
    }

    /// The type of a number in the container.
    fn resolve(&self, id: u16) -> TypeId {
        kinds::resolve(id, self.first, self.count, self.parent)
    }
}
