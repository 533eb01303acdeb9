//! Symbols, instructions, source, modules.

use necropsy_rows::{Hex, row};

row! {
    /// A symbol, or an address in it.
    #[derive(Debug)]
    pub struct SymbolRow<'a> {
        /// The address.
        pub address: Hex,
        /// The symbol.
        pub name: &'a str,
        /// How far behind it the address lies.
        pub offset: u64 [bytes],
        /// Its kind in nm's letters, a capital one for a global symbol.
        pub section: char,
        /// The module it belongs to.
        pub module: Option<&'a str>,
        /// Source file of the code there.
        pub file: Option<String> [maybe],
        /// Line in it.
        pub line: Option<u32> [maybe],
    }

    /// An instruction.
    #[derive(Debug)]
    pub struct InstructionRow<'a> {
        /// Where it lies.
        pub address: Hex,
        /// The function.
        pub symbol: Option<&'a str>,
        /// How far from the function's start.
        pub offset: Option<u64> [bytes],
        /// Its bytes, in hexadecimal.
        pub bytes: String,
        /// What it does.
        pub mnemonic: &'a str,
        /// To what.
        pub operands: &'a str,
        /// What the operands refer to: the symbol of a target, the address that `%rip` leads to.
        pub comment: Option<String>,
        /// Source file (`-l`).
        pub file: Option<String> [maybe],
        /// Line in it (`-l`).
        pub line: Option<u32> [maybe],
    }

    /// A line of source (`dis -s`).
    #[derive(Debug)]
    pub struct SourceRow<'a> {
        /// The file.
        pub file: &'a str,
        /// The line's number.
        pub line: u32,
        /// The line.
        pub text: String,
        /// It is the line that was asked for.
        pub here: bool,
    }

    /// A loaded module.
    #[derive(Debug)]
    pub struct ModuleRow<'a> {
        /// Its name.
        pub name: &'a str,
        /// Its `struct module`.
        pub module: Hex,
        /// Where its code begins.
        pub base: Hex,
        /// Its size.
        pub size: u64 [bytes],
        /// The letters of its taints.
        pub taints: String,
        /// Build ID.
        pub build_id: Option<&'a str>,
        /// The file with its debug information, where it was read.
        pub debuginfo: Option<String>,
    }
}
