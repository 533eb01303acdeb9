//! Types of a module's variables and functions: in the order of the module's own symbol table.

use super::Ctf;
use crate::{
    bytes::u16_le,
    ksyms::{ElfSymbols, SymbolType},
    types::{Name, Param, Type, TypeId, Types},
};

/// Which type each symbol of a module's table has: by the symbol's number there.
#[derive(Debug, Default)]
pub struct SymbolTypes {
    /// Variables, by number of the symbol.
    pub objects: Vec<(u32, TypeId)>,
    /// Functions, by number of the symbol.
    pub functions: Vec<(u32, TypeId)>,
}

impl Ctf {
    /// Reads both tables. `symbols` is the module's own table, not that of the whole kernel.
    pub fn symbol_types(&self, types: &Types, symbols: &ElfSymbols) -> SymbolTypes {
        let mut found = SymbolTypes::default();
        let mut object = self.header.objects;
        let mut function = self.header.functions;
        for (number, symbol) in symbols.in_file_order() {
            // The tool that wrote the tables passed over these.
            if symbol.name.is_empty()
                || symbol.is_undefined
                || matches!(symbol.name, "_START_" | "_END_")
            {
                continue;
            }
            match symbol.kind {
                SymbolType::Object if symbol.is_absolute && symbol.address == 0 => {}
                SymbolType::Object if object + 2 <= self.header.functions => {
                    let id = u16_le(&self.body, object).unwrap_or(0);
                    object += 2;
                    if id != 0 {
                        found.objects.push((number, self.resolve(id)));
                    }
                }
                SymbolType::Function if function + 2 <= self.header.types => {
                    if let Some(ty) = self.function(types, &mut function) {
                        found.functions.push((number, ty));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The function at `at`, which goes on to the next one. None for one whose type is not known.
    fn function(&self, types: &Types, at: &mut usize) -> Option<TypeId> {
        let info = u16_le(&self.body, *at)?;
        *at += 2;
        let (kind, count) = (info >> 11, usize::from(info & 0x3ff));
        if kind != 5 {
            // A pad; of another kind nothing is known, and its length neither.
            if info != 0 {
                *at = self.header.types;
            }
            return None;
        }
        let result = u16_le(&self.body, *at)?;
        let mut ids: Vec<u16> =
            (0..count).map_while(|index| u16_le(&self.body, *at + 2 + 2 * index)).collect();
        *at += 2 + 2 * count;
        let variadic = ids.last() == Some(&0);
        if variadic {
            ids.pop();
        }
        let params =
            ids.into_iter().map(|id| Param { name: Name::NONE, ty: self.resolve(id) }).collect();
        Some(types.add(Type::Function { result: self.resolve(result), params, variadic }))
    }
}
