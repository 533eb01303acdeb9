//! What C expressions and values need to know of the machine they speak of.

use necropsy_debuginfo::{TypeId, Types};
use necropsy_dump::Read;

use crate::value::Value;

/// A symbol, as an expression finds it by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolValue {
    /// Kernel virtual address; of a per-CPU variable the address to which a CPU's offset is
    /// added.
    pub address: u64,
    /// Type of the variable or function, if known.
    pub ty: Option<TypeId>,
    /// Whether there is one such variable for each CPU.
    pub per_cpu: bool,
    /// Whether it lies in code.
    pub text: bool,
}

/// The machine as an expression sees it: types, memory, names. The target implements it; tests
/// use their own.
pub trait Scope {
    /// The types that casts and members refer to.
    fn types(&self) -> &Types;

    /// Fills `buf` from kernel virtual memory at `address`.
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()>;

    /// A global variable or function by name.
    fn symbol(&self, name: &str) -> Option<SymbolValue>;

    /// The symbol at or before `address` and the distance in bytes, if `address` lies within the
    /// kernel's image or a module.
    fn symbolize(&self, address: u64) -> Option<(String, u64)>;

    /// A register by its name without `$`.
    fn register(&self, name: &str) -> Option<u64>;

    /// What is added to the address of a per-CPU variable to find that of `cpu`.
    fn per_cpu_offset(&self, cpu: u32) -> Option<u64>;

    /// A local variable of the selected frame, or a convenience variable; it hides globals.
    fn local(&self, _name: &str) -> Option<Value> {
        None
    }

    /// The `number`th value printed before, `None` for the last one: `$3`, `$`.
    fn history(&self, _number: Option<u32>) -> Option<Value> {
        None
    }

    /// Byte order.
    fn is_little_endian(&self) -> bool {
        true
    }
}
