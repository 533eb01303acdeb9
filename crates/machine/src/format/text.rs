//! Trees to text, and gdb's escapes.

use std::fmt::{self, Write as _};

use super::Rendered;

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Rendered {
    /// Writes the value where lines that follow the first are indented by `level` times two
    /// spaces.
    pub fn write(&self, f: &mut dyn fmt::Write, level: usize) -> fmt::Result {
        match self {
            Rendered::Integer { text, .. }
            | Rendered::Bool { text, .. }
            | Rendered::Enum { text, .. }
            | Rendered::String { text, .. }
            | Rendered::Other(text) => f.write_str(text),
            Rendered::Fault(fault) => write!(f, "<{fault}>"),
            Rendered::Pointer { address, symbol, string, prefix } => {
                if let Some(prefix) = prefix {
                    write!(f, "{prefix} ")?;
                }
                write!(f, "{address:#x}")?;
                if let Some(symbol) = symbol {
                    write!(f, " <{symbol}>")?;
                }
                if let Some(string) = string {
                    f.write_char(' ')?;
                    string.write(f, level)?;
                }
                Ok(())
            }
            Rendered::Composite(members) if members.is_empty() => f.write_str("{<No data fields>}"),
            Rendered::Composite(members) => {
                f.write_str("{\n")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    write!(f, "{:1$}", "", (level + 1) * 2)?;
                    if let Some(name) = name {
                        write!(f, "{name} = ")?;
                    }
                    value.write(f, level + 1)?;
                    f.write_str(if index + 1 < members.len() { ",\n" } else { "\n" })?;
                }
                write!(f, "{:1$}}}", "", level * 2)
            }
            Rendered::Array { items, more } => {
                f.write_char('{')?;
                for (index, (item, count)) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    item.write(f, level + 1)?;
                    if *count > 1 {
                        write!(f, " <repeats {count} times>")?;
                    }
                }
                f.write_str(if *more { "...}" } else { "}" })
            }
        }
    }
}

/// A character as gdb prints it: `'A'`, `'\n'`, `'\377'`.
pub fn char_literal(byte: u8) -> String {
    let mut out = String::from("'");
    escape(byte, '\'', &mut out);
    out.push('\'');
    out
}

/// Bytes as gdb prints a string: `"swapper/0\000\000"`.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        escape(byte, '"', &mut out);
    }
    out.push('"');
    out
}

/// As [`quote`], but what stands more than `threshold` times in a row is counted, as gdb does it:
/// `"sh", '\000' <repeats 62 times>`.
pub(super) fn quote_folded(bytes: &[u8], threshold: usize) -> String {
    let mut parts = Vec::new();
    let mut plain: Vec<u8> = Vec::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() <= threshold {
            plain.extend_from_slice(run);
            continue;
        }
        if !plain.is_empty() {
            parts.push(quote(&plain));
            plain.clear();
        }
        parts.push(format!("{} <repeats {} times>", char_literal(run[0]), run.len()));
    }
    if !plain.is_empty() || parts.is_empty() {
        parts.push(quote(&plain));
    }
    parts.join(", ")
}

fn escape(byte: u8, quotation: char, out: &mut String) {
    let letter = match byte {
        7 => 'a',
        8 => 'b',
        9 => 't',
        10 => 'n',
        11 => 'v',
        12 => 'f',
        13 => 'r',
        b'\\' => '\\',
        _ if char::from(byte) == quotation => quotation,
        0x20..=0x7e => {
            out.push(byte.into());
            return;
        }
        _ => {
            let _ = write!(out, "\\{byte:03o}");
            return;
        }
    };
    out.push('\\');
    out.push(letter);
}
