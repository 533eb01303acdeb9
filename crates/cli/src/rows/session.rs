//! The session: commands, aliases, variables, numbers.

use necropsy_rows::{Hex, row};

use crate::aliases::Origin;

row! {
    /// A command in a line.
    #[derive(Debug)]
    pub struct SummaryRow {
        /// Its name.
        pub name: &'static str,
        /// Other names that it answers to.
        pub aliases: &'static [&'static str],
        /// What it does.
        pub summary: &'static str,
    }

    /// An option of a command.
    #[derive(Debug)]
    pub struct OptionRow {
        /// As typed.
        pub flag: &'static str,
        /// What its value is; one that begins with `=` may be left out.
        pub value: Option<&'static str>,
        /// What it does.
        pub help: &'static str,
    }

    /// A command's page.
    #[derive(Debug)]
    pub struct PageRow {
        /// Its name.
        pub name: &'static str,
        /// Other names that it answers to.
        pub aliases: &'static [&'static str],
        /// What it does, in a line.
        pub summary: &'static str,
        /// How it is used.
        pub synopsis: Vec<&'static str>,
        /// Its options, beside `--json`, `--csv` and `--help`.
        pub options: Vec<OptionRow>,
        /// What it does.
        pub description: &'static str,
        /// Lines to try.
        pub examples: Vec<&'static str>,
    }

    /// An alias.
    #[derive(Debug)]
    pub struct AliasRow {
        /// Where it comes from: `builtin`, `rc` or `runtime`.
        pub origin: Origin => "ORIGIN" left 7,
        /// The word.
        pub alias: String => "ALIAS" left 7,
        /// What it stands for.
        pub command: String => "COMMAND" left 0,
    }

    /// A variable of the session.
    #[derive(Debug)]
    pub struct SettingRow {
        /// Its name.
        pub variable: &'static str,
        /// Its value.
        pub value: String,
    }

    /// A line typed before.
    #[derive(Debug)]
    pub struct LineRow<'a> {
        /// Its number.
        pub number: usize,
        /// The line.
        pub line: &'a str,
    }

    /// A value as characters.
    #[derive(Debug)]
    pub struct CharactersRow {
        /// The value.
        pub value: Hex,
        /// Its bytes in little-endian memory, as characters.
        pub text: String,
    }

    /// An ASCII code.
    #[derive(Debug)]
    pub struct CodeRow {
        /// The code.
        pub code: Hex,
        /// The character, or its name.
        pub name: String,
    }

    /// A number in several notations.
    #[derive(Debug)]
    pub struct NumberRow {
        /// In base 16.
        pub hexadecimal: Hex,
        /// In base 10.
        pub decimal: u64,
        /// In base 10, its highest bit the sign.
        pub signed: i64,
        /// In base 8.
        pub octal: String,
        /// In base 2.
        pub binary: String,
        /// The bits that are set, highest first.
        pub bits_set: Vec<u32>,
    }
}
