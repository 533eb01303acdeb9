//! Kernel types and symbols: BTF, kallsyms, ORC and DWARF in one model.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod btf;
mod bytes;
pub mod ctf;
pub mod ctype;
pub mod dwarf;
pub mod elf;
pub mod globals;
pub mod kallsyms;
pub mod ksyms;
pub mod orc;
pub mod symbols;
pub mod types;

pub use btf::{BtfBase, BtfError, find_btf, load_btf, load_btf_with_holes};
pub use bytes::Bytes;
pub use ctf::{Ctf, CtfError};
pub use ctype::parse_type;
pub use elf::{Elf, ElfError, Section};
pub use globals::{global_type, global_type_within};
pub use kallsyms::{KallsymsError, KallsymsTables, find_kallsyms, load_kallsyms};
pub use ksyms::{ElfSymbol, ElfSymbols, SymbolType};
pub use orc::{Orc, OrcEntry, OrcError, OrcFormat, OrcKind, OrcReg, RawOrc, orc_format};
pub use symbols::{Symbol, Symbols, SymbolsBuilder};
pub use types::{
    Composite, CompositeKind, Enumerator, Kind, Member, MemberPath, Name, Param, Qualifier, Type,
    TypeId, Types,
};
