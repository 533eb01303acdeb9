//! Rows as comma-separated values (RFC 4180).
//!
//! A list of rows within a row makes one line for each of its elements, the outer columns
//! repeated, down to the innermost. Where a row holds several such lists, their elements follow
//! each other, each in its own columns. A list of plain values is one cell, separated by `;`, and
//! so are faults (`0x10 excluded task_struct.comm`); what has no fixed form is a cell of JSON.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::{Kind, Row, RowType};

/// Writes rows; before the first of each type, a line with the names of its columns.
#[derive(Debug, Default)]
pub struct Csv {
    last: Option<&'static RowType>,
}

impl Csv {
    /// Writes one row.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write<R: Row>(&mut self, row: &R, out: &mut impl Write) -> io::Result<()> {
        let columns = columns(R::TYPE, "");
        // Two types of one name have other columns: it is those that a reader must be told.
        if self.last.is_none_or(|last| last.name != R::TYPE.name || last.doc != R::TYPE.doc) {
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            write_line(out, &names)?;
            self.last = Some(R::TYPE);
        }
        let Value::Object(fields) = serde_json::to_value(row)? else { return Ok(()) };
        let mut lines = Vec::new();
        expand(R::TYPE, &fields, &mut vec![String::new(); columns.len()], 0, &mut lines);
        lines.iter().try_for_each(|cells| write_line(out, cells))
    }

    /// The next row has its columns named before it, whatever came before.
    pub fn restart(&mut self) {
        self.last = None;
    }
}

/// How deep rows nest; a type that nests itself ends there.
const MAX_DEPTH: usize = 6;

fn columns(row: &RowType, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (field, _) in row.fields() {
        let name = format!("{prefix}{}", field.name);
        match field.kind.row().filter(|_| prefix.matches('.').count() < MAX_DEPTH) {
            Some(inner) => names.extend(columns(inner, &format!("{name}."))),
            None => names.push(name),
        }
    }
    names
}

/// Fills the cells of `fields` from column `at` on, and adds the lines that come of it.
fn expand(
    row: &RowType,
    fields: &Map<String, Value>,
    cells: &mut [String],
    at: usize,
    lines: &mut Vec<Vec<String>>,
) {
    let mut lists = Vec::new();
    fill(row, fields, cells, at, 0, &mut lists);
    let mut any = false;
    for (inner, elements, at) in lists {
        for element in elements.iter().filter_map(Value::as_object) {
            any = true;
            let mut line = cells.to_vec();
            expand(inner, element, &mut line, at, lines);
        }
    }
    if !any {
        lines.push(cells.to_vec());
    }
}

type Lists<'v> = Vec<(&'static RowType, &'v Vec<Value>, usize)>;

/// Fills the cells of one row, those of single rows in it included; notes lists of rows for later.
fn fill<'v>(
    row: &RowType,
    fields: &'v Map<String, Value>,
    cells: &mut [String],
    mut at: usize,
    depth: usize,
    lists: &mut Lists<'v>,
) {
    for (field, _) in row.fields() {
        let value = fields.get(field.name);
        let inner = field.kind.row().filter(|_| depth < MAX_DEPTH);
        match (inner, value) {
            (Some(inner), Some(Value::Object(fields))) => {
                fill(inner, fields, cells, at, depth + 1, lists);
            }
            (Some(inner), Some(Value::Array(elements))) => lists.push((inner, elements, at)),
            (None, Some(value)) => {
                if let Some(cell) = cells.get_mut(at) {
                    *cell = text(field.kind, value);
                }
            }
            _ => {}
        }
        at += inner.map_or(1, |inner| columns(inner, &".".repeat(depth + 1)).len());
    }
}

fn text(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::Null(kind), value) => text(*kind, value),
        (Kind::Any | Kind::Map(_), Value::Array(_) | Value::Object(_)) => value.to_string(),
        (Kind::List(kind), Value::Array(elements)) => {
            let elements: Vec<_> = elements.iter().map(|element| text(*kind, element)).collect();
            elements.join(";")
        }
        (Kind::Faults, Value::Array(faults)) => {
            let part = |fault: &Value, name: &str| {
                fault.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let fault = |f: &Value| {
                format!("{} {} {}", part(f, "address"), part(f, "reason"), part(f, "what"))
            };
            faults.iter().map(fault).collect::<Vec<_>>().join(";")
        }
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}

fn write_line(out: &mut impl Write, cells: &[impl AsRef<str>]) -> io::Result<()> {
    for (index, cell) in cells.iter().enumerate() {
        let cell = cell.as_ref();
        if index > 0 {
            out.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    // RFC 4180 ends lines with both.
    out.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use necropsy_dump::{Fault, Reason};

    use super::*;
    use crate::{Faults, Hex, row};

    row! {
        /// An inner row.
        struct Frame {
            /// Number.
            index: u32,
            /// Names.
            names: Vec<&'static str>,
        }

        /// An outer one.
        struct Trace {
            /// Thread.
            pid: Option<u64>,
            /// Frames.
            frames: Vec<Frame>,
            /// How it ended.
            ended: &'static str,
            /// What could not be read.
            faults: Faults [maybe],
        }
    }

    fn csv(rows: &[Trace]) -> String {
        let (mut csv, mut out) = (Csv::default(), Vec::new());
        for row in rows {
            csv.write(row, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn one_line_for_each_innermost_element() {
        let frame = |index| Frame { index, names: vec!["a", "b"] };
        let mut faults = Faults::default();
        faults.push("comm", &Fault::kernel(0x10, Reason::Excluded));
        let first = Trace {
            pid: Some(1),
            frames: vec![frame(0), frame(1)],
            ended: "say \"so\", here",
            faults,
        };
        let second = Trace { pid: None, frames: Vec::new(), ended: "", faults: Faults::default() };
        assert_eq!(
            csv(&[first, second]),
            "pid,frames.index,frames.names,ended,faults\n\
             1,0,a;b,\"say \"\"so\"\", here\",0x10 excluded comm\n\
             1,1,a;b,\"say \"\"so\"\", here\",0x10 excluded comm\n\
             ,,,,\n"
        );
    }

    row! {
        /// Another type.
        struct Other {
            /// An address.
            at: Hex,
            /// Below it.
            inner: Option<Frame>,
            /// Behind it.
            last: bool,
        }
    }

    #[test]
    fn another_type_has_its_columns_named() {
        let (mut csv, mut out) = (Csv::default(), Vec::new());
        let inner = Some(Frame { index: 7, names: Vec::new() });
        csv.write(&Frame { index: 1, names: vec!["x"] }, &mut out).unwrap();
        csv.write(&Other { at: Hex(16), inner, last: true }, &mut out).unwrap();
        csv.write(&Other { at: Hex(17), inner: None, last: false }, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "index,names\r\n1,x\r\nat,inner.index,inner.names,last\r\n0x10,7,,true\r\n0x11,,,false\r\n"
        );
    }
}
