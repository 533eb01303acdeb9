//! A variable's value, and how it is known.

use necropsy_debuginfo::{
    TypeId, Types,
    dwarf::{Local, Lost, Placed},
};

use super::infer::Inferred;
use crate::{
    arch::Abi,
    value::{Place, Value},
};

/// An argument or local variable of a frame.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// It is an argument.
    pub argument: bool,
    /// How many blocks of its function it is in.
    pub depth: usize,
    /// Its value, or why it cannot be had.
    pub value: Result<Value, Lost>,
    /// How the value is known.
    pub known: Known,
}

/// How a variable's value is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Debug information says where it is at this address.
    Located,
    /// It is what the caller passed, as debug information tells of the call.
    Entry,
    /// It was found by following the code; the text says how.
    Inferred(String),
    /// It is not known.
    Lost,
}

impl Known {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Known::Located => "located",
            Known::Entry => "entry",
            Known::Inferred(_) => "inferred",
            Known::Lost => "lost",
        }
    }
}

impl Variable {
    pub(super) fn of(local: Local) -> Variable {
        let Local { name, ty, argument, depth, place, .. } = local;
        let (value, known) = match place {
            Placed::Memory(address) => (Ok(Value::at(ty, address)), Known::Located),
            Placed::Bytes { bytes, entry } => {
                let value = Value { ty, place: Place::Bytes(bytes.into()) };
                (Ok(value), if entry { Known::Entry } else { Known::Located })
            }
            Placed::Lost(lost) => (Err(lost), Known::Lost),
        };
        Variable { name, ty, argument, depth, value, known }
    }

    /// Why its value cannot be had, in words.
    pub fn lost(&self, abi: &Abi) -> Option<String> {
        let lost = self.value.as_ref().err()?;
        Some(lost.text(&|number| abi.from_dwarf(number).map(|reg| reg.name())))
    }

    /// Sets the value that was inferred: the low bytes of it, as many as the type has.
    pub(super) fn infer(&mut self, types: &Types, inferred: Inferred) {
        let size = types.size_of(self.ty).filter(|size| (1..=8).contains(size));
        let Some(size) = size else { return };
        let bytes = inferred.value.to_le_bytes();
        let bytes = bytes.get(..size as usize).unwrap_or(&bytes);
        self.value = Ok(Value { ty: self.ty, place: Place::Bytes(bytes.into()) });
        self.known = Known::Inferred(inferred.how);
    }
}
