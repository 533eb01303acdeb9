//! The page for a terminal or a ticket.

use std::fmt::{self, Write};

use necropsy_diagnose::Evidence;

use super::page::{Item, Page, Section};

/// A line of a ticket.
const COLUMNS: usize = 80;

pub(super) fn write(page: &Page, out: &mut dyn Write) -> fmt::Result {
    for (index, section) in page.sections.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_section(section, out)?;
    }
    Ok(())
}

pub(super) fn write_section(section: &Section, out: &mut dyn Write) -> fmt::Result {
    match section.head.as_str() {
        "" => writeln!(out, "{}", section.title)?,
        head => write_wrapped(&format!("{}  {head}", section.title), 0, out)?,
    }
    for item in &section.items {
        match item {
            Item::Text(text) => write_wrapped(text, 4, out)?,
            Item::Line(line) => writeln!(out, "    {line}")?,
            Item::Field(name, value) => writeln!(out, "{name:>12}  {value}")?,
            Item::Finding(said, evidence) => {
                write_wrapped(said, 4, out)?;
                for piece in evidence {
                    write_evidence(piece, out)?;
                }
            }
        }
    }
    Ok(())
}

/// What it is, where, what is there; and on a line of its own the command that shows it.
fn write_evidence(evidence: &Evidence, out: &mut dyn Write) -> fmt::Result {
    write_wrapped(&format!("- {}", told(evidence)), 6, out)?;
    writeln!(out, "          {}", evidence.command)
}

/// A piece of evidence in words, without its command.
pub(super) fn told(evidence: &Evidence) -> String {
    let mut said = evidence.what.clone();
    if let Some(address) = evidence.address {
        said.push_str(&format!(", at {address:016x}"));
    }
    if let Some(value) = evidence.value {
        said.push_str(&format!(": {value:016x}"));
    }
    said
}

/// Text in lines that fit a ticket; what follows the first is indented further.
pub(super) fn write_wrapped(text: &str, indent: usize, out: &mut dyn Write) -> fmt::Result {
    let mut column = indent;
    write!(out, "{:indent$}", "")?;
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > COLUMNS {
            write!(out, "\n{:1$}", "", indent + 2)?;
            column = indent + 2;
        } else if index > 0 {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{word}")?;
        column += width;
    }
    writeln!(out)
}
