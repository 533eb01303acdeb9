//! The page for a browser: one file that loads nothing. The verdict on top, the code around the failing
//! instruction, damaged objects with their bytes, who waits for whom, slabs and memory drawn; each address
//! of the evidence folds out to what lies there.

use std::fmt::Write;

use necropsy_diagnose::{
    Evidence,
    facts::{Exhibit, Facts},
};
use necropsy_linux::Kernel;

use super::{
    drawn,
    page::{Item, Page},
    text::told,
};

/// Bytes that an address folds out to.
const FOLDED: u64 = 64;
/// The whole look: fits narrow and wide windows, light and dark.
const STYLE: &str = include_str!("style.css");

pub(super) fn render(kernel: Option<&Kernel>, facts: &Facts, page: &Page) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(kernel, facts, page, &mut out);
    out
}

fn write(
    kernel: Option<&Kernel>,
    facts: &Facts,
    page: &Page,
    out: &mut String,
) -> std::fmt::Result {
    let title = facts.diagnosis.verdict.as_ref().map_or("no verdict", |it| it.title.as_str());
    writeln!(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    // Nothing is loaded, whatever a dump's text may hold.
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\">"
    )?;
    writeln!(out, "<title>{}</title>\n<style>{STYLE}</style></head><body><main>", escaped(title))?;
    for (index, section) in page.sections.iter().enumerate() {
        let class = if index == 0 { " class=\"verdict\"" } else { "" };
        writeln!(out, "<section{class}><h2>{}</h2>", escaped(section.title))?;
        if !section.head.is_empty() {
            writeln!(out, "<p class=\"head\">{}</p>", escaped(&section.head))?;
        }
        items(kernel, &section.items, out)?;
        if section.title == "EVIDENCE" {
            exhibits(&facts.exhibits, out)?;
            drawn::graph(&facts.waits, out)?;
            drawn::slab(facts.slab.as_ref(), out)?;
            drawn::memory(kernel, &facts.marks, out)?;
        }
        writeln!(out, "</section>")?;
    }
    writeln!(out, "</main></body></html>")
}

fn items(kernel: Option<&Kernel>, items: &[Item], out: &mut String) -> std::fmt::Result {
    let mut lines = false;
    for item in items {
        let line = matches!(item, Item::Line(_) | Item::Field(..));
        if line != lines {
            out.push_str(if line { "<pre>" } else { "</pre>\n" });
            lines = line;
        }
        match item {
            Item::Text(text) => writeln!(out, "<p>{}</p>", escaped(text))?,
            Item::Line(line) => writeln!(out, "{}", escaped(line))?,
            Item::Field(name, value) => writeln!(out, "{name:>8}  {}", escaped(value))?,
            Item::Finding(said, evidence) => {
                writeln!(out, "<p>{}</p><ul>", escaped(said))?;
                for piece in evidence {
                    write_evidence(kernel, piece, out)?;
                }
                writeln!(out, "</ul>")?;
            }
        }
    }
    if lines {
        out.push_str("</pre>\n");
    }
    Ok(())
}

fn write_evidence(
    kernel: Option<&Kernel>,
    evidence: &Evidence,
    out: &mut String,
) -> std::fmt::Result {
    writeln!(out, "<li>{} <code>{}</code>", escaped(&told(evidence)), escaped(&evidence.command))?;
    let addresses = [evidence.address, evidence.value].into_iter().flatten();
    for (address, kernel) in addresses.filter_map(|address| Some((address, kernel?))) {
        if !kernel.target().address_class(address).is_kernel() {
            continue;
        }
        let what = kernel.identify(address, &[]).map_or(String::new(), |it| format!(" {it}"));
        writeln!(out, "<details><summary>{address:016x}{}</summary>", escaped(&what))?;
        match kernel.target().read_bytes(address & !15, FOLDED) {
            Ok(bytes) => hexdump(address & !15, &bytes, &(0..0), out)?,
            Err(fault) => writeln!(out, "<p>{}</p>", escaped(&fault.to_string()))?,
        }
        writeln!(out, "</details>")?;
    }
    writeln!(out, "</li>")
}

fn exhibits(exhibits: &[Exhibit], out: &mut String) -> std::fmt::Result {
    for exhibit in exhibits {
        writeln!(out, "<h3>{}</h3>", escaped(&exhibit.title))?;
        match &exhibit.lines {
            Some(lines) => {
                out.push_str("<pre>");
                for (line, marked) in lines {
                    let line = escaped(line);
                    match marked {
                        true => writeln!(out, "<mark>{line}</mark>")?,
                        false => writeln!(out, "{line}")?,
                    }
                }
                out.push_str("</pre>\n");
            }
            None => hexdump(exhibit.address, &exhibit.bytes, &exhibit.marked, out)?,
        }
    }
    Ok(())
}

/// Bytes, sixteen a line, some of them marked.
fn hexdump(
    address: u64,
    bytes: &[u8],
    marked: &std::ops::Range<usize>,
    out: &mut String,
) -> std::fmt::Result {
    out.push_str("<pre>");
    for (index, line) in bytes.chunks(16).enumerate() {
        write!(out, "{:016x} ", address.wrapping_add(index as u64 * 16))?;
        for (at, byte) in line.iter().enumerate() {
            let is = marked.contains(&(index * 16 + at));
            let (open, close) = if is { ("<mark>", "</mark>") } else { ("", "") };
            write!(out, " {open}{byte:02x}{close}")?;
        }
        let text: String = line
            .iter()
            .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' })
            .collect();
        writeln!(out, "{:1$}  {2}", "", 3 * (16 - line.len()), escaped(&text))?;
    }
    writeln!(out, "</pre>")
}

/// Text as HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dump_holds_is_no_markup() {
        assert_eq!(escaped("<img src=\"x\">&"), "&lt;img src=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn damaged_bytes_are_marked() {
        let mut out = String::new();
        hexdump(0x1000, b"ABC", &(1..2), &mut out).expect("strings take everything");
        assert!(out.starts_with("<pre>0000000000001000  41 <mark>42</mark> 43"), "{out}");
        assert!(out.contains("ABC"), "{out}");
    }
}
