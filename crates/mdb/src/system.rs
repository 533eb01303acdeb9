//! What the language needs of the machine beneath it.

use std::any::Any;

use necropsy_debuginfo::{TypeId, Types};
use necropsy_dump::Read;

/// Which memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Kernel virtual.
    Virtual,
    /// Physical.
    Physical,
}

/// A symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// As it is written: with its module where that is needed to find it.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// Bytes; 0 unknown.
    pub size: u64,
}

/// A stopped kernel, whatever it is.
pub trait System: Send + Sync {
    /// Fills `buf`.
    ///
    /// # Errors
    /// The first byte that cannot be read.
    fn read(&self, space: Space, address: u64, buf: &mut [u8]) -> Read<()>;

    /// The types.
    fn types(&self) -> &Types;

    /// A type by name.
    fn type_named(&self, text: &str) -> Option<TypeId>;

    /// The definition of a type that is only declared.
    fn complete(&self, ty: TypeId) -> TypeId;

    /// A symbol by name.
    fn symbol(&self, name: &str) -> Option<Symbol>;

    /// The symbol that an address belongs to.
    fn symbol_at(&self, address: u64) -> Option<Symbol>;

    /// All symbols of a module, or of the kernel as a whole.
    fn symbols(&self, module: Option<&str>) -> Vec<Symbol>;

    /// The type of the variable at an address.
    fn object_type(&self, address: u64) -> Option<TypeId>;

    /// The type of the function at an address.
    fn function_type(&self, address: u64) -> Option<TypeId>;

    /// Registers of the panic, in the order in which they are listed.
    fn registers(&self) -> Vec<(String, u64)>;

    /// Aligned words of kernel memory that `wanted` accepts.
    fn search(
        &self,
        size: usize,
        wanted: &dyn Fn(u64) -> bool,
        stop: &dyn Fn() -> bool,
        found: &mut dyn FnMut(u64),
    );

    /// Itself, for its own dcmds.
    fn as_any(&self) -> &dyn Any;

    /// An address as `%a` prints it.
    fn symbolize(&self, address: u64) -> Option<String> {
        let symbol = self.symbol_at(address)?;
        Some(match address.wrapping_sub(symbol.address) {
            0 => symbol.name,
            offset => format!("{}+{offset:#x}", symbol.name),
        })
    }

    /// An address as `%a` prints it, or the number.
    fn name_or_hex(&self, address: u64) -> String {
        // As C's %#x has it, nothing is not 0x0.
        let plain = || if address == 0 { "0".into() } else { format!("{address:#x}") };
        self.symbolize(address).unwrap_or_else(plain)
    }

    /// A pointer.
    ///
    /// # Errors
    /// As [`System::read`].
    fn read_u64(&self, address: u64) -> Read<u64> {
        let mut bytes = [0; 8];
        self.read(Space::Virtual, address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A string that ends with a NUL.
    ///
    /// # Errors
    /// As [`System::read`], when not even its first byte can be read.
    fn read_string(&self, space: Space, address: u64, max: usize) -> Read<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < max {
            let mut byte = [0];
            match self.read(space, address.wrapping_add(bytes.len() as u64), &mut byte) {
                Err(fault) if bytes.is_empty() => return Err(fault),
                Err(_) => break,
                Ok(()) if byte[0] == 0 => break,
                Ok(()) => bytes.push(byte[0]),
            }
        }
        Ok(bytes)
    }
}
