use crate::rows::session::NumberRow;
use crate::{
    Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

const BITS: Opt = Opt::flag("-b", "list the bits that are set, highest first");
const LONG: Opt = Opt::flag("-l", "accepted for crash's sake: all values have 64 bits");

pub(crate) static COMMAND: Command = Command {
    names: &["eval"],
    summary: "calculator",
    synopsis: "[-b] [-l] (expression) | value",
    options: &[BITS, LONG],
    rows: &[NumberRow::TYPE],
    args: &[Arg::Expression],
    description: "\
Shows a value in hexadecimal, decimal, octal and binary; as kilo-, mega- or gigabytes if it is a
whole number of them; and as a negative number if the highest bit is set.

An expression has numbers (decimal; hexadecimal with 0x or a letter among the digits; with a
suffix k, m or g), symbols, + - * / % & | ^ << >> ~ and parentheses. With | < or > in it, it must
stand in parentheses.",
    examples: &[
        Example {
            about: "A displacement as the address it is.",
            line: "eval -0x7fb70480",
            output: "\
hexadecimal: ffffffff8048fb80
    decimal: 18446744071566850944  (-2142700672)
      octal: 1777777777760022175600
     binary: 1111111111111111111111111111111110000000010010001111101110000000",
        },
        Example {
            about: "Bits of a flags word.",
            line: "eval -b 0x1234",
            output: "\
hexadecimal: 1234
    decimal: 4660
      octal: 11064
     binary: 0000000000000000000000000000000000000000000000000001001000110100
   bits set: 12 9 5 4 2",
        },
        Example {
            about: "A size.",
            line: "eval (1 << 30)",
            output: "\
hexadecimal: 40000000  (1GB)
    decimal: 1073741824
      octal: 10000000000
     binary: 0000000000000000000000000000000001000000000000000000000000000000",
        },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "a value")?;
    let value = session.number(&parsed.text())?;
    let row = NumberRow {
        hexadecimal: Hex(value),
        decimal: value,
        signed: value.cast_signed(),
        octal: format!("{value:o}"),
        binary: format!("{value:064b}"),
        bits_set: (0..64).rev().filter(|bit| value >> bit & 1 == 1).collect(),
    };
    out.record(&row, |line| {
        writeln!(line, "hexadecimal: {}{}", row.hexadecimal, in_units(value))?;
        match row.signed {
            0.. => writeln!(line, "    decimal: {value}")?,
            signed => writeln!(line, "    decimal: {value}  ({signed})")?,
        }
        writeln!(line, "      octal: {}", row.octal)?;
        writeln!(line, "     binary: {}", row.binary)?;
        if parsed.has(BITS) {
            let bits: Vec<_> = row.bits_set.iter().map(u32::to_string).collect();
            writeln!(line, "   bits set: {}", bits.join(" "))?;
        }
        Ok(())
    })
}

/// `  (128MB)` for whole numbers of units.
fn in_units(value: u64) -> String {
    let units = [(1u64 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match units.iter().find(|(unit, _)| value != 0 && value.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("  ({}{name})", value / unit),
        None => String::new(),
    }
}
