//! What the source calls things: parameters, results, variables, lines. BTF knows prototypes;
//! debug information, where it is loaded, knows all of it.

use necropsy_debuginfo::{Kind, Type, TypeId, Types};
use necropsy_linux::Kernel;
use necropsy_machine::{Abi, Reg};

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// The register that carries it.
    pub register: Reg,
}

/// Where names and types come from.
pub trait Names {
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
#[derive(Debug)]
pub struct Btf<'k>(pub &'k Kernel);

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

/// The parameters of a function type that come in registers. A structure passed by value takes
/// registers in ways of its own: what follows it is left out.
fn in_registers(abi: &Abi, types: &Types, function: &Type) -> Vec<Parameter> {
    let Type::Function { params, result, .. } = function else { return Vec::new() };
    // A large result goes where the caller says, in a register before all parameters.
    if types.as_composite(*result).is_some_and(|result| result.size > 16) {
        return Vec::new();
    }
    let scalar = |ty: TypeId| match types.resolve(ty) {
        Type::Pointer(_) | Type::Enum { .. } => true,
        Type::Int { size, .. } => *size <= 8,
        _ => false,
    };
    params
        .iter()
        .take_while(|param| scalar(param.ty))
        .zip(abi.arguments.iter().copied())
        .map(|(param, register)| Parameter {
            name: types.name(param.name).to_owned(),
            ty: param.ty,
            register,
        })
        .collect()
}

impl Names for Btf<'_> {
    fn parameters(&self, function: u64) -> Vec<Parameter> {
        let abi = self.0.target().abi();
        self.prototype(function).map_or_else(Vec::new, |ty| in_registers(abi, self.0.types(), ty))
    }

    fn result(&self, function: u64) -> Option<TypeId> {
        match self.prototype(function)? {
            Type::Function { result, .. } => Some(*result),
            _ => None,
        }
    }
}

/// Names from debug information, and from BTF where there is none.
#[derive(Debug)]
pub struct Debug<'k>(pub Btf<'k>);

impl Debug<'_> {
    /// The type of a function, as its debug information tells it.
    fn function_type(&self, function: u64) -> Option<TypeId> {
        let kernel = self.0.0;
        let (debug, at) = kernel.target().debug_at(function)?;
        debug.dwarf.function_type(kernel.types(), at)
    }
}

impl Names for Debug<'_> {
    fn parameters(&self, function: u64) -> Vec<Parameter> {
        let known = self.0.parameters(function);
        if !known.is_empty() {
            return known;
        }
        let types = self.0.0.types();
        let told = self.function_type(function).map(|ty| types.resolve(ty));
        told.map_or_else(Vec::new, |ty| in_registers(self.0.0.target().abi(), types, ty))
    }

    fn result(&self, function: u64) -> Option<TypeId> {
        self.0.result(function).or_else(|| {
            match self.0.0.types().resolve(self.function_type(function)?) {
                Type::Function { result, .. } => Some(*result),
                _ => None,
            }
        })
    }

    fn line(&self, pc: u64) -> Option<(String, u32)> {
        self.0.0.target().source_line(pc)
    }

    fn variable(&self, pc: u64, reg: Reg) -> Option<(String, TypeId)> {
        let target = self.0.0.target();
        let (debug, at) = target.debug_at(pc)?;
        debug.dwarf.variable_in(self.0.0.types(), at, target.abi().dwarf_number(reg)?)
    }
}
