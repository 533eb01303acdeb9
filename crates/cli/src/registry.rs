//! Every command, in one slice: the language, help, completion, the manual and the tests read it.
//!
//! Adding a command is one file in `commands/` with a `pub(crate) static COMMAND: Command`, and
//! one line here.

use crate::{commands, error::Outcome, parsed::Parsed, render::Output, session::Session};

/// All commands, in the order of the manual.
pub static COMMANDS: &[&Command] = &[
    &commands::sys::COMMAND,
    &commands::info::COMMAND,
    &commands::doctor::COMMAND,
    &commands::log::COMMAND,
    &commands::oops::COMMAND,
    &commands::alias::COMMAND,
    &commands::ascii::COMMAND,
    &commands::eval::COMMAND,
    &commands::ps::COMMAND,
    &commands::foreach::COMMAND,
    &commands::bt::COMMAND,
    &commands::frame::COMMAND,
    &commands::frame::LOCALS,
    &commands::explain::COMMAND,
    &commands::sym::COMMAND,
    &commands::rd::COMMAND,
    &commands::dis::COMMAND,
    &commands::structure::COMMAND,
    &commands::print::COMMAND,
    &commands::print::HEXADECIMAL,
    &commands::print::DECIMAL,
    &commands::whatis::COMMAND,
    &commands::task::COMMAND,
    &commands::modules::COMMAND,
    &commands::vtop::COMMAND,
    &commands::ptov::COMMAND,
    &commands::pte::COMMAND,
    &commands::btop::COMMAND,
    &commands::ptob::COMMAND,
    &commands::help::COMMAND,
    &commands::history::COMMAND,
    &commands::irq::COMMAND,
    &commands::mach::COMMAND,
    &commands::runq::COMMAND,
    &commands::timer::COMMAND,
    &commands::list::COMMAND,
    &commands::tree::COMMAND,
    &commands::quit::COMMAND,
    &commands::repeat::COMMAND,
    &commands::report::COMMAND,
    &commands::search::COMMAND,
    &commands::set::COMMAND,
];

/// The command called `name`, by its first name or another.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.names.contains(&name))
}

/// What a command is. All of its documentation comes from here.
pub struct Command {
    /// The first is the name, the rest other names it answers to.
    pub names: &'static [&'static str],
    /// One line, no full stop.
    pub summary: &'static str,
    /// Forms of use, one a line, without the name: `[-b] (expression) | value`.
    pub synopsis: &'static str,
    /// Options beside `--json` and `--help`, which every command has.
    pub options: &'static [Opt],
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
        let forms = self.synopsis.lines().map(|form| format!("{} {form}", self.name()));
        let forms: Vec<_> = forms.map(|form| form.trim_end().to_owned()).collect();
        format!("usage: {}", forms.join("  or  "))
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Command").field(&self.name()).finish()
    }
}

/// An option of a command.
#[derive(Debug)]
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_entries_complete() {
        let mut seen = HashSet::new();
        for command in COMMANDS {
            assert!(!command.names.is_empty() && !command.summary.is_empty(), "{command:?}");
            assert!(!command.summary.ends_with('.'), "{command:?}: a summary is no sentence");
            for name in command.names {
                assert!(seen.insert(*name), "{name} is registered twice");
            }
            for option in command.options {
                assert!(option.flag.starts_with('-') && !option.help.is_empty(), "{option:?}");
                assert!(!matches!(option.flag, "--json" | "--help"), "{command:?}: is built in");
            }
        }
    }

    #[test]
    fn every_option_with_an_effect_is_in_the_synopsis() {
        for command in COMMANDS {
            // What is only accepted for old scripts' sake need not be advertised.
            let shown = |option: &&Opt| !option.help.starts_with("accepted");
            for option in command.options.iter().filter(shown) {
                let letters = option.flag.trim_start_matches('-');
                assert!(
                    command.synopsis.contains(option.flag) || command.synopsis.contains(letters),
                    "{command:?}: the synopsis lacks {}",
                    option.flag
                );
            }
        }
    }
}
