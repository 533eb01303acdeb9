//! Kernel types and symbols: BTF, kallsyms, ORC and DWARF in one model.
#![forbid(unsafe_code)]

pub mod types;

pub use types::{
    Composite, CompositeKind, Enumerator, Kind, Member, MemberPath, Name, Param, Qualifier, Type,
    TypeId, Types,
};
