//! A row's chapter of the manual.

use std::fmt::{self, Write};

use crate::{Kind, RowType};

/// How deep rows nest; a type that nests itself ends there.
const MAX_DEPTH: usize = 6;

/// Writes what a row is and its fields as a table of Markdown; fields of inner rows stand below
/// them as `outer.inner`, those of a list of rows as `outer[].inner`.
///
/// # Errors
/// Those of `out`.
pub fn document(row: &RowType, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{}\n\n| field | | |\n|---|---|---|", one_line(row.doc))?;
    fields(row, "", 0, out)
}

fn fields(row: &RowType, prefix: &str, depth: usize, out: &mut dyn Write) -> fmt::Result {
    for (field, always) in row.fields() {
        let mut what = kind(field.kind);
        if let Some(unit) = field.unit {
            what = format!("{what} ({unit})");
        }
        if !always {
            what.push_str(", may be left out");
        }
        let doc = one_line(field.doc).replace('|', "\\|");
        let name = format!("{prefix}{}", field.name);
        writeln!(out, "| `{name}` | {what} | {doc} |")?;
        if let Some(inner) = field.kind.row().filter(|_| depth < MAX_DEPTH) {
            let list = if field.kind.is_rows() { "[]" } else { "" };
            fields(inner, &format!("{name}{list}."), depth + 1, out)?;
        }
    }
    Ok(())
}

fn kind(of: Kind) -> String {
    match of {
        Kind::Flag => "flag".into(),
        Kind::Count => "count".into(),
        Kind::Integer => "integer".into(),
        Kind::Decimal => "number".into(),
        Kind::Text => "text".into(),
        Kind::Hex => "hex".into(),
        Kind::Null(inner) => format!("{} or null", kind(*inner)),
        Kind::List(inner) if inner.row().is_some() => "list of rows".into(),
        Kind::List(inner) => format!("list of {}", kind(*inner)),
        Kind::Map(inner) => format!("{} by name", kind(*inner)),
        Kind::Row(_) => "row".into(),
        Kind::Faults => "faults".into(),
        Kind::Any => "any".into(),
    }
}

/// A doc comment without its line breaks.
pub(crate) fn one_line(doc: &str) -> String {
    let words: Vec<_> = doc.split_whitespace().collect();
    words.join(" ")
}
