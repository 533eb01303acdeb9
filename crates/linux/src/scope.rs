//! The kernel as C expressions and printed values see it.

use necropsy_debuginfo::{Kind, TypeId, Types, globals::global_type_within, symbols::Symbol};
use necropsy_dump::Read;
use necropsy_machine::{
    image::Located,
    scope::{Scope, SymbolValue},
};

use crate::Kernel;

/// How far behind a variable of unknown type an address is still named after it, in bytes: string
/// literals have no symbols, and megabytes of them follow the last one of `.rodata`.
const UNKNOWN_REACH: u64 = 4096;

impl Kernel {
    /// The type of a symbol: as BTF tells it, else debug information; of a variable of which they
    /// tell nothing, the shipped table.
    pub(crate) fn symbol_type(&self, symbol: &Symbol<'_>) -> Option<TypeId> {
        let types = self.types();
        if self.is_function(symbol) {
            return types.find(Kind::Function, symbol.name).or_else(|| {
                let (debug, at) = self.target().debug_at(symbol.address)?;
                debug.dwarf.function_type(types, at)
            });
        }
        if types.find(Kind::Variable, symbol.name).is_none()
            && let Some(told) = self.target().debug_variable(types, symbol.name, symbol.address)
        {
            return Some(told);
        }
        global_type_within(self.types(), symbol.name, symbol.size)
    }

    /// The symbol that an address is named after, if it lies within it: the one rule by which all commands
    /// put a name to a number. A function reaches to the next symbol; a variable as far as its type, where
    /// that is known, else as far as its table of symbols says.
    pub fn nearest(&self, address: u64) -> Option<Located<'_>> {
        let located = self.target().locate(address)?;
        let symbol = &located.symbol;
        let within = if self.is_function(symbol) {
            // What follows the last function of a section is no code.
            located.offset == 0 || self.target().is_text(address)
        } else {
            let size = self.symbol_type(symbol).and_then(|ty| self.types().size_of(ty));
            // A compiler's own label names one place: what follows is the next string, or another.
            let label = symbol.name.starts_with(".L");
            let unknown = match symbol.size {
                _ if label => 1,
                0 => UNKNOWN_REACH,
                told => told.min(UNKNOWN_REACH),
            };
            let reach = size.filter(|&size| size > 0).unwrap_or(unknown);
            located.offset < reach.max(1)
        };
        within.then_some(located)
    }

    /// Looks for types of that name which only debug information has, and adds them: those of modules
    /// without BTF. Modules are asked only if theirs was loaded already.
    pub fn load_debug_types(&self, name: &str) {
        let target = self.target();
        let kernel = target.debug(target.kernel());
        let modules = target.modules().iter().filter_map(|image| target.loaded_debug(image));
        for debug in kernel.into_iter().chain(modules) {
            for kind in [Kind::Struct, Kind::Union, Kind::Enum, Kind::Typedef] {
                debug.dwarf.types_named(self.types(), kind, name);
            }
        }
    }

    /// Whether a symbol is code. Its letter does not tell: in 7.2, `init_task` and its neighbours
    /// in the data section are `T`.
    fn is_function(&self, symbol: &Symbol<'_>) -> bool {
        symbol.is_text() && self.target().is_text(symbol.address)
    }

    /// Whether an address is that of a per-CPU variable before the offset of a CPU is added
    /// (`include/asm-generic/vmlinux.lds.h`, PERCPU_SECTION).
    fn is_per_cpu(&self, address: u64) -> bool {
        let bound = |name| self.target().address_of(name);
        match (bound("__per_cpu_start"), bound("__per_cpu_end")) {
            (Some(start), Some(end)) => (start..end).contains(&address),
            _ => false,
        }
    }
}

impl Scope for Kernel {
    fn types(&self) -> &Types {
        Kernel::types(self)
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        self.target().read(address, buf)
    }

    fn symbol(&self, name: &str) -> Option<SymbolValue> {
        let symbol = self.target().symbol(name)?;
        Some(SymbolValue {
            address: symbol.address,
            ty: self.symbol_type(&symbol),
            per_cpu: self.is_per_cpu(symbol.address),
            text: self.is_function(&symbol),
        })
    }

    fn symbolize(&self, address: u64) -> Option<(String, u64)> {
        let located = self.nearest(address)?;
        Some((located.symbol.name.to_owned(), located.offset))
    }

    fn register(&self, _name: &str) -> Option<u64> {
        None
    }

    fn per_cpu_offset(&self, cpu: u32) -> Option<u64> {
        Kernel::per_cpu_offset(self, cpu)
    }

    fn is_little_endian(&self) -> bool {
        !self.target().big_endian()
    }
}
