//! Words of a command that are addresses and numbers.

use necropsy_linux::Kernel;
use necropsy_machine::{expr::evaluate, value::ValueError};

use crate::{CommandError, memory::Memory, numbers, session::Session, values::View};

impl Session {
    /// An address argument: hexadecimal, a symbol (with an offset), or `(expression)`.
    ///
    /// In crash's own expressions a symbol is its address: `(init_task+8)` is eight bytes behind
    /// it. What they cannot say may be C: `(init_task.stack)`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn address(&self, text: &str) -> Result<u64, CommandError> {
        if let Some(address) = numbers::parse_hex(text) {
            return Ok(address);
        }
        let simple = numbers::evaluate(text, &|name| self.names.symbol(name));
        match (&simple, &self.kernel) {
            (Err(_), Some(kernel)) if self.frame.is_some() || !is_one_word(text) => {
                c_address(self, kernel, text)
            }
            _ => simple,
        }
    }

    /// A number that is decimal when all its digits are: a count, an index, a size; or
    /// `(expression)`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn number(&self, text: &str) -> Result<u64, CommandError> {
        numbers::evaluate(text, &|name| self.names.symbol(name))
    }
}

/// How many of something, or how long: a number in which no symbol of the kernel has a part.
///
/// # Errors
/// It is no number.
pub(crate) fn count(text: &str) -> Result<u64, CommandError> {
    numbers::evaluate(text, &|_| None)
        .map_err(|_| CommandError::usage(format!("{text} is not a number")))
}

/// `schedule`, `schedule+20`, `schedule+0x14`.
pub(crate) fn with_offset(name: &str, offset: u64, hex: bool) -> String {
    match (offset, hex) {
        (0, _) => name.to_owned(),
        (_, true) => format!("{name}+{offset:#x}"),
        (_, false) => format!("{name}+{offset}"),
    }
}

fn is_one_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The value of a C expression as an address: of what is no number, where it lies.
fn c_address(session: &Session, kernel: &Kernel, text: &str) -> Result<u64, CommandError> {
    let kernel = &View::new(kernel, Memory::of_kernel(kernel)).in_frame(session)?;
    let failed = |error: &dyn std::fmt::Display| CommandError::failed(format!("{text}: {error}"));
    let value = evaluate(kernel, text).map_err(|error| match error.fault() {
        Some(fault) => CommandError::Fault(fault),
        None => failed(&error),
    })?;
    let number = value.decay(kernel).and_then(|value| value.to_u64(kernel));
    match (number, value.address()) {
        (Ok(number), _) => Ok(number),
        (Err(ValueError::Type(_)), Some(address)) => Ok(address),
        (Err(ValueError::Fault(fault)), _) => Err(CommandError::Fault(fault)),
        (Err(error), None) => Err(failed(&error)),
    }
}
