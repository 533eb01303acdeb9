//! What the source calls things. BTF knows prototypes; debug information, where it is loaded, can
//! answer all of it by another implementation of [`Names`].

use necropsy_debuginfo::{Kind, Type, TypeId};
use necropsy_linux::Kernel;
use necropsy_target::{Reg, dataflow::ARGUMENTS};

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) ty: TypeId,
    /// The register that carries it.
    pub(super) register: Reg,
}

/// Where names and types come from.
pub(super) trait Names {
    /// The parameters that registers carry, of the function that begins at an address.
    fn parameters(&self, function: u64) -> Vec<Parameter>;
    /// The type of its result.
    fn result(&self, function: u64) -> Option<TypeId>;
    /// File and line of an instruction.
    fn line(&self, _pc: u64) -> Option<(String, u32)> {
        None
    }
    /// The variable that a register holds before the instruction at `pc`, and its type.
    fn variable(&self, _pc: u64, _reg: Reg) -> Option<(String, TypeId)> {
        None
    }
}

/// Names from the kernel's BTF.
pub(super) struct Btf<'k>(pub(super) &'k Kernel);

impl Btf<'_> {
    /// The prototype of a function: `None` if several of its name differ.
    fn prototype(&self, function: u64) -> Option<&Type> {
        let target = self.0.target();
        let located = target.locate(function).filter(|located| located.offset == 0)?;
        if located.module().is_some() {
            self.0.load_module_types();
        }
        let types = self.0.types();
        let all = types.find_all(Kind::Function, located.symbol.name);
        let (first, rest) = all.split_first()?;
        let shown = types.display(*first);
        rest.iter().all(|other| types.display(*other) == shown).then(|| types.resolve(*first))
    }
}

impl Names for Btf<'_> {
    fn parameters(&self, function: u64) -> Vec<Parameter> {
        let Some(Type::Function { params, .. }) = self.prototype(function) else {
            return Vec::new();
        };
        let types = self.0.types();
        // A structure passed by value takes registers in ways of its own: what follows it is
        // left out.
        let scalar = |ty: TypeId| match types.resolve(ty) {
            Type::Pointer(_) | Type::Enum { .. } => true,
            Type::Int { size, .. } => *size <= 8,
            _ => false,
        };
        params
            .iter()
            .take_while(|param| scalar(param.ty))
            .zip(ARGUMENTS)
            .map(|(param, register)| Parameter {
                name: types.name(param.name).to_owned(),
                ty: param.ty,
                register,
            })
            .collect()
    }

    fn result(&self, function: u64) -> Option<TypeId> {
        match self.prototype(function)? {
            Type::Function { result, .. } => Some(*result),
            _ => None,
        }
    }
}
