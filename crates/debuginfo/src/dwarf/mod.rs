//! The debug information of `vmlinux` and of modules: lines, inlined functions, unwind rules,
//! variables and their places, types.
//!
//! Nothing is read before it is asked for but what the index holds, and that is made once
//! per file and kept. Addresses are those of the file: of `vmlinux` as it was linked, of a module
//! as [`DebugFile::open_placed`] put it.

mod build;
mod cache;
mod calls;
mod cfi;
mod compare;
mod file;
mod index;
mod memo;
mod place;
mod scan;
mod source;
mod types;
mod variables;

use std::sync::{Arc, OnceLock};

use gimli::DebugInfoOffset;

pub use cache::Cache;
pub use calls::{Callee, TailCall};
pub use cfi::{Cfi, EhFrame, Rule};
pub use compare::{Comparison, Difference};
pub use file::{DebugFile, FileBytes, FileData, PlacedCode};
pub use index::IndexBytes;
pub use source::{Scope, SourceFrame, tidy};
pub use types::Variable;
pub use variables::{Frame, Local, Lost, Placed};

use file::Slice;
use index::Index;
use memo::Memo;

/// The sections of a file as gimli takes them.
fn sections(file: &DebugFile) -> gimli::Dwarf<Slice<'_>> {
    let sections = gimli::DwarfSections::load(|id| Ok::<_, gimli::Error>(file.section(id)));
    match sections {
        Ok(sections) => sections.borrow(|section| *section),
        // Nothing fails in the closure above.
        Err(_) => gimli::Dwarf::default(),
    }
}

self_cell::self_cell!(
    struct Cell {
        owner: DebugFile,
        #[not_covariant]
        dependent: Inner,
    }
);

/// A debug file, indexed.
pub struct Dwarf {
    cell: Cell,
}

/// What borrows from the file.
struct Inner<'a> {
    dwarf: gimli::Dwarf<Slice<'a>>,
    frame: gimli::DebugFrame<Slice<'a>>,
    index: Index,
    /// By number, read when first asked.
    units: Box<[OnceLock<Option<Unit<'a>>>]>,
    converted: types::Converted,
    frames_at: Memo<u64, Arc<[SourceFrame]>>,
    cfi_at: Memo<u64, Option<Arc<Cfi>>>,
    /// The call that returns to an address: its entry's offset.
    call_sites: Memo<u64, Option<u32>>,
    /// The jumps of a function, by its entry's offset.
    jumps: Memo<u32, calls::Jumps>,
}

/// A unit with its tables.
struct Unit<'a> {
    /// Offset of its header in `.debug_info`.
    offset: u32,
    unit: gimli::Unit<Slice<'a>>,
    rows: OnceLock<source::Rows>,
}

impl<'a> Unit<'a> {
    fn rows(&self) -> &source::Rows {
        self.rows.get_or_init(|| source::Rows::of(&self.unit))
    }

    /// The place in the unit of an offset in `.debug_info`.
    fn local(&self, die: u32) -> Option<gimli::UnitOffset> {
        die.checked_sub(self.offset).map(|offset| gimli::UnitOffset(offset as usize))
    }

    /// The other way round.
    fn global(&self, offset: gimli::UnitOffset) -> Option<u32> {
        u32::try_from(offset.0).ok()?.checked_add(self.offset)
    }

    fn entry(&self, die: u32) -> Option<source::Die<'a>> {
        self.unit.entry(self.local(die)?).ok()
    }
}

impl std::fmt::Debug for Dwarf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dwarf").field("file", self.cell.borrow_owner()).finish_non_exhaustive()
    }
}

/// Why a file gives no debug information.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DwarfError {
    /// It has none.
    #[error("no debug information in it")]
    None,
}

impl Dwarf {
    /// Takes a file over. The index is read from the cache, or made and kept there; without one,
    /// and for files without a build ID, it is made each time.
    ///
    /// # Errors
    /// When there is no debug information in the file.
    pub fn open(file: DebugFile, cache: Option<&Cache<'_>>) -> Result<Dwarf, DwarfError> {
        if !file.has_lines() {
            return Err(DwarfError::None);
        }
        let index = cache::index(&file, cache);
        let cell = Cell::new(file, |file| {
            let units = (0..index.unit_count()).map(|_| OnceLock::new()).collect();
            Inner {
                dwarf: sections(file),
                frame: build::debug_frame(file),
                index,
                units,
                converted: types::Converted::default(),
                frames_at: Memo::default(),
                cfi_at: Memo::default(),
                call_sites: Memo::default(),
                jumps: Memo::default(),
            }
        });
        Ok(Dwarf { cell })
    }

    /// Where `_stext` was linked: the distance to the running one is that of the whole kernel.
    pub fn stext(&self) -> Option<u64> {
        self.with(|inner| inner.index.stext())
    }

    /// The file.
    pub fn file(&self) -> &DebugFile {
        self.cell.borrow_owner()
    }

    fn with<R>(&self, ask: impl for<'a> FnOnce(&Inner<'a>) -> R) -> R {
        self.cell.with_dependent(|_, inner| ask(inner))
    }
}

impl<'a> Inner<'a> {
    /// The unit whose header is at `offset`.
    fn unit(&self, offset: u32) -> Option<&Unit<'a>> {
        let (number, start) = self.index.unit_of(offset)?;
        let slot = self.units.get(number)?;
        let read = || {
            let header = self.dwarf.unit_header(DebugInfoOffset(start as usize)).ok()?;
            Some(Unit { offset: start, unit: self.dwarf.unit(header).ok()?, rows: OnceLock::new() })
        };
        slot.get_or_init(read).as_ref()
    }

    /// The unit that an entry belongs to, and the entry's place in it.
    fn place(&self, die: u32) -> Option<(&Unit<'a>, gimli::UnitOffset)> {
        let unit = self.unit(die)?;
        Some((unit, unit.local(die)?))
    }
}
