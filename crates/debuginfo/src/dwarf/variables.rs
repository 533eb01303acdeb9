//! Arguments and local variables: which there are, and where DWARF says that they are.
//!
//! A place is computed for a [`Frame`], which the caller fills with what is known of the stopped
//! function: its registers, its canonical frame address, the memory, and the frame that called it.

use gimli::constants as dw;

use super::{
    Dwarf, Inner, Scope,
    place::{Evaluation, register_in},
};
use crate::types::{TypeId, Types};

/// Variables listed of one function.
const MAX_LOCALS: usize = 4096;

/// A stopped function, as expressions need it. Addresses and registers are those of the running
/// kernel; DWARF numbers name the registers.
pub trait Frame {
    /// A register's value while the function was executing, if it is known.
    fn register(&self, number: u16) -> Option<u64>;
    /// The canonical frame address: the caller's stack pointer once this function has returned.
    fn cfa(&self) -> Option<u64>;
    /// Fills `buf` from memory; false if any byte of it is missing.
    fn read(&self, address: u64, buf: &mut [u8]) -> bool;
    /// What is added to an address of the file.
    fn bias(&self) -> u64;
    /// The value that a register had when this function was entered, as its caller can tell:
    /// see [`Dwarf::call_argument`].
    fn entry_register(&self, number: u16) -> Option<u64>;
    /// The value that the caller gave for an argument which the compiler removed from the function
    /// (`foo.isra.0`): see [`Dwarf::call_parameter`].
    fn entry_parameter(&self, argument: u32) -> Option<u64>;
}

/// An argument or a local variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// It is an argument.
    pub argument: bool,
    /// Its number among the arguments, from 0.
    pub position: Option<usize>,
    /// Blocks of the function that it is in: 0 for the function itself.
    pub depth: usize,
    /// Where it is.
    pub place: Placed,
}

/// Where a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// At an address.
    Memory(u64),
    /// Nowhere as a whole: these are its bytes. `entry`: as the caller's call tells them.
    Bytes {
        /// In the machine's order.
        bytes: Vec<u8>,
        /// Whether the value is what the function was called with.
        entry: bool,
    },
    /// Its value cannot be had.
    Lost(Lost),
}

/// Why a value cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// The compiler removed it.
    Removed,
    /// It is nowhere at this address, though elsewhere in the function it is.
    NotHere,
    /// It was in this register, which was not saved.
    Register(u16),
    /// It is what the function was called with in this register, which the call does not tell.
    Entry(u16),
    /// It is part of what could not be read at this address.
    Memory(u64),
    /// It points to a variable that the compiler removed.
    Pointer,
    /// It takes an operation that is not supported.
    Unsupported,
}

impl Lost {
    /// The reason in words; `name` knows the machine's registers by DWARF's numbers.
    pub fn text(&self, name: &dyn Fn(u16) -> Option<&'static str>) -> String {
        let register = |number: u16| match name(number) {
            Some(name) => format!("%{name}"),
            None => format!("register {number}"),
        };
        match self {
            Lost::Removed => "optimized out".into(),
            Lost::NotHere => "optimized out at this address".into(),
            Lost::Register(number) => format!("was in {}, not saved", register(*number)),
            Lost::Entry(number) => {
                format!("was in {} at the call, lost since", register(*number))
            }
            Lost::Memory(address) => format!("memory at {address:#x} cannot be read"),
            Lost::Pointer => "points to a variable that was optimized out".into(),
            Lost::Unsupported => "its place takes an operation that is not supported".into(),
        }
    }
}

impl Dwarf {
    /// The arguments and variables of a function at an address, with their places. Types go into
    /// `types`.
    pub fn locals(
        &self,
        types: &Types,
        scope: &Scope,
        address: u64,
        frame: &dyn Frame,
    ) -> Vec<Local> {
        self.with(|inner| inner.locals(types, scope, address, frame)).unwrap_or_default()
    }

    /// The variable, of the innermost function first, whose whole value is in a register before
    /// the instruction at an address is executed.
    pub fn variable_in(
        &self,
        types: &Types,
        address: u64,
        register: u16,
    ) -> Option<(String, TypeId)> {
        self.with(|inner| inner.variable_in(types, address, register))
    }
}

impl<'a> Inner<'a> {
    fn locals(
        &self,
        types: &Types,
        scope: &Scope,
        address: u64,
        frame: &dyn Frame,
    ) -> Option<Vec<Local>> {
        let mut locals = Vec::new();
        for (depth, &die) in scope.dies.iter().enumerate() {
            let (unit, at) = self.place(die)?;
            let mut entries = Vec::new();
            self.children(unit, at, &mut |child| {
                if matches!(child.tag(), dw::DW_TAG_formal_parameter | dw::DW_TAG_variable) {
                    entries.push(child.clone());
                }
                locals.len() + entries.len() < MAX_LOCALS
            });
            let mut position = 0;
            for entry in entries {
                let Some(offset) = unit.global(entry.offset()) else { continue };
                let argument = entry.tag() == dw::DW_TAG_formal_parameter;
                let number = position;
                position += usize::from(argument);
                let Some(name) = self.name(offset) else { continue };
                // An `extern` within a function: the variable is global, and found as that.
                if entry.attr_value(dw::DW_AT_declaration).is_some() {
                    continue;
                }
                let Some(ty) = self.type_of(types, offset) else { continue };
                let size = types.size_of(ty);
                let evaluation = Evaluation {
                    inner: self,
                    unit,
                    function: scope.function,
                    address,
                    frame,
                    depth: 0,
                };
                let place = evaluation.variable(&entry, offset, size);
                let position = argument.then_some(number);
                locals.push(Local { name, ty, argument, position, depth, place });
            }
        }
        Some(locals)
    }

    fn variable_in(&self, types: &Types, address: u64, register: u16) -> Option<(String, TypeId)> {
        let function = self.index.function_at(address)?;
        let unit = self.unit(function)?;
        let scopes = self.scopes(unit, function, address)?;
        let evaluation =
            Evaluation { inner: self, unit, function, address, frame: &Nowhere, depth: 0 };
        for &die in scopes.iter().rev().flat_map(|scope| scope.dies.iter().rev()) {
            let mut found = None;
            self.children(unit, unit.local(die)?, &mut |child| {
                if !matches!(child.tag(), dw::DW_TAG_formal_parameter | dw::DW_TAG_variable) {
                    return true;
                }
                let place = child.attr_value(dw::DW_AT_location);
                let expression = place.and_then(|place| evaluation.expression_of(place).ok());
                if expression.and_then(|at| register_in(unit, at)) == Some(register) {
                    found = unit.global(child.offset());
                }
                found.is_none()
            });
            if let Some(at) = found {
                return Some((self.name(at)?, self.type_of(types, at)?));
            }
        }
        None
    }
}

/// No frame: for questions about places alone.
struct Nowhere;

impl Frame for Nowhere {
    fn register(&self, _: u16) -> Option<u64> {
        None
    }
    fn cfa(&self) -> Option<u64> {
        None
    }
    fn read(&self, _: u64, _: &mut [u8]) -> bool {
        false
    }
    fn bias(&self) -> u64 {
        0
    }
    fn entry_register(&self, _: u16) -> Option<u64> {
        None
    }
    fn entry_parameter(&self, _: u32) -> Option<u64> {
        None
    }
}
