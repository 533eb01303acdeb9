//! The page in Markdown, for trackers that render it.

use std::fmt::{self, Write};

use super::{
    page::{Item, Page},
    text::told,
};

pub(super) fn write(page: &Page, out: &mut dyn Write) -> fmt::Result {
    for (index, section) in page.sections.iter().enumerate() {
        let level = if index == 0 { "#" } else { "##" };
        let title = capitalised(section.title);
        match section.head.as_str() {
            "" => writeln!(out, "{level} {title}\n")?,
            head => writeln!(out, "{level} {title}: {}\n", escaped(head))?,
        }
        let mut fenced = false;
        for item in &section.items {
            let line = matches!(item, Item::Line(_) | Item::Field(..));
            if line != fenced {
                writeln!(out, "```")?;
                fenced = line;
                if !line {
                    writeln!(out)?;
                }
            }
            match item {
                Item::Text(text) => writeln!(out, "{}\n", escaped(text))?,
                Item::Line(line) => writeln!(out, "{line}")?,
                Item::Field(name, value) => writeln!(out, "{name:>8}  {value}")?,
                Item::Finding(said, evidence) => {
                    writeln!(out, "{}\n", escaped(said))?;
                    for piece in evidence {
                        let command = piece.command.replace('`', "'");
                        writeln!(out, "- {}: `{command}`", escaped(&told(piece)))?;
                    }
                    writeln!(out)?;
                }
            }
        }
        if fenced {
            writeln!(out, "```\n")?;
        }
    }
    Ok(())
}

fn capitalised(title: &str) -> String {
    let lower = title.to_lowercase();
    let mut chars = lower.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Text that Markdown would take for markup.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escaped("sfd->id_*"), "sfd-\\>id\\_\\*");
        assert_eq!(capitalised("NOT THIS"), "Not this");
    }
}
