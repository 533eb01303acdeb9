//! Every command, in one slice: the language, help, completion, the manual and the tests read it.
//!
//! Adding a command is one file in `commands/` with a `pub(crate) static COMMAND: Command`, and
//! one line here.

use crate::{command::Commands, commands};

/// All commands, in the order of the manual.
pub static COMMANDS: Commands = Commands(&[
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
    &commands::frame::UP,
    &commands::frame::DOWN,
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
    &commands::locks::COMMAND,
    &commands::hang::COMMAND,
    &commands::stacks::COMMAND,
    &commands::cpus::COMMAND,
    &commands::trace::COMMAND,
    &commands::oomkill::COMMAND,
    &commands::gcore::COMMAND,
    &commands::pagecache::COMMAND,
    &commands::workqueue::COMMAND,
    &commands::block::COMMAND,
    &commands::rcu::COMMAND,
    &commands::cgroups::COMMAND,
    &commands::kmem::COMMAND,
    &commands::check::COMMAND,
    &commands::refs::COMMAND,
    &commands::mach::COMMAND,
    &commands::runq::COMMAND,
    &commands::timer::COMMAND,
    &commands::list::COMMAND,
    &commands::tree::COMMAND,
    &commands::quit::COMMAND,
    &commands::repeat::COMMAND,
    &commands::report::COMMAND,
    &commands::schema::COMMAND,
    &commands::search::COMMAND,
    &commands::set::COMMAND,
    &commands::files::COMMAND,
    &commands::vm::COMMAND,
    &commands::mount::COMMAND,
    &commands::ipcs::COMMAND,
    &commands::sig::COMMAND,
    &commands::net::COMMAND,
    &commands::dev::COMMAND,
    &commands::swap::COMMAND,
    &commands::waitq::COMMAND,
    &commands::fuser::COMMAND,
    &commands::bpf::COMMAND,
    &commands::sbitmapq::COMMAND,
    &commands::rustfilt::COMMAND,
]);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use necropsy_rows::RowType;

    use super::*;
    use crate::command::{Command, Opt};

    #[test]
    fn names_are_unique_and_entries_complete() {
        let mut seen = HashSet::new();
        for command in COMMANDS.iter() {
            assert!(!command.names.is_empty() && !command.summary.is_empty(), "{command:?}");
            assert!(!command.summary.ends_with('.'), "{command:?}: a summary is no sentence");
            for name in command.names {
                assert!(seen.insert(*name), "{name} is registered twice");
            }
            for option in command.options {
                assert!(option.flag.starts_with('-') && !option.help.is_empty(), "{option:?}");
                assert!(
                    !matches!(option.flag, "--json" | "--csv" | "--help"),
                    "{command:?}: is built in"
                );
            }
        }
    }

    /// Rows, and the rows in them, say of each field what it is.
    #[test]
    fn rows_are_documented() {
        fn look(command: &Command, row: &RowType, depth: usize) {
            assert!(!row.doc.trim().is_empty(), "{command:?}: what is {}?", row.name);
            for (field, _) in row.fields() {
                let name = (row.name, field.name);
                assert!(!field.doc.trim().is_empty(), "{command:?}: what is {name:?}?");
                if let Some(inner) = field.kind.row().filter(|_| depth < 6) {
                    look(command, inner, depth + 1);
                }
            }
        }
        for command in COMMANDS.iter() {
            command.rows.iter().for_each(|row| look(command, row, 0));
        }
    }

    #[test]
    fn every_option_with_an_effect_is_in_the_synopsis() {
        for command in COMMANDS.iter() {
            // What is only accepted for old scripts' sake need not be advertised, nor what is refused.
            let hidden = ["accepted", "refused"];
            let shown = |option: &&Opt| !hidden.iter().any(|word| option.help.starts_with(word));
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
