//! Records that come as keys and values: `dmesg --json`, `journalctl -o json`,
//! `json-pretty`, `export` and `verbose`, and the JSON lines of container and
//! cloud loggers.

use serde_json::{Map, Value};

use super::prefix::Meta;
use super::printk;
use super::rows::Row;
use crate::{Context, LineKind};

/// How the fields of a record are laid out in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// No keys: a row is a record.
    #[default]
    Text,
    /// One JSON object a row.
    JsonRow,
    /// JSON with one key a row.
    JsonPretty,
    /// `KEY=value` rows, records divided by empty rows.
    Export,
}

/// Gathers what a sample tells about the framing.
#[derive(Debug, Default)]
pub(super) struct Signs {
    rows: usize,
    objects: usize,
    pretty: usize,
    export: usize,
    messages: usize,
}

impl Signs {
    /// Counts a row.
    pub(super) fn count(&mut self, row: &str) {
        let body = row.trim();
        if body.is_empty() {
            return;
        }
        self.rows += 1;
        if object_of(body).is_some() {
            self.objects += usize::from(
                body.contains("MESSAGE") || MESSAGE_KEYS.iter().any(|key| body.contains(key)),
            );
        } else if let Some((key, _)) = pretty_field(body) {
            self.pretty += 1;
            self.messages += usize::from(MESSAGE_KEYS.contains(&key));
        } else if let Some((key, _)) = export_field(body) {
            self.export += usize::from(
                key.starts_with('_') || key == "PRIORITY" || key == "SYSLOG_IDENTIFIER",
            );
            self.messages += usize::from(key == "MESSAGE");
        }
    }

    /// The framing of the sample.
    pub(super) fn verdict(&self) -> Framing {
        let most = |n: usize| n * 2 > self.rows;
        if self.objects > 0 && most(self.objects) {
            Framing::JsonRow
        } else if self.messages > 0 && most(self.pretty * 2) {
            Framing::JsonPretty
        } else if self.messages > 0 && self.export > 1 && most(self.export * 2) {
            Framing::Export
        } else {
            Framing::Text
        }
    }
}

/// Keys under which loggers put the message, best first.
const MESSAGE_KEYS: [&str; 8] =
    ["MESSAGE", "msg", "message", "@message", "log", "text", "textPayload", "line"];

/// A JSON object on a row, also as server-sent event or in a list.
fn object_of(body: &str) -> Option<&str> {
    let body = body.strip_prefix("data: ").unwrap_or(body);
    let body = body.trim_start_matches(['\u{1e}', '[', ',', ' ']).trim_end_matches([',', ']', ' ']);
    (body.starts_with('{') && body.ends_with('}') && body.contains(':')).then_some(body)
}

/// `"key" : value,`
fn pretty_field(body: &str) -> Option<(&str, &str)> {
    let (key, rest) = body.strip_prefix('"')?.split_once('"')?;
    let value = rest.trim_start().strip_prefix(':')?.trim();
    Some((key, value.strip_suffix(',').unwrap_or(value)))
}

/// `KEY=value`, the key in capitals.
fn export_field(body: &str) -> Option<(&str, &str)> {
    let (key, value) = body.split_once('=')?;
    let named = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    named.then_some((key, value))
}

/// One record: what its fields said and its message, which may hold several
/// lines.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) meta: Meta,
    pub(super) text: String,
    pub(super) number: usize,
    pub(super) offset: u64,
}

/// Gathers the fields of a record over rows.
#[derive(Debug, Default)]
pub(super) struct Fields {
    map: Map<String, Value>,
    number: usize,
    offset: u64,
    /// Bytes still missing of an exported binary value, and its key.
    binary: Option<(String, usize)>,
}

/// Fields a record may have.
const MAX_FIELDS: usize = 256;

impl Fields {
    /// Takes a row; gives a record when it is complete.
    pub(super) fn push(&mut self, row: &Row<'_>, framing: Framing) -> Option<Record> {
        match framing {
            Framing::Text => None,
            Framing::JsonRow => {
                let object = serde_json::from_str(object_of(row.text.trim())?).ok()?;
                self.map = object;
                self.place(row);
                self.finish()
            }
            Framing::JsonPretty => self.pretty_row(row),
            Framing::Export => self.export_row(row),
        }
    }

    fn place(&mut self, row: &Row<'_>) {
        self.number = row.number;
        self.offset = row.offset;
    }

    fn insert(&mut self, key: &str, value: Value, row: &Row<'_>) {
        if self.map.len() < MAX_FIELDS {
            self.map.insert(key.to_owned(), value);
        }
        if MESSAGE_KEYS.contains(&key) {
            self.place(row);
        }
    }

    fn pretty_row(&mut self, row: &Row<'_>) -> Option<Record> {
        let body = row.text.trim();
        if let Some((key, value)) = pretty_field(body) {
            if let Ok(value) = serde_json::from_str(value) {
                self.insert(key, value, row);
            }
            return None;
        }
        body.starts_with('}').then(|| self.finish()).flatten()
    }

    fn export_row(&mut self, row: &Row<'_>) -> Option<Record> {
        if let Some((key, missing)) = self.binary.take() {
            self.binary_row(&key, missing, row);
            return None;
        }
        if row.text.trim().is_empty() {
            return self.finish();
        }
        // `-o verbose` indents the fields below a line with the date.
        if !row.text.starts_with([' ', '\t']) && row.text.contains(" [s=") {
            return self.finish();
        }
        let body = row.text.trim_start();
        if let Some((key, value)) = export_field(body) {
            self.insert(key, Value::String(value.to_owned()), row);
        } else if export_field(&format!("{body}=")).is_some() {
            self.binary = Some((body.to_owned(), usize::MAX));
        }
        None
    }

