//! An illumos kernel as what the language needs.

use std::{any::Any, sync::Arc};

use necropsy_debuginfo::{TypeId, Types};
use necropsy_dump::Read;
use necropsy_illumos::{Kernel, stack::SavedArguments};

use crate::{Space, Symbol, System};

/// An illumos kernel.
#[derive(Debug)]
pub struct IllumosSystem {
    kernel: Arc<Kernel>,
    /// Which functions save their arguments, as far as they were looked at.
    pub(crate) saved_arguments: SavedArguments,
    /// How the files were named on the command line: what `::status` calls the dump.
    name: String,
}

impl IllumosSystem {
    /// The kernel under the name of its file.
    pub fn new(kernel: Arc<Kernel>, name: String) -> IllumosSystem {
        IllumosSystem { kernel, saved_arguments: SavedArguments::default(), name }
    }

    /// The kernel.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// The dump's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn symbol(found: necropsy_illumos::symbols::Found) -> Symbol {
    let name = match found.module {
        Some(module) => format!("{module}`{}", found.name),
        None => found.name,
    };
    Symbol { name, address: found.address, size: found.size }
}

impl System for IllumosSystem {
    fn read(&self, space: Space, address: u64, buf: &mut [u8]) -> Read<()> {
        match space {
            Space::Virtual => self.kernel.read(address, buf),
            Space::Physical => self.kernel.read_physical(address, buf),
        }
    }

    fn types(&self) -> &Types {
        self.kernel.types()
    }

    fn type_named(&self, text: &str) -> Option<TypeId> {
        self.kernel.type_named(text).ok()
    }

    fn complete(&self, ty: TypeId) -> TypeId {
        self.kernel.complete(ty)
    }

    fn symbol(&self, name: &str) -> Option<Symbol> {
        self.kernel.symbol(name).map(symbol)
    }

    fn symbol_at(&self, address: u64) -> Option<Symbol> {
        self.kernel.symbol_at(address).map(symbol)
    }

    fn symbols(&self, module: Option<&str>) -> Vec<Symbol> {
        let plain = |found: necropsy_debuginfo::ElfSymbol<'_>| Symbol {
            name: found.name.to_owned(),
            address: found.address,
            size: found.size,
        };
        match module {
            None => self.kernel.all_symbols().map(plain).collect(),
            Some(name) => {
                let module = self.kernel.module(name);
                let symbols = module.and_then(|module| self.kernel.module_symbols(module).ok());
                symbols.map(|symbols| symbols.by_address().map(plain).collect()).unwrap_or_default()
            }
        }
    }

    fn object_type(&self, address: u64) -> Option<TypeId> {
        self.kernel.object_type(address)
    }

    fn function_type(&self, address: u64) -> Option<TypeId> {
        self.kernel.function_type(address)
    }

    fn registers(&self) -> Vec<(String, u64)> {
        self.kernel.panic_registers().0
    }

    fn search(
        &self,
        size: usize,
        wanted: &dyn Fn(u64) -> bool,
        stop: &dyn Fn() -> bool,
        found: &mut dyn FnMut(u64),
    ) {
        self.kernel.search(size, wanted, stop, found);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
