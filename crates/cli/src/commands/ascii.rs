use std::fmt::Write;

use crate::rows::session::{CharactersRow, CodeRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example},
    numbers::parse_hex,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["ascii"],
    summary: "hexadecimal values as text",
    synopsis: "[value ...]",
    options: &[],
    rows: &[CharactersRow::TYPE, CodeRow::TYPE],
    args: &[Arg::Text("value")],
    description: "\
Shows the bytes of values, as they lie in little-endian memory, as ASCII characters. Without
arguments, prints the table of ASCII codes.",
    examples: &[Example {
        about: "Eight characters that stood in a register.",
        line: "ascii 62696c2f7273752f",
        output: "62696c2f7273752f: /usr/lib",
    }],
    run,
};

fn run(_: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.args.is_empty() {
        return chart(out);
    }
    for word in &parsed.args {
        let value = parse_hex(word)
            .ok_or_else(|| CommandError::usage(format!("{word}: not a hexadecimal value")))?;
        let row = CharactersRow { value: Hex(value), text: value.to_le_bytes().map(name).concat() };
        out.record(&row, |line| writeln!(line, "{:016}: {}", row.value, row.text))?;
    }
    Ok(())
}

const CONTROL: [&str; 33] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC",
    "FS", "GS", "RS", "US", "SP",
];

/// A byte as text: itself, `<NUL>`, or `<ff>` where ASCII ends.
fn name(byte: u8) -> String {
    match byte {
        b' '..=b'~' => char::from(byte).to_string(),
        0x7f => "<DEL>".to_owned(),
        _ => match CONTROL.get(usize::from(byte)) {
            Some(name) => format!("<{name}>"),
            None => format!("<{byte:02x}>"),
        },
    }
}

fn chart(out: &mut Output) -> Outcome {
    let named = |byte: u8| match byte {
        0x7f => "DEL".to_owned(),
        _ => CONTROL.get(usize::from(byte)).map_or_else(|| name(byte), |name| (*name).to_owned()),
    };
    if !out.is_text() {
        for byte in 0..128 {
            out.record(&CodeRow { code: Hex(byte.into()), name: named(byte) }, |_| Ok(()))?;
        }
        return Ok(());
    }
    out.line("")?;
    out.line("      0    1   2   3   4   5   6   7")?;
    out.line("    +-------------------------------")?;
    for low in 0..16u8 {
        let mut line = format!("  {low:X} |");
        for high in 0..8u8 {
            let name = named(high << 4 | low);
            let name = if name.len() == 1 { format!(" {name} ") } else { format!("{name:>3}") };
            let _ = write!(line, " {name}");
        }
        out.line(line.trim_end())?;
    }
    out.line("")
}