    /// A row of a binary value: the first begins with its length, 8 bytes
    /// little-endian, of which the control characters are gone by now.
    fn binary_row(&mut self, key: &str, missing: usize, row: &Row<'_>) {
        let first = missing == usize::MAX;
        let text: &str = match first {
            true => row.text.trim_start_matches(|c: char| !c.is_ascii_graphic() && c != ' '),
            false => &row.text,
        };
        if first && text.is_empty() && row.text.is_empty() {
            return;
        }
        match self.map.get_mut(key) {
            Some(Value::String(value)) if !first => {
                value.push('\n');
                value.push_str(text);
            }
            _ => self.insert(key, Value::String(text.to_owned()), row),
        }
    }

    /// Ends the record that is being gathered.
    pub(super) fn finish(&mut self) -> Option<Record> {
        let map = std::mem::take(&mut self.map);
        let text = message(&map)?;
        Some(Record { meta: meta(&map), text, number: self.number, offset: self.offset })
    }
}

/// The message: text, or the bytes that journald writes where text is no UTF-8.
fn message(map: &Map<String, Value>) -> Option<String> {
    let value = MESSAGE_KEYS.iter().find_map(|key| map.get(*key))?;
    match value {
        Value::String(text) => Some(text.trim_end_matches('\n').to_owned()),
        Value::Array(bytes) => {
            let bytes: Vec<u8> =
                bytes.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    }
}

fn meta(map: &Map<String, Value>) -> Meta {
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    let number = |key: &str| -> Option<u64> {
        let value = map.get(key)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let mut meta = Meta { recognised: true, ..Meta::default() };
    let level = number("PRIORITY").or_else(|| number("pri"));
    meta.level = level.map(|n| (n & 7) as u8).or_else(|| printk::level_number(text("pri")?));
    meta.time_ns = number("_SOURCE_MONOTONIC_TIMESTAMP")
        .or_else(|| number("__MONOTONIC_TIMESTAMP"))
        .and_then(|us| us.checked_mul(1000));
    if let Some(seconds) = map.get("time").and_then(Value::as_f64)
        && (0.0..1e10).contains(&seconds)
    {
        meta.time_ns = Some((seconds * 1e9).round() as u64);
    }
    meta.origin = match (text("_HOSTNAME"), text("_BOOT_ID")) {
        (None, None) => None,
        (host, boot) => Some(format!("{} {}", host.unwrap_or_default(), boot.unwrap_or_default())),
    };
    let program = text("_TRANSPORT")
        .map(|transport| transport != "kernel")
        .or_else(|| text("SYSLOG_IDENTIFIER").map(|name| name != "kernel"));
    let from_dmesg = map.contains_key("pri") && map.contains_key("msg");
    match program {
        Some(true) => meta.kind = LineKind::User,
        Some(false) => meta.context = Context::Console,
        None if from_dmesg => meta.context = Context::Console,
        None => {}
    }
    if let Some(context) = text("caller").and_then(printk::caller_id) {
        meta.context = context;
    }
    meta
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Vec<Record> {
        let rows: Vec<Row<'_>> =
            input.lines().map(|line| Row { text: line.into(), number: 1, offset: 0 }).collect();
        let mut signs = Signs::default();
        rows.iter().for_each(|row| signs.count(&row.text));
        let mut fields = Fields::default();
        let mut records: Vec<Record> =
            rows.iter().filter_map(|row| fields.push(row, signs.verdict())).collect();
        records.extend(fields.finish());
        records
    }

    #[test]
    fn dmesg_json() {
        let records = read(
            r#"{
   "dmesg": [
      {
         "pri": 4,
         "time":    55.468844,
         "caller": "T7",
         "msg": "BUG: \"x\""
      },{
         "pri": 6,
         "time":    55.468845,
         "msg": " dump_stack+0x1/0x2"
      }
   ]
}"#,
        );
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].text, "BUG: \"x\"");
        assert_eq!(records[0].meta.time_ns, Some(55_468_844_000));
        assert_eq!(records[0].meta.context, Context::Task(7));
        assert_eq!(records[1].text, " dump_stack+0x1/0x2");
    }

    #[test]
    fn journal_json() {
        let records = read(
            r#"{"_TRANSPORT":"kernel","PRIORITY":"4","_HOSTNAME":"h","_SOURCE_MONOTONIC_TIMESTAMP":"5","MESSAGE":"BUG: x"}
{"_TRANSPORT":"stdout","SYSLOG_IDENTIFIER":"a","MESSAGE":[66,85,71]}"#,
        );
        assert_eq!(records[0].text, "BUG: x");
        assert_eq!(records[0].meta.time_ns, Some(5000));
        assert_eq!((records[1].text.as_str(), records[1].meta.kind), ("BUG", LineKind::User));
    }

    #[test]
    fn journal_export() {
        let records = read(
            "__CURSOR=a\n_TRANSPORT=kernel\nPRIORITY=3\nMESSAGE=BUG: a=b\n\n__CURSOR=b\n_TRANSPORT=kernel\nMESSAGE= x+0x1/0x2\n",
        );
        let texts: Vec<&str> = records.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(texts, ["BUG: a=b", " x+0x1/0x2"]);
    }

    #[test]
    fn kernel_text_has_no_fields() {
        let mut signs = Signs::default();
        for row in ["[ 1.0] BUG: x", "{1}[Hardware Error]: y", "CPU: 0 PID: 1", "PKRU: 55555554"] {
            signs.count(row);
        }
        assert_eq!(signs.verdict(), Framing::Text);
    }
}
