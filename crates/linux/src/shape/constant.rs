//! Numbers that the kernel has names for.

use necropsy_dump::Fault;

use super::{Alternative, Form, Found, Part, Sources};
use crate::error::{Error, Result};

/// A constant of an enum, or a number that VMCOREINFO tells.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    alternatives: &'static [Alternative],
    optional: bool,
    value: Option<(Alternative, i64)>,
    hidden: Option<Fault>,
}

impl Constant {
    pub(crate) fn resolve(
        sources: &Sources<'_>,
        alternatives: &'static [Alternative],
        optional: bool,
    ) -> Constant {
        let value = alternatives.iter().find_map(|alternative| {
            let told = || sources.info?.number(alternative.name).map(|number| number as i64);
            // What VMCOREINFO tells as a flag or kind, the types may know under the same name with
            // another meaning: PG_slab was a bit of page.flags, then one of page.page_type.
            let typed = match alternative.form {
                Form::Flag | Form::Kind => None,
                _ => sources.types.enumerator(alternative.name).map(|(value, _)| value),
            };
            Some((*alternative, typed.or_else(told)?))
        });
        Constant { alternatives, optional, value, hidden: sources.hidden }
    }

    /// Its value.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when this kernel has none; a fault when the dump lacks the description of
    /// some types.
    pub fn get(&self) -> Result<i64> {
        self.value.map(|(_, value)| value).ok_or_else(|| match self.hidden {
            Some(fault) => fault.into(),
            None => Error::no_constant(self.alternatives.iter().map(|a| a.name)),
        })
    }

    /// Its value where it cannot be negative: an index, a count.
    ///
    /// # Errors
    /// As [`Constant::get`]; [`Error::Corrupt`] when it is negative.
    pub fn index(&self) -> Result<u64> {
        let value = self.get()?;
        u64::try_from(value).map_err(|_| Error::corrupt(format!("a constant of {value}")))
    }

    /// The form of the alternative that this kernel has.
    pub fn form(&self) -> Option<Form> {
        self.value.map(|(alternative, _)| alternative.form)
    }

    pub(crate) fn part(&self) -> Part {
        Part {
            alternatives: self.alternatives,
            optional: self.optional,
            found: self.value.map(|(alternative, value)| (alternative, Found::Value(value))),
        }
    }
}
