//! Values and types as text, in the form that `crash` prints (gdb's `set print pretty on`).
//!
//! A value is first turned into a [`Rendered`] tree, which is what JSON is made from; its
//! [`Display`](std::fmt::Display) is the text. What cannot be read stands as a fault in its
//! place, and the rest goes on.

mod layout;
mod members;
mod render;
#[cfg(test)]
mod tests;
mod text;

pub use layout::{Offsets, declaration, type_name, write_definition, write_member_offsets};
pub use members::{write_instance, write_members};
pub use render::render;
use text::quote_folded;
pub use text::{char_literal, quote};

use crate::{
    scope::Scope,
    value::{Value, ValueError},
};

/// Radix of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Radix {
    /// Decimal, signed or unsigned as the type says; one-byte integers also as characters.
    #[default]
    Decimal,
    /// Hexadecimal, the bits as they are.
    Hexadecimal,
}

/// How values are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Style {
    /// Radix of integers.
    pub radix: Radix,
    /// Most elements of an array and characters of a string that are printed (crash's
    /// `set print_max`, whose default is 256).
    pub print_max: u32,
    /// Runs of equal elements longer than this are printed once, with `<repeats N times>`.
    /// `None`: never, as crash does.
    pub repeats: Option<u32>,
}

impl Default for Style {
    fn default() -> Self {
        Style { radix: Radix::Decimal, print_max: 256, repeats: None }
    }
}

/// A value that was read, as a tree. Every leaf keeps the text that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// An integer.
    Integer {
        /// The value; of an unsigned 64-bit integer, too.
        value: i128,
        /// In the style's radix, with a character if it has one byte: `65 'A'`.
        text: String,
    },
    /// A boolean.
    Bool {
        /// Its truth.
        value: bool,
        /// `true`, or `0x1`.
        text: String,
    },
    /// An enum.
    Enum {
        /// Its number.
        value: i64,
        /// The constant's name, `(A | B)`, or the number.
        text: String,
    },
    /// A pointer, or an array without length or a function, of which only the address is known.
    Pointer {
        /// Where it leads.
        address: u64,
        /// `name+offset` (decimal, bytes) if it leads into the kernel's image or a module.
        symbol: Option<String>,
        /// The string it leads to, if it leads to characters.
        string: Option<Box<Rendered>>,
        /// Type in front, in gdb's brackets; only of a function.
        prefix: Option<String>,
    },
    /// An array of characters.
    String {
        /// Its bytes up to the first NUL, what is not UTF-8 replaced.
        value: String,
        /// Quoted and escaped, all bytes, with `...` if cut.
        text: String,
    },
    /// A structure or union: members in order, without name if anonymous.
    Composite(Vec<(Option<String>, Rendered)>),
    /// An array: elements with the number of times each stands there, and whether more follow.
    Array {
        /// Elements and how often each is repeated.
        items: Vec<(Rendered, u64)>,
        /// Whether more elements follow.
        more: bool,
    },
    /// What could not be read, or makes no sense, and why.
    Fault(ValueError),
    /// Anything else: `void`, a floating-point number.
    Other(String),
}

/// What gdb's `print` prints behind `$1 = `: like [`render`], with the type in front of a
/// pointer, as in `(struct task_struct *) 0xffff…`.
pub fn print(scope: &dyn Scope, value: &Value, style: &Style) -> String {
    use necropsy_debuginfo::Type;

    let types = scope.types();
    let rendered = render(scope, value, style);
    let plain_string = || match types.get(value.ty) {
        Type::Pointer(target) => types.type_name(types.strip(*target)) == "char",
        _ => false,
    };
    if matches!(types.resolve(value.ty), Type::Pointer(_))
        && matches!(rendered, Rendered::Pointer { .. })
        && !plain_string()
    {
        return format!("({}) {rendered}", type_name(types, value.ty));
    }
    rendered.to_string()
}
