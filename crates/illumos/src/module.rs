//! Kernel modules: `struct modctl` (`sys/modctl.h`) and `struct module` (`sys/kobj.h`). Their
//! layouts are the only ones that are compiled in; the members used have not moved since 2008.

use std::{ops::Range, sync::OnceLock};

use hashbrown::{HashMap, HashSet};
use necropsy_debuginfo::{Ctf, ElfSymbols, TypeId};

use crate::{Error, Kernel, Result, error::damaged};

/// Most modules that are listed; a real kernel has some hundreds.
const MAX_MODULES: usize = 16384;
const MODCTL_SIZE: u64 = 144;
const MODULE_SIZE: u64 = 288;
const SYMBOL_SIZE: u64 = 24;

/// A loaded module.
pub struct Module {
    /// Its name.
    pub name: String,
    /// Address of its `struct modctl`.
    pub modctl: u64,
    /// Address of its `struct module`.
    pub module: u64,
    /// Its number.
    pub id: i32,
    /// Where its code lies.
    pub text: Range<u64>,
    /// Where its variables lie.
    pub data: Range<u64>,
    /// Where its variables that start as zeros lie.
    pub bss: Range<u64>,
    /// Address of its `struct modlinkage`.
    pub linkage: u64,
    /// Its file.
    pub filename: String,
    /// Address and size of its CTF container.
    pub ctf: (u64, u64),
    symspace: Range<u64>,
    symhdr: u64,
    strhdr: u64,
    symtbl: u64,
    strings: u64,
    table: OnceLock<std::result::Result<Table, String>>,
    types: OnceLock<std::result::Result<ModuleTypes, String>>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A module's own symbol table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) symbols: ElfSymbols,
    strings: Vec<u8>,
}

/// A module's types.
#[derive(Debug)]
pub(crate) struct ModuleTypes {
    pub(crate) ctf: Ctf,
    /// By address.
    pub(crate) objects: HashMap<u64, TypeId>,
    pub(crate) functions: HashMap<u64, TypeId>,
}

impl Module {
    /// Whether the address lies in the module's code or variables.
    pub fn contains(&self, address: u64) -> bool {
        [&self.text, &self.data, &self.bss].iter().any(|range| range.contains(&address))
    }

    /// Bytes of code and variables.
    pub fn size(&self) -> u64 {
        (self.text.end - self.text.start).saturating_add(self.data.end - self.data.start)
    }
}

fn range(start: u64, len: u64) -> Range<u64> {
    start..start.saturating_add(len)
}

impl Kernel {
    /// All modules, `unix` first. The list is a ring; what is damaged ends it.
    pub fn modules(&self) -> &[Module] {
        self.modules.get_or_init(|| {
            let mut found: Vec<Module> = Vec::new();
            let mut seen = HashSet::new();
            let Some(head) = self.ksyms.by_name("modules").map(|symbol| symbol.address) else {
                return found;
            };
            let mut at = head;
            let mut problem = "runs in a circle".to_owned();
            while seen.insert(at) && seen.len() <= MAX_MODULES {
                let modctl = match self.read_bytes(at, MODCTL_SIZE) {
                    Ok(modctl) => modctl,
                    Err(fault) => {
                        problem = format!("ends early: {fault}");
                        break;
                    }
                };
                if let Ok(module) = self.read_module(at, &modctl)
                    && !found.iter().any(|other| other.name == module.name)
                {
                    found.push(module);
                }
                at = number(&modctl, 0);
                if at == head {
                    return found;
                }
            }
            let _ = self.modules_problem.set(format!("the list of modules {problem}"));
            found
        })
    }

    /// Why there may be more modules than [`Kernel::modules`] has.
    pub fn modules_problem(&self) -> Option<&str> {
        self.modules();
        self.modules_problem.get().map(String::as_str)
    }

    fn read_module(&self, modctl_at: u64, modctl: &[u8]) -> Result<Module> {
        let at = number(modctl, 24);
        if at == 0 {
            return damaged("not loaded");
        }
        let name = self.read_string(number(modctl, 64), 64)?;
        let module = self.read_bytes(at, MODULE_SIZE)?;
        let word = |offset: usize| number(&module, offset);
        Ok(Module {
            name,
            modctl: modctl_at,
            module: at,
            id: number(modctl, 16) as u32 as i32,
            text: range(word(144), word(128)),
            data: range(word(152), word(136)),
            bss: range(word(224), word(216)),
            linkage: number(modctl, 48),
            filename: self.read_string(number(modctl, 56), 1024).unwrap_or_default(),
            ctf: (word(272), word(280)),
            symspace: range(word(112), word(104)),
            symhdr: word(80),
            strhdr: word(88),
            symtbl: word(168),
            strings: word(176),
            table: OnceLock::new(),
            types: OnceLock::new(),
        })
    }

