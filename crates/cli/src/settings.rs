//! The variables that `set` shows and changes.

use std::path::PathBuf;

use crate::render::Form;

/// How numbers without a radix of their own are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Radix {
    /// Base 10.
    Decimal,
    /// Base 16.
    Hexadecimal,
}

/// Keys of the line editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditMode {
    /// vi's, as crash begins.
    Vi,
    /// Emacs'.
    Emacs,
}

/// Where errors of commands go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorTarget {
    /// The error stream.
    Stderr,
    /// Wherever the command's output goes, pipes and files included.
    Output,
    /// Added to a file.
    File(PathBuf),
}

/// A session's variables.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rows as text or JSON, unless the command says `--json`.
    pub form: Form,
    /// Long output goes through the pager.
    pub scroll: bool,
    /// Radix of `p`, `struct` and the like.
    pub radix: Radix,
    /// Array elements and string bytes printed before `...`.
    pub print_max: usize,
    /// Arrays are printed one element a line.
    pub print_array: bool,
    /// Keys of the line editor; takes effect when the next line is read.
    pub edit: EditMode,
    /// Only results: no banner, no progress.
    pub silent: bool,
    /// Excluded and unsaved pages read as zeros.
    pub zero_excluded: bool,
    /// Where errors go.
    pub error: ErrorTarget,
}

impl Settings {
    /// Whether numbers are printed in hexadecimal.
    pub fn hex(&self) -> bool {
        self.radix == Radix::Hexadecimal
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            form: Form::Text,
            scroll: true,
            radix: Radix::Decimal,
            print_max: 256,
            print_array: false,
            edit: EditMode::Vi,
            silent: false,
            zero_excluded: false,
            error: ErrorTarget::Stderr,
        }
    }
}
