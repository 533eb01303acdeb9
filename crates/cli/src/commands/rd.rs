//! Memory as numbers and characters.

use std::{fmt, io::Write as _};

use necropsy_dump::{Fault, Space};
use necropsy_linux::Kernel;
use necropsy_target::scope::Scope;
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    memory::Memory,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["rd"],
    summary: "read memory",
    synopsis: "[-8 | -16 | -32 | -64] [-d | -D | -x] [-N] [-R] [-k | -u | -p] [-o offset] address [count]\n\
               [-s | -S | -SS | -a] [-k | -u | -p] [-o offset] address | symbol | (expression) [count]\n\
               [-k | -u | -p] -e end address\n-r file [-k | -u | -p] address [bytes]",
    options: &[
        Opt { flag: "-8", value: None, help: "bytes" },
        Opt { flag: "-16", value: None, help: "16-bit words" },
        Opt { flag: "-32", value: None, help: "32-bit words" },
        Opt { flag: "-64", value: None, help: "64-bit words (the default)" },
        Opt { flag: "-d", value: None, help: "signed decimal" },
        Opt { flag: "-D", value: None, help: "unsigned decimal" },
        Opt { flag: "-x", value: None, help: "no characters at the end of the line" },
        Opt { flag: "-s", value: None, help: "words that lead to symbols as symbols" },
        Opt { flag: "-S", value: None, help: "as -s, and [cache] for addresses of slab objects" },
        Opt { flag: "-SS", value: None, help: "as -S, with the address: [address:cache]" },
        Opt { flag: "-a", value: None, help: "characters, up to the first that is none" },
        Opt { flag: "-N", value: None, help: "words of 16 or 32 bits in network byte order" },
        Opt { flag: "-R", value: None, help: "count words that end with the one at the address" },
        Opt { flag: "-k", value: None, help: "a kernel virtual address" },
        Opt { flag: "-u", value: None, help: "a user virtual address of the current task" },
        Opt { flag: "-p", value: None, help: "a physical address" },
        Opt { flag: "-o", value: Some("offset"), help: "add this to the address" },
        Opt { flag: "-e", value: Some("end"), help: "read up to this address" },
        Opt { flag: "-r", value: Some("file"), help: "write the bytes to a file, raw" },
        Opt { flag: "-f", value: None, help: "not offered: offsets of the dump file" },
        Opt { flag: "-m", value: None, help: "not offered: Xen machine addresses" },
    ],
    args: &[Arg::Symbol, Arg::Number],
    description: "\
The address is hexadecimal, a symbol, or an (expression), which may be C with the kernel's types:
(init_task.stack). The count is one word unless given, and decimal unless it has 0x; with -r it
counts bytes.

Memory that is not there ends the command: what could be read is shown, then the reason.",
    examples: &[
        Example { about: "A string in memory.", line: "rd -a linux_banner", output: "" },
        Example { about: "Words with their characters.", line: "rd linux_banner 10", output: "" },
        Example { about: "Words that are symbols.", line: "rd -s init_task 20", output: "" },
    ],
    run,
};

/// Most bytes that one command shows.
const MAX_BYTES: u64 = 1 << 32;

/// Characters of one line of `-a`.
const STRING_LINE: usize = 60;

#[derive(Serialize)]
struct Row {
    address: Hex,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<Hex>,
    /// The symbol or slab cache that each value leads to, with `-s` and `-S`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    symbols: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// How words are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Hex { text: bool },
    Signed,
    Unsigned,
    Symbols { caches: bool, addresses: bool },
}

struct Format {
    /// Bytes of a word.
    size: usize,
    show: Show,
    big_endian: bool,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has("-f") {
        return Err(CommandError::missing(
            "offsets of the dump file are not memory: use -p with a physical address",
        ));
    }
    if parsed.has("-m") {
        return Err(CommandError::missing("this is no Xen hypervisor's dump"));
    }
    let kernel = session
        .kernel
        .clone()
        .ok_or_else(|| CommandError::missing("no dump is open: start with `necropsy DUMP`"))?;
    let format = format(parsed)?;
    let mut address = session.address(parsed.need(0, "an address")?)?;
    if let Some(offset) = parsed.value("-o") {
        address = address.wrapping_add(session.number(offset)?);
    }
    let memory = Memory::choose(session, &kernel, parsed, address)?;
    let mut count = match parsed.arg(1) {
        Some(text) => session.number(text)?,
        None => 1,
    };
    if parsed.has("-a") {
        let limit = parsed.arg(1).map(|_| count);
        return string(&memory, address, limit, out);
    }
    // Raw copies are counted in bytes, as in crash.
    let size = if parsed.has("-r") { 1 } else { format.size as u64 };
    if let Some(end) = parsed.value("-e") {
        if parsed.arg(1).is_some() {
            return Err(parsed.wrong("a count and an end exclude each other"));
        }
        let end = session.address(end)?;
        count = end
            .checked_sub(address)
            .filter(|&bytes| bytes > 0)
            .map(|b| b.div_ceil(size))
            .ok_or_else(|| CommandError::usage("the end must lie above the start"))?;
    }
    let bytes = count.checked_mul(size).filter(|&bytes| bytes <= MAX_BYTES).ok_or_else(|| {
        CommandError::usage(format!("{count} words are more than a command can show"))
    })?;
    if parsed.has("-R") {
        address = address.wrapping_sub(bytes.saturating_sub(size));
    }
    match parsed.value("-r") {
        Some(file) => copy(&memory, address, bytes, file, out),
        None => words(&kernel, &memory, address, count, &format, out),
    }
}

