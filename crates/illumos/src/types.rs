//! Types by name, and the types of variables and functions.

use necropsy_debuginfo::{Kind, Type, TypeId, Types, parse_type};

use crate::{Error, Kernel, Result};

impl Kernel {
    /// The type graph, with the types of `genunix` and `unix` in it.
    pub fn types(&self) -> &Types {
        self.base_types.get_or_init(|| {
            for name in ["genunix", "unix"] {
                if let Some(module) = self.module(name) {
                    let _ = self.module_types(module);
                }
            }
        });
        &self.types
    }

    /// The type graph with the types of every module.
    pub fn all_types(&self) -> &Types {
        self.types();
        self.all_types.get_or_init(|| {
            for module in self.modules() {
                let _ = self.module_types(module);
            }
        });
        &self.types
    }

    /// A type as C writes it: `proc_t`, `struct proc`, `kthread_t *`, ``bdtrp`bdtrp_state_t``.
    ///
    /// # Errors
    /// There is no such type.
    pub fn type_named(&self, text: &str) -> Result<TypeId> {
        let text = text.trim();
        let missing = || Error::NoType(text.to_owned());
        if let Some((module, name)) = text.split_once('`') {
            let module = self.module(module).ok_or_else(missing)?;
            let types = self.module_types(module)?;
            let kinds = [Kind::Typedef, Kind::Struct, Kind::Union, Kind::Enum];
            let (keyword, tag) = name.split_once(' ').unwrap_or(("", name));
            return kinds
                .into_iter()
                .filter(|kind| match keyword {
                    "struct" => *kind == Kind::Struct,
                    "union" => *kind == Kind::Union,
                    "enum" => *kind == Kind::Enum,
                    _ => true,
                })
                .flat_map(|kind| self.types.find_all(kind, tag.trim()))
                .find(|&id| types.ctf.owns(id))
                .ok_or_else(missing);
        }
        if let Some(found) = parse_type(self.types(), text) {
            return Ok(found);
        }
        parse_type(self.all_types(), text).ok_or_else(missing)
    }

    /// The definition of a type that is only declared where it was found.
    pub fn complete(&self, ty: TypeId) -> TypeId {
        let stripped = self.types.strip(ty);
        let Type::Forward { name, kind } = *self.types.get(stripped) else { return ty };
        let kinds: &[Kind] = match kind {
            None => &[Kind::Enum],
            Some(necropsy_debuginfo::CompositeKind::Union) => &[Kind::Union],
            Some(necropsy_debuginfo::CompositeKind::Struct) => &[Kind::Struct, Kind::Union],
        };
        let name = self.types.name(name);
        let find = |types: &Types| kinds.iter().find_map(|&kind| types.find(kind, name));
        find(self.types()).or_else(|| find(self.all_types())).unwrap_or(ty)
    }

    /// The type of the variable at exactly this address.
    pub fn object_type(&self, address: u64) -> Option<TypeId> {
        let module = self.module_at(address)?;
        self.types();
        self.module_types(module).ok()?.objects.get(&address).copied()
    }

    /// The type of the function that starts at this address.
    pub fn function_type(&self, address: u64) -> Option<TypeId> {
        let module = self.module_at(address)?;
        self.types();
        self.module_types(module).ok()?.functions.get(&address).copied()
    }

    /// Whether a module's types can be used.
    pub fn has_types(&self, module: &crate::module::Module) -> bool {
        self.types();
        self.module_types(module).is_ok()
    }

    /// How many types a module has, and why they cannot be used.
    pub fn types_of(&self, module: &crate::module::Module) -> (usize, Option<String>) {
        self.types();
        match self.module_types(module) {
            Ok(types) => (types.ctf.len(), None),
            Err(error) => (0, Some(error.to_string())),
        }
    }

    /// The two layouts that are compiled in, compared with what the types say.
    pub fn check_layouts(&self) -> Vec<(String, String)> {
        const LAYOUTS: [(&str, &[(&str, u64)]); 2] = [
            (
                "struct modctl",
                &[
                    ("mod_next", 0),
                    ("mod_id", 16),
                    ("mod_mp", 24),
                    ("mod_linkage", 48),
                    ("mod_filename", 56),
                    ("mod_modname", 64),
                ],
            ),
            (
                "struct module",
                &[
                    ("symhdr", 80),
                    ("strhdr", 88),
                    ("symsize", 104),
                    ("symspace", 112),
                    ("text_size", 128),
                    ("data_size", 136),
                    ("text", 144),
                    ("data", 152),
                    ("symtbl", 168),
                    ("strings", 176),
                    ("bss_size", 216),
                    ("bss", 224),
                    ("ctfdata", 272),
                    ("ctfsize", 280),
                ],
            ),
        ];
        let mut found = Vec::new();
        for (name, members) in LAYOUTS {
            let Ok(ty) = self.type_named(name) else {
                found.push((name.to_owned(), "the kernel has no such type".to_owned()));
                continue;
            };
            let wrong: Vec<String> = members
                .iter()
                .filter_map(|&(member, expected)| {
                    let there = self.types().member(ty, member).map(|found| found.offset());
                    (there != Some(expected))
                        .then(|| format!("{member} at {there:?}, expected at {expected}"))
                })
                .collect();
            let state = if wrong.is_empty() { "as expected".into() } else { wrong.join("; ") };
            found.push((name.to_owned(), state));
        }
        found
    }
}
