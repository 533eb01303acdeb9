//! What a command is: the types in which each command declares itself. The list of all commands is
//! in `registry.rs`.

use necropsy_rows::RowType;

use crate::{error::Outcome, parsed::Parsed, render::Output, session::Session};

/// What a command is. All of its documentation comes from here.
pub struct Command {
    /// The first is the name, the rest other names it answers to.
    pub names: &'static [&'static str],
    /// One line, no full stop.
    pub summary: &'static str,
    /// Forms of use, one a line, without the name: `[-b] (expression) | value`.
    pub synopsis: &'static str,
    /// Options beside `--json`, `--csv` and `--help`, which every command has.
    pub options: &'static [Opt],
    /// The rows that it yields, one type or several; none: it yields no rows of its own.
    pub rows: &'static [&'static RowType],
    /// What the positional arguments are, for checks and completion; the last one repeats. None:
    /// the command takes no arguments.
    pub args: &'static [Arg],
    /// Paragraphs for `help NAME`.
    pub description: &'static str,
    /// Examples, shown by `help NAME` and run by the tests.
    pub examples: &'static [Example],
    /// Does the work.
    pub run: fn(&mut Session, &Parsed, &mut Output) -> Outcome,
}

impl Command {
    /// The name of the command.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or("")
    }

    /// One line: `usage: eval [-b] (expression) | value`, several forms joined by `or`.
    pub fn usage(&self) -> String {
        let forms = self.synopsis.split('\n').map(|form| format!("{} {form}", self.name()));
        let forms: Vec<_> = forms.map(|form| form.trim_end().to_owned()).collect();
        format!("usage: {}", forms.join("  or  "))
    }
}

/// Commands that somebody has: the list itself is `registry.rs`, which no command imports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Commands(pub &'static [&'static Command]);

impl Commands {
    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'static Command> {
        self.0.iter().copied()
    }

    /// The command called `name`, by its first name or another.
    pub fn find(self, name: &str) -> Option<&'static Command> {
        self.iter().find(|command| command.names.contains(&name))
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Command").field(&self.name()).finish()
    }
}

/// An option of a command. Each is a constant beside its command, which both the declaration and
/// [`Parsed`] are given: a misspelt one does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opt {
    /// As typed: `-s`, `-16`, `-FF`, `--touched`. Flags with one dash combine (`-lr`), the longest
    /// that fits first.
    pub flag: &'static str,
    /// Name of its value: the rest of the word, or the next word. A name which begins with `=`
    /// (`=cpus`) marks an optional value, given as `-S=0,2`.
    pub value: Option<&'static str>,
    /// One line.
    pub help: &'static str,
}

impl Opt {
    /// An option without a value.
    pub const fn flag(flag: &'static str, help: &'static str) -> Self {
        Opt { flag, value: None, help }
    }

    /// An option with a value of that name.
    pub const fn value(flag: &'static str, name: &'static str, help: &'static str) -> Self {
        Opt { flag, value: Some(name), help }
    }

    /// With its value, as help shows it: `-c cpus`, `-S[=cpus]`.
    pub fn display(&self) -> String {
        match self.value {
            None => self.flag.to_owned(),
            Some(optional) if optional.starts_with('=') => format!("{}[{optional}]", self.flag),
            Some(value) => format!("{} {value}", self.flag),
        }
    }
}

/// What kind of thing a positional argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arg {
    /// A number, an address or `(expression)`.
    Number,
    /// A kernel symbol, or an address.
    Symbol,
    /// A type's name, with members behind it: `task_struct.mm.pgd`.
    Type,
    /// The name of a command.
    Command,
    /// A task: pid, `task_struct` address or command name.
    Task,
    /// A file of this machine.
    File,
    /// The rest of the line is one C expression, in which words such as `-1` are no options.
    Expression,
    /// The rest of the line belongs to another command, options included.
    CommandLine,
    /// Anything else, under this name.
    Text(&'static str),
}

/// A line to try.
#[derive(Debug)]
pub struct Example {
    /// What it shows; ends in a full stop.
    pub about: &'static str,
    /// What to type.
    pub line: &'static str,
    /// What comes back; empty where it depends on the dump.
    pub output: &'static str,
}