fn format(parsed: &Parsed) -> Result<Format, CommandError> {
    let size = match parsed.one_of(&["-8", "-16", "-32", "-64"])? {
        Some("-8") => 1,
        Some("-16") => 2,
        Some("-32") => 4,
        Some(_) => 8,
        None => 8,
    };
    let show = match parsed.one_of(&["-d", "-D", "-s", "-S", "-SS", "-a"])? {
        Some("-d") => Show::Signed,
        Some("-D") => Show::Unsigned,
        Some(flag @ ("-s" | "-S" | "-SS")) => {
            if size != 8 {
                return Err(parsed.wrong(format_args!("{flag} is for 64-bit words")));
            }
            Show::Symbols { caches: flag != "-s", addresses: flag == "-SS" }
        }
        _ => Show::Hex { text: !parsed.has("-x") },
    };
    // The network has words of 16 and 32 bits; others stay as they are, as in crash.
    let big_endian = parsed.has("-N") && matches!(size, 2 | 4);
    Ok(Format { size, show, big_endian })
}

/// `bytes` of memory as hexadecimal words, with characters.
pub(super) fn dump(
    kernel: &Kernel,
    memory: &Memory<'_>,
    start: u64,
    bytes: u64,
    out: &mut Output,
) -> Outcome {
    // A structure whose size is no multiple of eight ends in smaller words.
    let size = [8, 4, 2].into_iter().find(|size| bytes.is_multiple_of(*size)).unwrap_or(1);
    let show = Show::Hex { text: true };
    let format = Format { size: size as usize, show, big_endian: false };
    words(kernel, memory, start, bytes / size, &format, out)
}

fn words(
    kernel: &Kernel,
    memory: &Memory<'_>,
    start: u64,
    count: u64,
    format: &Format,
    out: &mut Output,
) -> Outcome {
    let mut left = count.saturating_mul(format.size as u64);
    let mut address = start;
    while left > 0 {
        let len = left.min(16) as usize;
        let (mut bytes, fault) = memory.read_most(address, len);
        bytes.truncate(bytes.len() - bytes.len() % format.size);
        if !bytes.is_empty() {
            line(kernel, address, &bytes, format, out)?;
        }
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        left -= len as u64;
        address = address.wrapping_add(len as u64);
    }
    Ok(())
}

fn line(kernel: &Kernel, address: u64, bytes: &[u8], format: &Format, out: &mut Output) -> Outcome {
    let word = |chunk: &[u8]| {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if format.big_endian {
            chunk.iter().fold(0, fold)
        } else {
            chunk.iter().rev().fold(0, fold)
        }
    };
    let values: Vec<Hex> = bytes.chunks_exact(format.size).map(|c| Hex(word(c))).collect();
    let symbols = match format.show {
        Show::Symbols { caches, addresses } => {
            values.iter().map(|v| name_of(kernel, v.0, caches, addresses)).collect()
        }
        _ => Vec::new(),
    };
    let text = matches!(format.show, Show::Hex { text: true }).then(|| printable(bytes));
    let row = Row { address: Hex(address), values, symbols, text };
    out.record(&row, |line| write_line(line, &row, format))
}

fn write_line(line: &mut dyn fmt::Write, row: &Row, format: &Format) -> fmt::Result {
    write!(line, "{:>16x}:  ", row.address.0)?;
    let bits = format.size * 8;
    for (index, value) in row.values.iter().enumerate() {
        let value = value.0;
        let signed = (value << (64 - bits)).cast_signed() >> (64 - bits);
        match (format.show, format.size) {
            (Show::Signed, 8) => write!(line, "{signed:>19} ")?,
            (Show::Unsigned, 8) => write!(line, "{value:>20} ")?,
            (Show::Signed, size) => write!(line, "{signed:>width$} ", width = DECIMAL[size])?,
            (Show::Unsigned, size) => write!(line, "{value:>width$} ", width = DECIMAL[size])?,
            (_, size) => match row.symbols.get(index).and_then(Option::as_ref) {
                Some(name) => write!(line, "{name:<16} ")?,
                None => write!(line, "{value:0width$x} ", width = size * 2)?,
            },
        }
    }
    if let Some(text) = &row.text {
        let missing = 16 / format.size - row.values.len().min(16 / format.size);
        write!(line, "{:pad$}  {text}", "", pad = missing * (format.size * 2 + 1))?;
    }
    line.write_char('\n')
}

