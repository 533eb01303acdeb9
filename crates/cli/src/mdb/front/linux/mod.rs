//! A Linux kernel in the mdb language: one more way to look, as far as a dcmd has a meaning here.

mod dcmds;
mod stacks;

use std::{any::Any, sync::Arc};

use necropsy_debuginfo::{CompositeKind, Kind, Type, TypeId, Types, parse_type};
use necropsy_dump::{PhysicalMemory, Read};
use necropsy_linux::Kernel;
use necropsy_machine::scope::Scope;
use necropsy_mdb::{Registry, Space, Symbol, System};

/// What a session with a Linux kernel has by name.
pub(super) static REGISTRY: Registry = Registry {
    dcmds: &[dcmds::ALL, &[stacks::STACKS, stacks::THREADLIST], necropsy_mdb::dcmds::ALL],
    walkers: dcmds::WALKERS,
    macros: necropsy_mdb::dcmds::MACROS,
};

/// A Linux kernel.
pub(super) struct LinuxSystem {
    kernel: Arc<Kernel>,
    name: String,
}

impl LinuxSystem {
    /// The kernel under the name of its file.
    pub(super) fn new(kernel: Arc<Kernel>, name: String) -> LinuxSystem {
        LinuxSystem { kernel, name }
    }
}

impl System for LinuxSystem {
    fn read(&self, space: Space, address: u64, buf: &mut [u8]) -> Read<()> {
        match space {
            Space::Virtual => self.kernel.target().read(address, buf),
            Space::Physical => self.kernel.target().read_physical(address, buf),
        }
    }

    fn types(&self) -> &Types {
        self.kernel.types()
    }

    fn type_named(&self, text: &str) -> Option<TypeId> {
        let types = self.kernel.types();
        // mdb's users write the tag alone where C wants the keyword.
        parse_type(types, text).or_else(|| types.composite(text))
    }

    fn complete(&self, ty: TypeId) -> TypeId {
        let types = self.kernel.types();
        let Type::Forward { name, kind } = *types.get(types.strip(ty)) else { return ty };
        let kind = match kind {
            Some(CompositeKind::Struct) => Kind::Struct,
            Some(CompositeKind::Union) => Kind::Union,
            None => Kind::Enum,
        };
        types.find(kind, types.name(name)).unwrap_or(ty)
    }

    fn symbol(&self, name: &str) -> Option<Symbol> {
        let symbol = self.kernel.target().symbol(name)?;
        Some(Symbol { name: symbol.name.to_owned(), address: symbol.address, size: symbol.size })
    }

    fn symbol_at(&self, address: u64) -> Option<Symbol> {
        let found = self.kernel.target().locate(address)?;
        let name = match found.module() {
            Some(module) => format!("{module}`{}", found.symbol.name),
            None => found.symbol.name.to_owned(),
        };
        Some(Symbol { name, address: found.symbol.address, size: found.symbol.size })
    }

    fn symbols(&self, module: Option<&str>) -> Vec<Symbol> {
        let images = self.kernel.target().images();
        images
            .filter(|image| module.is_none_or(|wanted| image.name == wanted))
            .flat_map(|image| image.symbols.iter())
            .map(|symbol| Symbol {
                name: symbol.name.to_owned(),
                address: symbol.address,
                size: symbol.size,
            })
            .collect()
    }

    fn object_type(&self, address: u64) -> Option<TypeId> {
        let found = self.kernel.target().locate(address).filter(|found| found.offset == 0)?;
        Scope::symbol(&*self.kernel, found.symbol.name).filter(|symbol| !symbol.text)?.ty
    }

    fn function_type(&self, address: u64) -> Option<TypeId> {
        let found = self.kernel.target().locate(address)?;
        self.kernel.types().find(Kind::Function, found.symbol.name)
    }

    fn registers(&self) -> Vec<(String, u64)> {
        let target = self.kernel.target();
        let trace = self.kernel.panic_task().and_then(|task| task.trace().ok());
        let Some(frame) = trace.as_ref().and_then(|trace| trace.frames.first()) else {
            return Vec::new();
        };
        let abi = target.abi();
        let listed = abi.general.iter().chain([&abi.program_counter, &abi.flags]);
        listed.filter_map(|reg| Some((reg.name().to_owned(), frame.regs.get(*reg)?))).collect()
    }

    fn search(
        &self,
        size: usize,
        wanted: &dyn Fn(u64) -> bool,
        stop: &dyn Fn() -> bool,
        found: &mut dyn FnMut(u64),
    ) {
        let target = self.kernel.target();
        let page_size = target.dump().page_size();
        let mut from = 0;
        // Memory by physical address, told as the direct map has it.
        while let Some((first, end)) = target.dump().stored_run(from) {
            for frame in first..end {
                if frame % 1024 == 0 && stop() {
                    return;
                }
                let Some(base) = target.layout().and_then(|at| at.to_virtual(frame * page_size))
                else {
                    continue;
                };
                let Ok(page) = target.dump().page(frame) else { continue };
                for (index, word) in page.chunks_exact(size.clamp(1, 8)).enumerate() {
                    if wanted(target.number(word)) {
                        found(base.wrapping_add((index * word.len()) as u64));
                    }
                }
            }
            from = end;
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
