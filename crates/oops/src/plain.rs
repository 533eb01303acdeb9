//! Temporary splitter.
use crate::line::{Context, Line};
use regex::bytes::Regex;

pub(crate) fn lines(input: &[u8]) -> Vec<Line<'_>> {
    let re = Regex::new(r"(?-u)\[ *(\d+)\.(\d+)\](?:\[ *([TC])(\d+)\])? ?").unwrap();
    let mut out = Vec::new();
    let mut off = 0;
    for (n, raw) in input.split(|b| *b == b'\n').enumerate() {
        let l = raw.strip_suffix(b"\r").unwrap_or(raw);
        let mut context = Context::None;
        let mut rest = l;
        if let Some(c) = re.captures(l) {
            let m = c.get(0).unwrap();
            {
                rest = &l[m.end()..];
                context = match c.get(3) {
                    Some(k) => {
                        let id = std::str::from_utf8(&c[4]).unwrap().parse().unwrap_or(0);
                        if k.as_bytes() == b"T" { Context::Task(id) } else { Context::Cpu(id) }
                    }
                    None => Context::Console,
                };
            }
        }
        out.push(Line { text: String::from_utf8_lossy(rest), number: n + 1, offset: off, context, ..Line::default() });
        off += raw.len() as u64 + 1;
    }
    out
}