    /// The module of that name.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules().iter().find(|module| module.name == name)
    }

    /// The module whose code or variables an address lies in.
    pub fn module_at(&self, address: u64) -> Option<&Module> {
        self.modules().iter().find(|module| module.contains(address))
    }

    /// A module's own symbols.
    pub fn module_symbols<'a>(&self, module: &'a Module) -> Result<&'a ElfSymbols> {
        self.table(module).map(|table| &table.symbols)
    }

    fn table<'a>(&self, module: &'a Module) -> Result<&'a Table> {
        let made = module.table.get_or_init(|| {
            self.read_table(module).map_err(|error| format!("{}: {error}", module.name))
        });
        made.as_ref().map_err(|text| Error::Damaged(text.clone()))
    }

    /// The symbol table: its two section headers lie in kernel memory, too.
    fn read_table(&self, module: &Module) -> Result<Table> {
        let header = |at: u64| self.read_bytes(at, 64).map(|bytes| number(&bytes, 32));
        if module.symspace.start == 0 || module.symhdr == 0 || module.strhdr == 0 {
            return damaged("no symbol table");
        }
        let (symbols_len, strings_len) = (header(module.symhdr)?, header(module.strhdr)?);
        let len = match module.symspace.end - module.symspace.start {
            0 => symbols_len.saturating_add(strings_len),
            len => len,
        };
        let space = self.read_bytes(module.symspace.start, len)?;
        let part = |at: u64, len: u64| {
            let start = usize::try_from(at.checked_sub(module.symspace.start)?).ok()?;
            space.get(start..start.checked_add(usize::try_from(len).ok()?)?)
        };
        let symbols_at = if module.symtbl == 0 { module.symspace.start } else { module.symtbl };
        let strings_at = match module.strings {
            0 => module.symspace.start.saturating_add(symbols_len),
            at => at,
        };
        let symbols = part(symbols_at, symbols_len / SYMBOL_SIZE * SYMBOL_SIZE);
        let (Some(symbols), Some(strings)) = (symbols, part(strings_at, strings_len)) else {
            return damaged("corrupt symspace");
        };
        Ok(Table { symbols: ElfSymbols::new(symbols, strings), strings: strings.to_vec() })
    }

    /// A module's types, loaded when first asked for.
    pub(crate) fn module_types<'a>(&'a self, module: &'a Module) -> Result<&'a ModuleTypes> {
        let made = module.types.get_or_init(|| {
            self.load_types(module).map_err(|error| format!("{}: {error}", module.name))
        });
        made.as_ref().map_err(|text| Error::Damaged(text.clone()))
    }

    fn load_types(&self, module: &Module) -> Result<ModuleTypes> {
        let table = self.table(module).ok();
        let strings = table.map_or(&[][..], |table| &table.strings);
        let data = self.ctf_data(module)?;
        let unusable = |error| Error::Damaged(format!("{error}"));
        let parent_name = necropsy_debuginfo::ctf::parent_name(&data, strings).map_err(unusable)?;
        let parent = match &parent_name {
            Some(name) => {
                let parent = self.module(name).filter(|parent| parent.name != module.name);
                let parent = parent.ok_or_else(|| {
                    Error::Damaged(format!(
                        "its types build on those of {name}, which is not there"
                    ))
                })?;
                // A parent stands alone: a damaged one could lead round in a circle.
                let its_own = self.ctf_data(parent)?;
                if necropsy_debuginfo::ctf::parent_name(&its_own, &[]) != Ok(None) {
                    return damaged(format!("its types build on those of {name}, not usable"));
                }
                Some(self.module_types(parent)?)
            }
            None => None,
        };
        let parent = parent.map(|types| &types.ctf);
        let ctf = Ctf::load(&self.types, &data, strings, parent).map_err(unusable)?;
        let (mut objects, mut functions) = (HashMap::new(), HashMap::new());
        if let Some(table) = table {
            let found = ctf.symbol_types(&self.types, &table.symbols);
            let address = |number| table.symbols.get(number).map(|symbol| symbol.address);
            for (number, ty) in found.objects {
                objects.extend(address(number).map(|address| (address, ty)));
            }
            for (number, ty) in found.functions {
                functions.extend(address(number).map(|address| (address, ty)));
            }
        }
        Ok(ModuleTypes { ctf, objects, functions })
    }

    fn ctf_data(&self, module: &Module) -> Result<Vec<u8>> {
        let (at, len) = module.ctf;
        if at == 0 || len == 0 {
            return damaged("no CTF data");
        }
        Ok(self.read_bytes(at, len)?)
    }
}

/// A number of 8 bytes in a structure that was read; 0 beyond its end.
fn number(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..at + 8).and_then(|part| part.try_into().ok());
    found.map_or(0, u64::from_le_bytes)
}
