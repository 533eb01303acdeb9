//! Dcmds, walkers and macros: declared once, found by name.

use crate::{Call, Mdb, Outcome};

/// A dcmd.
#[derive(Debug, Clone, Copy)]
pub struct Dcmd {
    /// Its names, the first one first; those of one character after `$` or `:` include that.
    pub names: &'static [&'static str],
    /// How it is used: `?` an address may be given, `:` one must be; then options and arguments.
    pub usage: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// More about it.
    pub help: &'static str,
    /// Takes all addresses of a pipe at once.
    pub takes_all: bool,
    /// Runs it.
    pub run: fn(&mut Mdb, &Call) -> Outcome,
}

impl Dcmd {
    /// A dcmd without long help that runs once for each address.
    pub const fn new(
        name: &'static [&'static str],
        usage: &'static str,
        summary: &'static str,
        run: fn(&mut Mdb, &Call) -> Outcome,
    ) -> Dcmd {
        Dcmd { names: name, usage, summary, help: "", takes_all: false, run }
    }

    /// The same with help.
    pub const fn with_help(self, help: &'static str) -> Dcmd {
        Dcmd { help, ..self }
    }

    /// The same, taking all addresses of a pipe at once.
    pub const fn taking_all(self) -> Dcmd {
        Dcmd { takes_all: true, ..self }
    }

    /// Its first name, with what stands before it when it is typed.
    pub fn typed(&self) -> String {
        let name = self.names[0];
        if name.starts_with(['$', ':']) { name.to_owned() } else { format!("::{name}") }
    }
}

/// A walker.
#[derive(Debug, Clone, Copy)]
pub struct Walker {
    /// Its name.
    pub name: &'static str,
    /// What it visits, in one line.
    pub summary: &'static str,
    /// The elements, from the address that was given, if one was; what stopped it is noted.
    pub walk: fn(&mut Mdb, Option<u64>) -> Outcome<Vec<u64>>,
}

/// What a session has by name; the first of a name counts.
#[derive(Debug, Clone, Copy)]
pub struct Registry {
    /// Its dcmds: those of its kind of kernel, then the general ones ([`dcmds::ALL`]).
    ///
    /// [`dcmds::ALL`]: crate::dcmds::ALL
    pub dcmds: &'static [&'static [Dcmd]],
    /// Its walkers.
    pub walkers: &'static [Walker],
    /// What `$<NAME` stands for.
    pub macros: &'static [(&'static str, &'static str)],
}

impl Registry {
    /// Every dcmd.
    pub fn dcmds(&self) -> impl Iterator<Item = &'static Dcmd> + use<> {
        self.dcmds.iter().copied().flatten()
    }
}
