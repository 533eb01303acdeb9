//! A piece of loaded code: vmlinux or a module, with its symbols and unwind table.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, RwLock},
};

use necropsy_debuginfo::{
    btf::BtfError,
    dwarf::Dwarf,
    orc::{Orc, OrcError},
    symbols::{Symbol, Symbols},
};
use necropsy_dump::Fault;

/// The name of the kernel's own image.
pub const VMLINUX: &str = "vmlinux";

/// A range of kernel virtual addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Whether code lies in it.
    pub text: bool,
}

impl Range {
    /// Whether `address` lies in it.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// Where an image's ORC tables lie in kernel virtual memory.
#[derive(Debug, Clone, Copy)]
pub struct OrcTables {
    /// `s32` addresses, relative to themselves.
    pub ip: u64,
    /// 6-byte entries.
    pub entries: u64,
    /// How many.
    pub count: u64,
}

/// vmlinux or a module.
#[derive(Debug)]
pub struct Image {
    /// `vmlinux`, or the module's name.
    pub name: String,
    /// Where it lies.
    pub ranges: Vec<Range>,
    /// Its symbols.
    pub symbols: Symbols,
    /// Where its unwind table is.
    pub orc_tables: Option<OrcTables>,
    pub(crate) orc: OnceLock<Option<Result<Orc, TableError>>>,
    pub(crate) debug: DebugSlot,
}

impl Image {
    /// An image whose unwind table is read when first needed.
    pub fn new(
        name: impl Into<String>,
        ranges: Vec<Range>,
        symbols: Symbols,
        orc_tables: Option<OrcTables>,
    ) -> Self {
        Image {
            name: name.into(),
            ranges,
            symbols,
            orc_tables,
            orc: OnceLock::new(),
            debug: DebugSlot::default(),
        }
    }

    /// Whether `address` lies in one of its ranges.
    pub fn contains(&self, address: u64) -> bool {
        self.ranges.iter().any(|r| r.contains(address))
    }

    /// Whether `address` lies in its code.
    pub fn is_text(&self, address: u64) -> bool {
        self.ranges.iter().any(|r| r.text && r.contains(address))
    }
}

/// An address with its symbol.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    /// The symbol at or below the address.
    pub symbol: Symbol<'a>,
    /// Bytes from the symbol to the address.
    pub offset: u64,
    /// The image it belongs to.
    pub image: &'a Image,
}

impl Located<'_> {
    /// The module's name, `None` for vmlinux.
    pub fn module(&self) -> Option<&str> {
        (self.image.name != VMLINUX).then_some(self.image.name.as_str())
    }
}

/// Why one of the kernel's tables is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It cannot be read.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The types are damaged.
    #[error("{0}")]
    Btf(#[from] BtfError),
    /// The unwind table is damaged.
    #[error("{0}")]
    Orc(#[from] OrcError),
}

/// The debug information of an image.
#[derive(Debug)]
pub struct ImageDebug {
    /// What the file tells.
    pub dwarf: Dwarf,
    /// What is added to its addresses to have those of the running kernel.
    pub bias: u64,
    /// The file.
    pub path: PathBuf,
    /// How it was found.
    pub how: &'static str,
    /// It is known to be of this very kernel: its build ID is the same.
    pub matches: bool,
}

/// An image's debug information, once it was looked for.
#[derive(Debug, Default)]
pub(crate) struct DebugSlot(RwLock<Option<Option<Arc<ImageDebug>>>>);

impl DebugSlot {
    pub(crate) fn known(&self) -> Option<Option<Arc<ImageDebug>>> {
        self.0.read().unwrap_or_else(|error| error.into_inner()).clone()
    }

    pub(crate) fn get(&self, load: impl FnOnce() -> Option<ImageDebug>) -> Option<Arc<ImageDebug>> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut slot = self.0.write().unwrap_or_else(|error| error.into_inner());
        slot.get_or_insert_with(|| load().map(Arc::new)).clone()
    }

    pub(crate) fn put(&self, debug: Option<ImageDebug>) {
        *self.0.write().unwrap_or_else(|error| error.into_inner()) = Some(debug.map(Arc::new));
    }
}
