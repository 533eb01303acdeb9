//! What a value is: by its bits, and by what the kernel has at that address.

use std::fmt;

use necropsy_lexicon::AddressClass;
use necropsy_lexicon::value::{self, NearPoison};
use necropsy_linux::{Kernel, identify::Identity, task::Task};

use crate::serial;

/// What a value is. Its `Display` is empty for a plain number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// 0.
    Null,
    /// A pattern that the kernel writes on purpose, or near one.
    Poison(NearPoison),
    /// An error number as a pointer.
    Error(u64),
    /// An address of something.
    Identity(Identity),
    /// An address of a string that the kernel or a module was built with.
    Literal(String),
    /// Printable characters, the first in the lowest byte.
    Text(String),
    /// An address of a process.
    User,
    /// No address at all.
    NotCanonical,
    /// A number.
    Number,
}

/// Whether so many bytes below the end of memory are rather a member's offset, gone back from NULL
/// (container_of), than an error number: members lie at multiples of eight, and errors are those
/// that kernel code does return (include/uapi/asm-generic/errno.h, include/linux/errno.h).
pub(crate) fn before_null(below: u64) -> bool {
    const ERRORS: [u64; 9] = [8, 16, 24, 32, 40, 88, 104, 112, 512];
    below.is_multiple_of(8) && !ERRORS.contains(&below)
}

/// Fewer characters are a number by accident.
const MIN_TEXT: usize = 5;

impl Meaning {
    /// What `value` is, where `task` is running.
    pub fn of(kernel: &Kernel, task: Task<'_>, value: u64) -> Meaning {
        if value == 0 {
            return Meaning::Null;
        }
        if let Some(poison) = value::near_poison(value, true) {
            return Meaning::Poison(poison);
        }
        if let Some(number) = value::error_number(value, true) {
            return Meaning::Error(number);
        }
        if let Some(literal) = literal(kernel, value) {
            return Meaning::Literal(literal);
        }
        if let Some(identity) = kernel.identify(value, &[task]) {
            return Meaning::Identity(identity);
        }
        if let Some(text) = value::printable(value, 8).filter(|text| text.len() >= MIN_TEXT) {
            return Meaning::Text(text);
        }
        match kernel.target().address_class(value) {
            AddressClass::User if value > u64::from(u32::MAX) => Meaning::User,
            AddressClass::NonCanonical => Meaning::NotCanonical,
            _ => Meaning::Number,
        }
    }
}

/// The longest string that is shown, in bytes.
const MAX_LITERAL: usize = 48;

/// The string at an address of an image that no symbol names: literals have none.
fn literal(kernel: &Kernel, address: u64) -> Option<String> {
    let target = kernel.target();
    target.image_at(address)?;
    if target.is_text(address) || kernel.nearest(address).is_some() {
        return None;
    }
    let text = target.read_cstr(address, MAX_LITERAL).ok()?;
    let shown = |c: char| c.is_ascii_graphic() || matches!(c, ' ' | '\n' | '\t');
    (text.len() >= 3 && text.chars().all(shown)).then_some(text)
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meaning::Null => f.write_str("NULL"),
            Meaning::Poison(poison) => poison.fmt(f),
            Meaning::Error(number) => match value::errno(*number) {
                Some(name) => write!(f, "-{number} ({name})"),
                None => write!(f, "-{number}"),
            },
            Meaning::Identity(identity) => identity.fmt(f),
            Meaning::Literal(text) => write!(f, "{text:?}"),
            Meaning::Text(text) => write!(f, "text {text:?}"),
            Meaning::User => f.write_str("user address"),
            Meaning::NotCanonical => f.write_str("not a canonical address"),
            Meaning::Number => Ok(()),
        }
    }
}

serial::as_text!(Meaning);
