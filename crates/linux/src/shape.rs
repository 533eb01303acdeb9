//! What a shape is: a structure of the kernel, declared with the names and forms that its members
//! have had, and looked up once in the kernel at hand. Those that there are stand in
//! [`crate::shapes`].

mod constant;
mod field;
#[macro_use]
mod macros;
mod structure;
mod variable;
mod view;

pub use constant::Constant;
pub use field::Field;
pub use structure::Structure;
pub use variable::Variable;
pub use view::At;

use necropsy_debuginfo::Types;
use necropsy_dump::{Fault, VmCoreInfo};
use necropsy_machine::Target;

/// Where declarations are looked up.
pub struct Sources<'a> {
    /// The kernel's types.
    pub types: &'a Types,
    /// VMCOREINFO, which describes a few structures where there are no types.
    pub info: Option<&'a VmCoreInfo>,
    /// Why some types are not known: their description is not (all) in the dump.
    pub hidden: Option<Fault>,
    /// Why some symbols are not known.
    pub hidden_symbols: Option<Fault>,
    /// Whether numbers begin with their most significant byte.
    pub big_endian: bool,
    /// Addresses of the kernel's symbols.
    pub symbols: &'a dyn Fn(&str) -> Option<u64>,
}

impl Sources<'_> {
    /// Looks in the types and symbols of a target.
    pub fn of<T>(target: &Target, look: impl FnOnce(&Sources<'_>) -> T) -> T {
        let symbols = |name: &str| target.address_of(name);
        let types = target.types();
        let (info, hidden) = (target.vmcoreinfo(), target.types_fault());
        let (hidden_symbols, big_endian) = (target.symbols_fault(), target.big_endian());
        look(&Sources { types, info, hidden, hidden_symbols, big_endian, symbols: &symbols })
    }
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// What must be true of an alternative besides its name: which way of keeping the same thing a
/// kernel has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Anything of that name.
    Any,
    /// A member that is an array.
    Array,
    /// A member that holds the thing itself, array or not.
    Embedded,
    /// A member that points to the thing.
    Pointer,
    /// An array of structures, or a pointer to them.
    Structs,
    /// An array of numbers, or a pointer to them.
    Numbers,
    /// A maple tree; told by the name alone, as are those that follow.
    Maple,
    /// An XArray or radix tree.
    Radix,
    /// A table.
    Table,
    /// The lockless ring of printk.
    Ring,
    /// The ring of records of printk.
    Records,
    /// Plain text.
    Text,
    /// A flag.
    Flag,
    /// A kind, as a number.
    Kind,
}

impl Form {
    /// The word that stands in the declaration, empty for [`Form::Any`].
    pub fn word(self) -> &'static str {
        match self {
            Form::Any => "",
            Form::Array => "array",
            Form::Embedded => "embedded",
            Form::Pointer => "pointer",
            Form::Structs => "structs",
            Form::Numbers => "numbers",
            Form::Maple => "maple",
            Form::Radix => "radix",
            Form::Table => "table",
            Form::Ring => "ring",
            Form::Records => "records",
            Form::Text => "text",
            Form::Flag => "flag",
            Form::Kind => "kind",
        }
    }
}

/// One way in which kernels have had a member, constant or variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// What it must be.
    pub form: Form,
    /// Its name, a path through members included: `idr.idr_rt`.
    pub name: &'static str,
}

/// `mem`, `array mem`.
impl std::fmt::Display for Alternative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.form {
            Form::Any => f.write_str(self.name),
            form => write!(f, "{} {}", form.word(), self.name),
        }
    }
}

/// What a shape describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeKind {
    /// A structure or union, with its size in bytes where the kernel has it.
    Structure(Option<u64>),
    /// Constants of enums, or numbers that VMCOREINFO tells.
    Constants,
    /// Variables, by their symbols.
    Variables,
}

/// Where a part of a shape was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A member: bytes from the start of the structure, and its size in bytes (0 when unknown).
    Member {
        /// Bytes from the start.
        offset: u64,
        /// Bytes.
        size: u64,
    },
    /// The value of a constant.
    Value(i64),
    /// The virtual address of a variable.
    Address(u64),
}

/// A part of a shape, as declared and as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The ways that are known, the one that counts first.
    pub alternatives: &'static [Alternative],
    /// Whether some kernels rightly have none.
    pub optional: bool,
    /// The one that this kernel has, and where.
    pub found: Option<(Alternative, Found)>,
}

/// A shape as `doctor` shows it.
#[derive(Debug, Clone)]
pub struct Described {
    /// The tag that this kernel has, else the first declared; of constants and variables, what
    /// they are about.
    pub name: &'static str,
    /// What it is.
    pub kind: ShapeKind,
    /// The commands that read it.
    pub needed_by: &'static [&'static str],
    /// Its parts, in declaration order.
    pub parts: Vec<Part>,
}
