//! Names and addresses, as mdb resolves them: the table of the whole kernel, then the modules' own.

use necropsy_debuginfo::SymbolType;

use crate::{Kernel, module::Module};

/// A symbol that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its module, if it is in no table but the module's own, or was asked for by module.
    pub module: Option<String>,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// Bytes; 0 unknown.
    pub size: u64,
    /// What it names.
    pub kind: SymbolType,
}

impl Kernel {
    /// The symbol of that name; `` module`name `` is one of that module alone.
    pub fn symbol(&self, name: &str) -> Option<Found> {
        let found = |symbol: necropsy_debuginfo::ElfSymbol<'_>, module: Option<&Module>| Found {
            module: module.map(|module| module.name.clone()),
            name: symbol.name.to_owned(),
            address: symbol.address,
            size: symbol.size,
            kind: symbol.kind,
        };
        if let Some((module, name)) = name.split_once('`') {
            let module = self.module(module)?;
            let symbol = self.module_symbols(module).ok()?.by_name(name)?;
            return Some(found(symbol, Some(module)));
        }
        if let Some(symbol) = self.ksyms.by_name(name) {
            return Some(found(symbol, None));
        }
        // Every module's symbols are in the kernel's table: only a damaged one makes this needed.
        if !self.ksyms.is_empty() {
            return None;
        }
        self.modules().iter().find_map(|module| {
            Some(found(self.module_symbols(module).ok()?.by_name(name)?, Some(module)))
        })
    }

    /// The symbol that an address belongs to.
    pub fn symbol_at(&self, address: u64) -> Option<Found> {
        if let Some(symbol) = self.ksyms.lookup(address) {
            return Some(Found {
                module: None,
                name: symbol.name.to_owned(),
                address: symbol.address,
                size: symbol.size,
                kind: symbol.kind,
            });
        }
        let module = self.module_at(address)?;
        let symbol = self.module_symbols(module).ok()?.lookup(address)?;
        Some(Found {
            module: Some(module.name.clone()),
            name: symbol.name.to_owned(),
            address: symbol.address,
            size: symbol.size,
            kind: symbol.kind,
        })
    }

    /// All named symbols of the kernel as a whole, by address.
    pub fn all_symbols(&self) -> impl Iterator<Item = necropsy_debuginfo::ElfSymbol<'_>> {
        self.ksyms.by_address()
    }

    /// An address as mdb prints it with `%a`: `name+0xoffset`, or the number.
    pub fn symbolize(&self, address: u64) -> Option<String> {
        let found = self.symbol_at(address)?;
        let name = match found.module {
            Some(module) => format!("{module}`{}", found.name),
            None => found.name,
        };
        Some(match address - found.address {
            0 => name,
            offset => format!("{name}+{offset:#x}"),
        })
    }

    /// An address by name, or in hexadecimal.
    pub fn name_or_hex(&self, address: u64) -> String {
        let plain = || if address == 0 { "0".into() } else { format!("{address:#x}") };
        self.symbolize(address).unwrap_or_else(plain)
    }
}
