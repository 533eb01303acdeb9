//! Variables whose name tells how the kernel keeps something.

use necropsy_dump::Fault;

use super::{Alternative, Form, Found, Part, Sources};
use crate::error::{Error, Result};

/// A variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    alternatives: &'static [Alternative],
    optional: bool,
    at: Option<(Alternative, u64)>,
    hidden: Option<Fault>,
}

impl Variable {
    pub(crate) fn resolve(
        sources: &Sources<'_>,
        alternatives: &'static [Alternative],
        optional: bool,
    ) -> Variable {
        let at = alternatives.iter().find_map(|alternative| {
            // VMCOREINFO comes first: it means the log's own `log_buf` where the kernel has a
            // second variable of that name (kernel/bpf/verifier.c, 3.18 to 4.14).
            let told = sources.info.and_then(|info| info.symbol(alternative.name));
            Some((*alternative, told.or_else(|| (sources.symbols)(alternative.name))?))
        });
        Variable { alternatives, optional, at, hidden: sources.hidden_symbols }
    }

    /// Whether this kernel has it.
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// Its virtual address; of a per-CPU variable, within the per-CPU areas.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when this kernel has none; a fault when the dump lacks some symbols' names.
    pub fn address(&self) -> Result<u64> {
        self.at.map(|(_, address)| address).ok_or_else(|| match self.hidden {
            Some(fault) => fault.into(),
            None => {
                let names: Vec<&str> = self.alternatives.iter().map(|a| a.name).collect();
                Error::no_symbol(&names.join(" or "))
            }
        })
    }

    /// The form of the alternative that this kernel has.
    pub fn form(&self) -> Option<Form> {
        self.at.map(|(alternative, _)| alternative.form)
    }

    pub(crate) fn part(&self) -> Part {
        Part {
            alternatives: self.alternatives,
            optional: self.optional,
            found: self.at.map(|(alternative, at)| (alternative, Found::Address(at))),
        }
    }
}
