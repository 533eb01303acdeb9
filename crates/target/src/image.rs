//! A piece of loaded code: vmlinux or a module, with its symbols and unwind table.

use std::sync::OnceLock;

use necropsy_debuginfo::{
    orc::Orc,
    symbols::{Symbol, Symbols},
};

use crate::{Target, debug::DebugSlot};

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
    pub(crate) orc: OnceLock<Option<Orc>>,
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

    /// Its unwind table, read from `target` on first use; `None` when it has none or it cannot be
    /// read.
    pub fn orc(&self, target: &Target) -> Option<&Orc> {
        self.orc.get_or_init(|| self.orc_tables.and_then(|t| target.load_orc(&t))).as_ref()
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
        (self.image.name != crate::target::VMLINUX).then_some(self.image.name.as_str())
    }
}