/// Widths of decimal words, by their size in bytes; those of eight depend on the sign.
const DECIMAL: [usize; 5] = [0, 3, 5, 0, 12];

fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| if (0x20..0x7f).contains(&b) { char::from(b) } else { '.' }).collect()
}

/// `symbol+offset`, or `[cache]` for an address within a slab object.
fn name_of(kernel: &Kernel, value: u64, caches: bool, addresses: bool) -> Option<String> {
    if let Some((name, offset)) = kernel.symbolize(value) {
        return Some(if offset == 0 { name } else { format!("{name}+{offset}") });
    }
    if !caches {
        return None;
    }
    let cache = kernel.slab_cache_of(value).ok().flatten()?;
    Some(if addresses { format!("[{value:x}:{cache}]") } else { format!("[{cache}]") })
}

fn string(memory: &Memory<'_>, start: u64, limit: Option<u64>, out: &mut Output) -> Outcome {
    let mut left = limit.unwrap_or(u64::MAX).min(MAX_BYTES);
    let mut address = start;
    while left > 0 {
        let len = left.min(STRING_LINE as u64) as usize;
        let (bytes, fault) = memory.read_most(address, len);
        let is_text = |b: &u8| matches!(b, 0x20..=0x7e | b'\t' | b'\n');
        let end = bytes.iter().position(|b| !is_text(b));
        let text: String =
            bytes[..end.unwrap_or(bytes.len())].iter().map(|&b| char::from(b)).collect();
        if !text.is_empty() || address == start && fault.is_none() {
            let row = Row {
                address: Hex(address),
                values: Vec::new(),
                symbols: Vec::new(),
                text: Some(text.clone()),
            };
            out.record(&row, |line| {
                writeln!(line, "{address:>16x}:  {}", text.trim_end_matches('\n'))
            })?;
        }
        match (end, fault) {
            (Some(_), _) => return Ok(()),
            (None, Some(fault)) => return Err(fault.into()),
            (None, None) => {}
        }
        left -= len as u64;
        address = address.wrapping_add(len as u64);
    }
    Ok(())
}

#[derive(Serialize)]
struct Copied {
    address: Hex,
    bytes: u64,
    file: String,
}

fn copy(memory: &Memory<'_>, start: u64, bytes: u64, path: &str, out: &mut Output) -> Outcome {
    let file = std::fs::File::create(path)
        .map_err(|error| CommandError::failed(format!("{path}: {error}")))?;
    let mut file = std::io::BufWriter::new(file);
    let mut done = 0;
    let mut stopped: Option<Fault> = None;
    while done < bytes && stopped.is_none() {
        out.check_interrupt()?;
        let len = (bytes - done).min(1 << 16) as usize;
        let (piece, fault) = memory.read_most(start.wrapping_add(done), len);
        file.write_all(&piece)?;
        done += piece.len() as u64;
        stopped = fault;
    }
    file.flush()?;
    let row = Copied { address: Hex(start), bytes: done, file: path.to_owned() };
    let space = if memory.space == Space::Physical { "physical " } else { "" };
    out.record(&row, |line| {
        writeln!(line, "{done} bytes copied from {space}{start:#x} to {path}")
    })?;
    stopped.map_or(Ok(()), |fault| Err(fault.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[u64], format: &Format, text: Option<&str>) -> String {
        let row = Row {
            address: Hex(0xffff_ffff_83b5_29e0),
            values: values.iter().map(|v| Hex(*v)).collect(),
            symbols: Vec::new(),
            text: text.map(str::to_owned),
        };
        let mut line = String::new();
        write_line(&mut line, &row, format).unwrap();
        line
    }

    #[test]
    fn columns_are_as_wide_as_in_crash() {
        let format = |size, show| Format { size, show, big_endian: false };
        let hex = Show::Hex { text: true };
        assert_eq!(
            shown(&[0x6576_2078_756e_694c], &format(8, hex), Some("Linux ve")),
            "ffffffff83b529e0:  65762078756e694c                    Linux ve\n"
        );
        assert_eq!(
            shown(&[0x694c, 0x756e], &format(2, hex), Some("Linu")),
            "ffffffff83b529e0:  694c 756e                                 Linu\n"
        );
        assert_eq!(
            shown(&[u64::from(u32::MAX), 5], &format(4, Show::Signed), None),
            "ffffffff83b529e0:            -1            5 \n"
        );
        assert_eq!(
            shown(&[7_311_066_746_820_913_484], &format(8, Show::Unsigned), None),
            "ffffffff83b529e0:   7311066746820913484 \n"
        );
    }
}
