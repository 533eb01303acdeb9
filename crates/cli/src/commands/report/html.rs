//! The page for a browser: one file that loads nothing. The verdict on top, the code around the failing
//! instruction, damaged objects with their bytes, the wait-for graph drawn; each address of the evidence
//! folds out to what lies there.

use std::fmt::Write;

use necropsy_diagnose::{
    Evidence,
    facts::{Exhibit, Facts, Wait},
};
use necropsy_linux::Kernel;

use super::{
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
            graph(&facts.waits, out)?;
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

/// Who waits for whom: tasks on the left, what they wait for and who has it on the right.
fn graph(waits: &[Wait], out: &mut String) -> std::fmt::Result {
    if waits.is_empty() {
        return Ok(());
    }
    const ROW: usize = 64;
    let height = waits.len() * ROW + 10;
    writeln!(out, "<h3>Who waits for whom</h3>")?;
    writeln!(
        out,
        "<svg viewBox=\"-2 0 764 {height}\" role=\"img\" aria-label=\"wait-for graph\"><defs><marker \
         id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>"
    )?;
    for (index, wait) in waits.iter().enumerate() {
        let (y, middle) = (index * ROW + 8, index * ROW + 30);
        let boxes = [(0, &wait.task), (260, &wait.lock), (520, &wait.holder)];
        for (x, text) in boxes {
            writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"240\" height=\"44\" rx=\"6\"/><text x=\"{}\" \
                 y=\"{}\">{}</text>",
                x + 120,
                middle + 5,
                escaped(&shortened(text))
            )?;
        }
        for x in [240, 500] {
            writeln!(
                out,
                "<line x1=\"{x}\" y1=\"{middle}\" x2=\"{}\" y2=\"{middle}\" marker-end=\"url(#tip)\"/>",
                x + 19
            )?;
        }
    }
    writeln!(out, "</svg>")
}

fn shortened(text: &str) -> String {
    match text.chars().count() {
        0..=30 => text.to_owned(),
        _ => text.chars().take(29).chain(['…']).collect(),
    }
}

/// Text as HTML.
fn escaped(text: &str) -> String {
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
