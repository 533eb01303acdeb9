//! Aliases: crash's own, and the user's.

use std::fmt;

use necropsy_rows::{Cell, Kind, Shown, Value};
use serde::Serialize;

/// Where an alias comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Comes with the program.
    BuiltIn,
    /// An rc file.
    #[serde(rename = "rc")]
    RcFile,
    /// A line at the prompt, or of an input file.
    Runtime,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::BuiltIn => "builtin",
            Origin::RcFile => "rc",
            Origin::Runtime => "runtime",
        })
    }
}

impl Value for Origin {
    const KIND: Kind = Kind::Text;
}

impl Shown for Origin {
    fn show(&self, cell: &mut Cell) {
        cell.put(self);
    }
}

/// A word, and the text that stands for it at the beginning of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Who defined it.
    pub origin: Origin,
    /// The word.
    pub name: String,
    /// The text.
    pub text: String,
}

/// crash's aliases that are more than another name of a command (those are in the registry).
const BUILT_IN: &[(&str, &str)] = &[
    ("sf", "set scroll off"),
    ("sn", "set scroll on"),
    ("hex", "set radix 16"),
    ("dec", "set radix 10"),
    ("px", "p -x"),
    ("pd", "p -d"),
    ("for", "foreach"),
    ("size", "*"),
    ("last", "ps -l"),
    // gdb's words, which crash passes on to it.
    ("print", "p"),
    ("p/x", "p -x"),
    ("p/d", "p -d"),
    ("ptype", "whatis"),
];

/// All aliases of a session, the built-in ones first.
#[derive(Debug)]
pub struct Aliases(Vec<Alias>);

impl Default for Aliases {
    fn default() -> Self {
        let built_in = BUILT_IN.iter().map(|(name, text)| Alias {
            origin: Origin::BuiltIn,
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        });
        Aliases(built_in.collect())
    }
}

impl Aliases {
    /// The alias called `name`.
    pub fn get(&self, name: &str) -> Option<&Alias> {
        self.0.iter().find(|alias| alias.name == name)
    }

    /// Defines `name`; a second definition replaces the first.
    pub fn set(&mut self, origin: Origin, name: &str, text: &str) {
        self.remove(name);
        self.0.push(Alias { origin, name: name.to_owned(), text: text.to_owned() });
    }

    /// Forgets `name`. False if there was none.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|alias| alias.name != name);
        self.0.len() != before
    }

    /// In order of definition.
    pub fn iter(&self) -> std::slice::Iter<'_, Alias> {
        self.0.iter()
    }
}
