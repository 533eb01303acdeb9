//! Memory as numbers and characters.

use std::io::Write as _;

use necropsy_dump::{Fault, Space};

use crate::rows::memory::{CopiedRow, MemoryRow};
use crate::{
    CommandError, Outcome, addresses,
    command::{Arg, Command, Example, Opt},
    memory::{self, Memory},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    words::{Format, Show, words},
};

const BYTES: Opt = Opt::flag("-8", "bytes");
const WORDS_16: Opt = Opt::flag("-16", "16-bit words");
const WORDS_32: Opt = Opt::flag("-32", "32-bit words");
const WORDS_64: Opt = Opt::flag("-64", "64-bit words (the default)");
const SIGNED: Opt = Opt::flag("-d", "signed decimal");
const UNSIGNED: Opt = Opt::flag("-D", "unsigned decimal");
const NO_TEXT: Opt = Opt::flag("-x", "no characters at the end of the line");
const SYMBOLS: Opt = Opt::flag("-s", "words that lead to symbols as symbols");
const CACHES: Opt = Opt::flag("-S", "as -s, and [cache] for addresses of slab objects");
const CACHE_ADDRESSES: Opt = Opt::flag("-SS", "as -S, with the address: [address:cache]");
const STRING: Opt = Opt::flag("-a", "characters, up to the first that is none");
const BIG_ENDIAN: Opt = Opt::flag("-N", "words of 16 or 32 bits in network byte order");
const BACKWARDS: Opt = Opt::flag("-R", "count words that end with the one at the address");
const OFFSET: Opt = Opt::value("-o", "offset", "add this to the address");
const END: Opt = Opt::value("-e", "end", "read up to this address");
const RAW_FILE: Opt = Opt::value("-r", "file", "write the bytes to a file, raw");
const FILE_OFFSET: Opt = Opt::flag("-f", "refused: offsets of the dump file");
const XEN: Opt = Opt::flag("-m", "refused: Xen machine addresses");

pub(crate) static COMMAND: Command = Command {
    names: &["rd"],
    summary: "read memory",
    synopsis: "[-8 | -16 | -32 | -64] [-d | -D | -x] [-N] [-R] [-k | -u | -p] [-o offset] address [count]\n\
               [-s | -S | -SS | -a] [-k | -u | -p] [-o offset] address | symbol | (expression) [count]\n\
               [-k | -u | -p] -e end address\n-r file [-k | -u | -p] address [bytes]",
    options: &[
        BYTES,
        WORDS_16,
        WORDS_32,
        WORDS_64,
        SIGNED,
        UNSIGNED,
        NO_TEXT,
        SYMBOLS,
        CACHES,
        CACHE_ADDRESSES,
        STRING,
        BIG_ENDIAN,
        BACKWARDS,
        memory::KERNEL,
        memory::USER,
        memory::PHYSICAL,
        OFFSET,
        END,
        RAW_FILE,
        FILE_OFFSET,
        XEN,
    ],
    rows: &[MemoryRow::TYPE, CopiedRow::TYPE],
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

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has(FILE_OFFSET) {
        return Err(CommandError::missing(
            "offsets of the dump file are not memory: use -p with a physical address",
        ));
    }
    if parsed.has(XEN) {
        return Err(CommandError::missing("this is no Xen hypervisor's dump"));
    }
    let kernel = session
        .kernel
        .clone()
        .ok_or_else(|| CommandError::missing("no dump is open: start with `necropsy DUMP`"))?;
    let format = format(parsed, kernel.target().big_endian(), session.settings.hex())?;
    let mut address = session.address(parsed.need(0, "an address")?)?;
    if let Some(offset) = parsed.value(OFFSET) {
        address = address.wrapping_add(session.number(offset)?);
    }
    let memory = Memory::choose(session, &kernel, parsed, address)?;
    let mut count = match parsed.arg(1) {
        Some(text) => addresses::count(text)?,
        None => 1,
    };
    if parsed.has(STRING) {
        let limit = parsed.arg(1).map(|_| count);
        return string(&memory, address, limit, out);
    }
    // Raw copies are counted in bytes, as in crash.
    let size = if parsed.has(RAW_FILE) { 1 } else { format.size as u64 };
    if let Some(end) = parsed.value(END) {
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
    if parsed.has(BACKWARDS) {
        address = address.wrapping_sub(bytes.saturating_sub(size));
    }
    match parsed.value(RAW_FILE) {
        Some(file) => copy(&memory, address, bytes, file, out),
        None => words(&kernel, &memory, address, count, &format, out),
    }
}

fn format(parsed: &Parsed, is_big: bool, hex: bool) -> Result<Format, CommandError> {
    let size = match parsed.one_of(&[BYTES, WORDS_16, WORDS_32, WORDS_64])? {
        Some(BYTES) => 1,
        Some(WORDS_16) => 2,
        Some(WORDS_32) => 4,
        Some(_) => 8,
        None => 8,
    };
    let show = match parsed.one_of(&[SIGNED, UNSIGNED, SYMBOLS, CACHES, CACHE_ADDRESSES, STRING])? {
        Some(SIGNED) => Show::Signed,
        Some(UNSIGNED) => Show::Unsigned,
        Some(flag @ (SYMBOLS | CACHES | CACHE_ADDRESSES)) => {
            if size != 8 {
                return Err(parsed.wrong(format_args!("{} is for 64-bit words", flag.flag)));
            }
            let (caches, addresses) = (flag != SYMBOLS, flag == CACHE_ADDRESSES);
            Show::Symbols { caches, addresses, hex }
        }
        _ => Show::Hex { text: !parsed.has(NO_TEXT) },
    };
    // The network has words of 16 and 32 bits; others stay as they are, as in crash.
    let big_endian = is_big || parsed.has(BIG_ENDIAN) && matches!(size, 2 | 4);
    Ok(Format { size, show, big_endian })
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
            let row = MemoryRow {
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
    let row = CopiedRow { address: Hex(start), bytes: done, file: path.to_owned() };
    let space = if memory.space == Space::Physical { "physical " } else { "" };
    out.record(&row, |line| {
        writeln!(line, "{done} bytes copied from {space}{start:#x} to {path}")
    })?;
    stopped.map_or(Ok(()), |fault| Err(fault.into()))
}
