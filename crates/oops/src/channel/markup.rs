//! Text that has passed through people: quoted mail, HTML, Markdown and
//! slides, gdb's remote protocol.

use std::borrow::Cow;

/// What a capture was wrapped in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup {
    /// `&lt;` stands for `<`, and tags may be there.
    html: bool,
    /// Rows begin with `> `.
    quoted: bool,
    /// Fences of three back-quotes.
    fenced: bool,
}

/// Gathers what a sample tells about markup.
#[derive(Debug, Default)]
pub(super) struct Signs {
    rows: usize,
    quoted: usize,
    fences: usize,
    entities: usize,
    tags: usize,
}

impl Signs {
    /// Counts a row.
    pub(super) fn count(&mut self, row: &str) {
        if row.trim().is_empty() {
            return;
        }
        self.rows += 1;
        self.quoted += usize::from(is_quoted(row));
        self.fences += usize::from(is_fence(row));
        if memchr::memchr2(b'&', b'<', row.as_bytes()).is_some() {
            let has = |marks: &[&str]| usize::from(marks.iter().any(|mark| row.contains(mark)));
            self.entities += has(&["&lt;", "&gt;", "&amp;", "&#"]);
            self.tags += has(&["<pre", "</pre>", "<br", "<html", "<code"]);
        }
    }

    /// What the sample was wrapped in.
    pub(super) fn verdict(&self) -> Markup {
        Markup {
            html: self.entities > 0 && (self.tags > 0 || self.entities >= 2) || self.tags > 1,
            quoted: self.quoted >= 3 && self.quoted * 4 >= self.rows
                || self.quoted > 0 && self.quoted == self.rows,
            fenced: self.fences >= 2,
        }
    }
}

fn is_quoted(row: &str) -> bool {
    row.starts_with("> ") || row.starts_with(">>") || row == ">" || row.starts_with(">[")
}

fn is_fence(row: &str) -> bool {
    row.trim_start().strip_prefix("```").is_some_and(|rest| !rest.contains(' '))
}

impl Markup {
    /// A row without its markup; None for a row that is nothing but markup.
    pub(super) fn take_off<'a>(&self, row: Cow<'a, str>) -> Option<Cow<'a, str>> {
        let mut row = row;
        if self.quoted && is_quoted(&row) {
            let inner = row.trim_start_matches("> ").trim_start_matches('>');
            // One blank belongs to the last mark.
            let inner = inner
                .strip_prefix(' ')
                .filter(|_| row.ends_with(inner) && !row.starts_with("> "))
                .unwrap_or(inner);
            row = Cow::Owned(inner.to_owned());
        }
        if self.fenced {
            if is_fence(&row) || row.trim().is_empty() {
                return None;
            }
            if row.contains("**<") || row.contains(">**") {
                row = Cow::Owned(row.replace("**", ""));
            }
        }
        if self.html && row.contains(['<', '&']) {
            let plain = entities(&without_tags(&row));
            if plain.trim().is_empty() && !row.trim().is_empty() {
                return None;
            }
            row = Cow::Owned(plain);
        }
        gdb_packet(row)
    }
}

/// Console text that kgdb has packed as `$O…#cs`; None for its other packets.
fn gdb_packet(row: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let Some(packet) = row.trim_start_matches('+').strip_prefix('$') else {
        return Some(row);
    };
    let Some((body, sum)) = packet.rsplit_once('#') else {
        return Some(row);
    };
    let sum_matches = sum.len() == 2
        && u8::from_str_radix(sum, 16)
            .is_ok_and(|sum| sum == body.bytes().fold(0, u8::wrapping_add));
    if !sum_matches {
        return Some(row);
    }
    let hex = body.strip_prefix('O')?;
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map_while(|at| {
            hex.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// HTML's own tags; the kernel's `<TASK>` and `<IRQ>` stay.
fn without_tags(row: &str) -> String {
    const TAGS: [&str; 22] = [
        "pre",
        "code",
        "br",
        "span",
        "div",
        "p",
        "td",
        "tr",
        "table",
        "a",
        "b",
        "i",
        "em",
        "strong",
        "font",
        "tt",
        "li",
        "ul",
        "html",
        "body",
        "head",
        "blockquote",
    ];
    let mut out = String::with_capacity(row.len());
    let mut rest = row;
    while let Some(open) = rest.find('<') {
        let (before, tail) = rest.split_at(open);
        out.push_str(before);
        let name: String = tail[1..]
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        match tail.find('>') {
            Some(close) if TAGS.contains(&name.as_str()) => rest = &tail[close + 1..],
            _ => {
                out.push('<');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// `&lt;` and its like.
fn entities(row: &str) -> String {
    let mut out = String::with_capacity(row.len());
    let mut rest = row;
    while let Some(at) = rest.find('&') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let entity = tail.as_bytes().iter().take(10).position(|&b| b == b';');
        match entity.and_then(|end| Some((character(&tail[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &tail[end + 1..];
            }
            None => {
                out.push('&');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control())?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rows: &[&str]) -> Vec<String> {
        let mut signs = Signs::default();
        rows.iter().for_each(|row| signs.count(row));
        let markup = signs.verdict();
        rows.iter()
            .filter_map(|row| markup.take_off(Cow::Borrowed(row)))
            .map(Cow::into_owned)
            .collect()
    }

    #[test]
    fn quoted_mail() {
        assert_eq!(
            plain(&["> [ 1.0] BUG: x", ">  dump+0x1/0x2", ">>  deeper", "> ", ">"]),
            ["[ 1.0] BUG: x", " dump+0x1/0x2", " deeper", "", ""]
        );
    }

    #[test]
    fn html_keeps_the_kernels_marks() {
        assert_eq!(
            plain(&["<pre>[ 1.0] BUG: a &amp; b", " <TASK>", " &lt;IRQ&gt; x", "</pre>"]),
            ["[ 1.0] BUG: a & b", " <TASK>", " <IRQ> x"]
        );
    }

    #[test]
    fn slides() {
        assert_eq!(
            plain(&[
                "```",
                "RIP [**<ffffffff811e466e>**] shm_close+0x3e/0xb0",
                "```",
                "",
                "```",
                "x",
                "```"
            ]),
            ["RIP [<ffffffff811e466e>] shm_close+0x3e/0xb0", "x"]
        );
    }

    #[test]
    fn plain_text_is_left_alone() {
        let rows = ["> once", "a && b", "Code: <0f> 0b", "a &lt; b"];
        assert_eq!(plain(&rows), rows);
    }

    #[test]
    fn packets_of_kgdb() {
        assert_eq!(plain(&["$O4255473a0a#f8"]).len(), 1);
        let sum = "O4255473a0a".bytes().fold(0, u8::wrapping_add);
        assert_eq!(plain(&[&format!("$O4255473a0a#{sum:02x}")]), ["BUG:"]);
        let sum = "T05".bytes().fold(0, u8::wrapping_add);
        assert!(plain(&[&format!("+$T05#{sum:02x}")]).is_empty());
    }
}
