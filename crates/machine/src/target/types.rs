//! The kernel's types, from its BTF or from debug information.

use necropsy_debuginfo::{
    Kind, TypeId, Types,
    btf::{self, BtfBase},
};
use necropsy_dump::Fault;

use super::{LoadedTypes, MAX_TABLE, Sparse, TableError, Target};

impl Target {
    /// The kernel's types, loaded on first use: from its BTF, else from debug information; empty
    /// when there is neither.
    pub fn types(&self) -> &Types {
        &self.loaded_types().types
    }

    /// What module BTF builds on.
    pub fn btf_base(&self) -> Option<&BtfBase> {
        self.loaded_types().base.as_ref()
    }

    /// Why the kernel's BTF could not be used, or not all of it; `None` when it could, or there is
    /// none.
    pub fn types_problem(&self) -> Option<&TableError> {
        self.loaded_types().problem.as_ref()
    }

    /// The memory that the dump lacks of the kernel's description of its types, so that some are
    /// not known.
    pub fn types_fault(&self) -> Option<Fault> {
        match self.types_problem() {
            Some(TableError::Fault(fault)) => Some(*fault),
            _ => None,
        }
    }

    fn loaded_types(&self) -> &LoadedTypes {
        self.types.get_or_init(|| {
            let types = Types::new(self.pointer_size());
            let (base, problem) = match self.read_btf() {
                // Where they lie may be told by a symbol whose name the dump lacks.
                None => (None, self.symbols_fault().map(TableError::Fault)),
                Some(btf) => {
                    let base = btf::load_btf_with_holes(&types, &btf.bytes, None, &btf.holes);
                    let hidden = btf.hidden.map(TableError::Fault);
                    match base {
                        Ok(base) => (Some(base), hidden),
                        Err(error) => (None, Some(hidden.unwrap_or(error.into()))),
                    }
                }
            };
            // Built without BTF, or from before 5.2.
            if base.is_none()
                && let Some(debug) = self.debug(&self.kernel)
            {
                debug.dwarf.load_types(&types);
            }
            LoadedTypes { types, base, problem }
        })
    }

    fn read_btf(&self) -> Option<Sparse> {
        let start = self.address_of("__start_BTF")?;
        let end = self.address_of("__stop_BTF")?;
        let len = end.checked_sub(start).filter(|&len| len <= MAX_TABLE)?;
        Some(self.read_with_holes(start, usize::try_from(len).ok()?))
    }

    /// Memory of which pages may be missing.
    pub(crate) fn read_with_holes(&self, start: u64, len: usize) -> Sparse {
        let mut read = Sparse { bytes: vec![0; len], holes: Vec::new(), hidden: None };
        let mut at = 0;
        while at < len {
            let here = start.wrapping_add(at as u64);
            let end = at + self.page_rest(here).min(len - at);
            if let Err(fault) = self.read(here, &mut read.bytes[at..end]) {
                // Memory that was not written stays memory that is not there.
                if read.bytes[at..end].iter().any(|&byte| byte != 0) {
                    read.bytes[at..end].fill(0);
                }
                match read.holes.last_mut() {
                    Some(hole) if hole.end == at => hole.end = end,
                    _ => read.holes.push(at..end),
                }
                read.hidden = read.hidden.or(Some(fault));
            }
            at = end;
        }
        read
    }

    /// The type of a struct, union or typedef by tag.
    pub fn composite(&self, name: &str) -> Option<TypeId> {
        self.types().composite(name)
    }

    /// Size in bytes of a struct by tag.
    pub fn struct_size(&self, name: &str) -> Option<u64> {
        let types = self.types();
        types.size_of(types.composite(name)?)
    }

    /// Whether a type, function or enum constant of that name exists.
    pub fn has_type(&self, kind: Kind, name: &str) -> bool {
        self.types().find(kind, name).is_some()
    }
}
