//! Disassembly.

use necropsy_disasm::{Instruction, Isa, decode_all, memory_operands};
use necropsy_dump::Fault;
use necropsy_linux::Kernel;
use necropsy_machine::{image::Located, scope::Scope};

use crate::rows::code::{InstructionRow, SourceRow};
use crate::{
    CommandError, Outcome,
    addresses::{self, with_offset},
    command::{Arg, Command, Example, Opt},
    memory::{Memory, is_kernel_address},
    numbers,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    source::Source,
};

const BACK: Opt = Opt::flag("-r", "from the function's start to the address");
const FORTH: Opt = Opt::flag("-f", "from the address to the function's end");
const USER: Opt = Opt::flag("-u", "a user address of the current task");
const HEXADECIMAL: Opt = Opt::flag("-x", "offsets in hexadecimal");
const DECIMAL: Opt = Opt::flag("-d", "offsets in decimal");
const LINES: Opt = Opt::flag("-l", "file and line (needs debug information)");
const SOURCE: Opt = Opt::flag("-s", "source text in place of code (needs debug information)");
const SKIP: Opt = Opt::value("-b", "bytes", "skip so many bytes behind each ud2");

pub(crate) static COMMAND: Command = Command {
    names: &["dis"],
    summary: "disassemble",
    synopsis: "[-r | -f] [-u] [-x | -d] [-l] [-s] [-b bytes] symbol | address | (expression) [count]",
    options: &[BACK, FORTH, USER, HEXADECIMAL, DECIMAL, LINES, SOURCE, SKIP],
    rows: &[InstructionRow::TYPE, SourceRow::TYPE],
    args: &[Arg::Symbol, Arg::Number],
    description: "\
A symbol alone shows the whole function; an address, or a symbol with an offset, one instruction
unless a count follows. With -r, a count keeps the last so many instructions, with -f the first.

What is shown are the bytes in the dump's memory, so that instructions which the kernel patched at
run time (alternatives, static calls and keys, ftrace) are seen as the processor saw them. Padding
behind a function is left out.",
    examples: &[
        Example { about: "A function.", line: "dis linux_banner 1", output: "" },
        Example { about: "What led to a return address.", line: "dis -r schedule+20", output: "" },
        Example { about: "The next ten.", line: "dis schedule 10", output: "" },
    ],
    run,
};

/// The longest function that is believed, in bytes: without a table of sizes, a function ends
/// where the next symbol begins.
const MAX_FUNCTION: u64 = 1 << 20;

/// The longest instruction of x86 in bytes.
const MAX_INSTRUCTION: u64 = 15;

/// The most instructions that a count may ask for.
const MAX_COUNT: u64 = 1 << 20;

/// What to disassemble.
struct Request {
    address: u64,
    /// Start and end of the function, where there is one.
    function: Option<(u64, u64)>,
    whole: bool,
    count: Option<usize>,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let request = request(session, kernel, parsed)?;
    let memory = if parsed.has(USER) || !is_kernel_address(kernel, request.address) {
        Memory::of_user(session, kernel)?
    } else {
        Memory::of_kernel(kernel)
    };
    let hex = match parsed.one_of(&[HEXADECIMAL, DECIMAL])? {
        Some(flag) => flag == HEXADECIMAL,
        None => session.settings.hex(),
    };
    let skip = match parsed.value(SKIP) {
        Some(text) => addresses::count(text)?.min(MAX_FUNCTION),
        None => 0,
    };
    let debug = kernel.target().debug_at(request.address).is_some();
    if parsed.has(SOURCE) && debug {
        return listing(session, kernel, &request, out);
    }
    let (instructions, fault) = chosen(&memory, parsed, &request, skip)?;
    let mut last = None;
    let source = Source::of(session);
    for instruction in &instructions {
        let line = match parsed.has(LINES) {
            true => kernel.target().source_line(instruction.address),
            false => None,
        };
        if line != last
            && let Some((file, number)) = &line
        {
            out.line(format_args!("{file}: {number}"))?;
            if let Some(text) = source.line(file, *number) {
                out.line(format_args!("{number}\t{text}"))?;
            }
        }
        last.clone_from(&line);
        show(kernel, instruction, line, hex, out)?;
    }
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    // The code is worth having without what only debug information tells.
    for (flag, what) in [(LINES, "line numbers need"), (SOURCE, "source text needs")] {
        if parsed.has(flag) && !debug {
            return Err(CommandError::missing(format!(
                "{what} debug information of this code, and none was found; give the vmlinux or the \
                 module's file with --symbols"
            )));
        }
    }
    Ok(())
}

/// Lines of source around one that is asked for by its address.
const CONTEXT: u32 = 10;
/// Lines of one function's source that are shown.
const MAX_LINES: u32 = 2000;

/// The source that code was made of: of a function all of it, else what is around the line.
fn listing(session: &Session, kernel: &Kernel, request: &Request, out: &mut Output) -> Outcome {
    let target = kernel.target();
    let word = format!("{:x}", request.address);
    let Some((file, line)) = target.source_line(request.address) else {
        return Err(CommandError::missing(format!("{word}: no line is known of this address")));
    };
    let source = Source::of(session);
    out.line(format_args!("FILE: {}", file))?;
    out.line(format_args!("LINE: {line}"))?;
    out.line("")?;
    if source.is_empty() {
        return Err(CommandError::missing(
            "source code is not available: give the kernel's source tree with --source".to_owned(),
        ));
    }
    // Lines of the function that come from its own file: inlined ones from elsewhere are not its.
    let own = request.function.filter(|_| request.whole).map(|(start, end)| {
        let (bytes, _) = Memory::of_kernel(kernel).read_most(start, (end - start) as usize);
        let lines = decode(target.isa(), bytes, start, 0).into_iter().filter_map(|i| {
            let frames = target.source_frames(i.address);
            let outer = frames.last()?;
            outer.line.filter(|_| outer.file.as_deref() == Some(&file))
        });
        lines.fold((line, line), |(low, high), line| (low.min(line), high.max(line)))
    });
    let count = u32::try_from(request.count.unwrap_or(CONTEXT as usize)).unwrap_or(MAX_LINES);
    let (first, last) = match own {
        Some((low, high)) => (low.saturating_sub(3).max(1), high.saturating_add(1)),
        None => {
            let first = line.saturating_sub(count / 2).max(1);
            (first, first.saturating_add(count.saturating_sub(1)))
        }
    };
    let mut any = false;
    for number in first..=last.min(first.saturating_add(MAX_LINES)) {
        let Some(text) = source.line(&file, number) else { continue };
        any = true;
        let row = SourceRow { file: &file, line: number, text, here: number == line };
        out.record(&row, |out| {
            let mark = if row.here { '*' } else { ' ' };
            writeln!(out, "{mark} {number:<5} {}", row.text)
        })?;
    }
    match any {
        true => Ok(()),
        false => Err(CommandError::missing(format!(
            "{}: no tree given with --source has this file",
            file
        ))),
    }
}

fn request(session: &Session, kernel: &Kernel, parsed: &Parsed) -> Result<Request, CommandError> {
    if !necropsy_disasm::can_decode(kernel.target().isa()) {
        return Err(CommandError::missing(
            "this is the program for capture kernels, built without the disassembler of this machine: \
             take the whole one (docs/capture-kernel.md)",
        ));
    }
    let word = parsed.need(0, "a symbol or an address")?;
    let target = kernel.target();
    let named: Vec<u64> = if numbers::parse_hex(word).is_some() {
        Vec::new()
    } else {
        let all = target.images().flat_map(|image| image.symbols.all_by_name(word));
        all.filter(|symbol| target.is_text(symbol.address)).map(|symbol| symbol.address).collect()
    };
    if let [_, _, ..] = named.as_slice() {
        let addresses: Vec<_> = named.iter().map(|a| format!("{a:x}")).collect();
        return Err(CommandError::failed(format!(
            "several functions are called {word}: give an address of {}",
            addresses.join(", ")
        )));
    }
    let address = match named.first() {
        Some(address) => *address,
        None => session.address(word)?,
    };
    let count = match parsed.arg(1) {
        Some(text) => Some(addresses::count(text)?.clamp(1, MAX_COUNT) as usize),
        None => None,
    };
    let whole = named.len() == 1 && count.is_none();
    let located = target.locate(address).filter(|_| !parsed.has(USER));
    let function = located.map(|located| extent(&located));
    Ok(Request { address, function, whole, count })
}

fn extent(located: &Located<'_>) -> (u64, u64) {
    let start = located.symbol.address;
    (start, start.saturating_add(located.symbol.size.min(MAX_FUNCTION)))
}

type Instructions = (Vec<Instruction>, Option<Fault>);

fn chosen(
    memory: &Memory<'_>,
    parsed: &Parsed,
    request: &Request,
    skip: u64,
) -> Result<Instructions, CommandError> {
    let address = request.address;
    let part = parsed.one_of(&[BACK, FORTH])?;
    if part.is_none() && !request.whole {
        let count = request.count.unwrap_or(1);
        return Ok(run_of(memory, address, count, skip));
    }
    let (start, end) = request.function.ok_or_else(|| {
        CommandError::failed(format!("{address:x}: in no function of the kernel or a module"))
    })?;
    let (bytes, fault) = memory.read_most(start, (end - start) as usize);
    let mut found = decode(memory.isa(), bytes, start, skip);
    trim_padding(&mut found);
    // An address within an instruction stands for the end of it, as in crash.
    let at = found.partition_point(|i| i.address < address);
    let count = request.count.unwrap_or(usize::MAX);
    match part {
        Some(BACK) => {
            found.truncate(at + 1);
            found.drain(..found.len().saturating_sub(count));
        }
        Some(_) => {
            found.drain(..at);
            found.truncate(count);
        }
        None => {}
    }
    // What is missing matters if it was asked for.
    let fault = fault.filter(|fault| part != Some(BACK) || fault.address <= address);
    Ok((found, fault))
}

/// `count` instructions from `address` on.
fn run_of(memory: &Memory<'_>, address: u64, count: usize, skip: u64) -> Instructions {
    let mut found: Vec<Instruction> = Vec::new();
    let mut at = address;
    while found.len() < count {
        let wanted = (count - found.len()) as u64 * MAX_INSTRUCTION;
        let (bytes, fault) = memory.read_most(at, wanted.min(1 << 16) as usize);
        let read = bytes.len() as u64;
        let whole = fault.is_none();
        let mut piece = decode(memory.isa(), bytes, at, skip);
        // The last one may be cut: by the end of what was read, or of what is there.
        while !whole && piece.last().is_some_and(|last| !last.valid) {
            piece.pop();
        }
        if whole && piece.len() > count - found.len() {
            piece.truncate(count - found.len());
        } else if whole && piece.len() > 1 {
            piece.retain(|i| i.end().wrapping_sub(at) + MAX_INSTRUCTION <= read);
        }
        piece.truncate(count - found.len());
        let Some(last) = piece.last() else { return (found, fault) };
        at = last.end();
        found.extend(piece);
        if let Some(fault) = fault {
            let enough = found.len() >= count;
            return (found, (!enough).then_some(fault));
        }
    }
    (found, None)
}

/// Instructions of `bytes`, so many bytes behind each `ud2` left out: old kernels kept the file
/// and line of a BUG() there.
fn decode(isa: Isa, bytes: Vec<u8>, start: u64, skip: u64) -> Vec<Instruction> {
    let all = decode_all(isa, &bytes, start);
    if skip == 0 {
        return all;
    }
    let mut found = Vec::new();
    let mut at = 0usize;
    while at < bytes.len() {
        let here = start.wrapping_add(at as u64);
        let rest = decode_all(isa, &bytes[at..bytes.len().min(at + 4096)], here);
        let trap = rest.iter().position(|i| i.mnemonic == "ud2");
        let taken = trap.map_or(rest.len(), |trap| trap + 1);
        let len: usize = rest[..taken].iter().map(Instruction::len).sum();
        found.extend(rest.into_iter().take(taken));
        at += len.max(1) + if trap.is_some() { skip as usize } else { 0 };
    }
    found
}

/// Removes what aligns the next function.
fn trim_padding(instructions: &mut Vec<Instruction>) {
    let is_padding = |i: &Instruction| {
        let word = i.mnemonic.rsplit(' ').next().unwrap_or_default();
        matches!(word, "nop" | "nopw" | "nopl" | "data16" | "cs")
            || i.mnemonic == "xchg" && i.operands == "%ax,%ax"
    };
    let kept = instructions.iter().rposition(|i| !is_padding(i)).map_or(1, |last| last + 1);
    instructions.truncate(kept);
}

fn show(
    kernel: &Kernel,
    instruction: &Instruction,
    line: Option<(String, u32)>,
    hex: bool,
    out: &mut Output,
) -> Outcome {
    let (file, number) = line.unzip();
    let located = kernel.target().locate(instruction.address);
    let name = |address| {
        let located = kernel.nearest(address)?;
        Some(with_offset(located.symbol.name, located.offset, hex))
    };
    let comment = match (instruction.target, instruction.rip_memory) {
        (Some(target), _) => name(target),
        (None, Some(address)) => Some(match absolute(kernel, instruction, hex) {
            // By %gs it is a variable of the CPU, whatever lies at that address.
            Some(named) => named,
            None => match name(address) {
                Some(name) => format!("{address:#x} <{name}>"),
                None => format!("{address:#x}"),
            },
        }),
        (None, None) => absolute(kernel, instruction, hex),
    };
    let row = InstructionRow {
        address: Hex(instruction.address),
        symbol: located.map(|l| l.symbol.name),
        offset: located.map(|l| l.offset),
        bytes: instruction.bytes.iter().map(|b| format!("{b:02x}")).collect(),
        mnemonic: &instruction.mnemonic,
        operands: &instruction.operands,
        comment,
        file,
        line: number,
    };
    out.record(&row, |line| {
        match located {
            Some(located) => {
                let name = with_offset(located.symbol.name, located.offset, hex);
                write!(line, "{:#x} <{name}>", instruction.address)?;
            }
            None => write!(line, "   {:#x}", instruction.address)?,
        }
        write!(line, ":\t{}", row.mnemonic)?;
        if !row.operands.is_empty() {
            let pad = 6usize.saturating_sub(row.mnemonic.len());
            write!(line, "{:pad$} ", "")?;
            match instruction.target {
                // gdb writes addresses with 0x where objdump does not.
                Some(target) => {
                    let plain = format!("{target:x}");
                    write!(line, "{}", row.operands.replacen(&plain, &format!("0x{plain}"), 1))?;
                }
                None => write!(line, "{}", row.operands)?,
            }
        }
        if is_tracer_nop(instruction, located.as_ref()) {
            write!(line, " [FTRACE NOP]")?;
        }
        match (&row.comment, instruction.target) {
            (Some(comment), Some(_)) => write!(line, " <{comment}>")?,
            (Some(comment), None) => write!(line, "        # {comment}")?,
            (None, _) => {}
        }
        writeln!(line)
    })
}

/// The variable that an operand without a base register is in: an array that a register indexes, or with
/// %gs a variable of the CPU.
fn absolute(kernel: &Kernel, instruction: &Instruction, hex: bool) -> Option<String> {
    let target = kernel.target();
    let operands = memory_operands(target.isa(), &instruction.bytes, instruction.address);
    let operand = operands.iter().find(|operand| operand.base.is_none())?;
    let at = operand.displacement;
    let (name, offset) = match operand.segment {
        Some(base) if Some(base) == target.abi().per_cpu_base => kernel
            .per_cpu_place(at.wrapping_add(kernel.per_cpu_offset(0)?))
            .and_then(|place| Some((place.symbol?, place.offset)))?,
        Some(_) => return None,
        None => Scope::symbolize(kernel, at)?,
    };
    Some(format!("{at:#x} <{}>", with_offset(&name, offset, hex)))
}

/// Whether it is what stands for the call of the tracer while nobody traces the function.
fn is_tracer_nop(instruction: &Instruction, located: Option<&Located<'_>>) -> bool {
    const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];
    // `endbr64` may come first.
    instruction.bytes == NOP && located.is_some_and(|located| matches!(located.offset, 0 | 4))
}

/// The instructions between two addresses.
pub(super) fn range(session: &Session, start: u64, end: u64, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let memory = Memory::of_kernel(&kernel);
    let (bytes, fault) = memory.read_most(start, end.saturating_sub(start) as usize);
    for instruction in decode(memory.isa(), bytes, start, 0) {
        show(&kernel, &instruction, None, false, out)?;
    }
    fault.map_or(Ok(()), |fault| Err(fault.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_behind_a_function_goes_and_traps_stay() {
        // push %rbx; ret; int3; nopw 0x0(%rax,%rax,1); nop
        let bytes = [0x53, 0xc3, 0xcc, 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x90];
        let mut found = decode(Isa::X86_64, bytes.to_vec(), 0x1000, 0);
        trim_padding(&mut found);
        let names: Vec<_> = found.iter().map(|i| i.mnemonic.as_str()).collect();
        assert_eq!(names, ["push", "ret", "int3"]);
    }

    #[test]
    fn bytes_behind_a_trap_can_be_skipped() {
        let found = decode(Isa::X86_64, vec![0x0f, 0x0b, 0xff, 0xff, 0xc3], 0x1000, 2);
        let names: Vec<_> = found.iter().map(|i| (i.address, i.mnemonic.as_str())).collect();
        assert_eq!(names, [(0x1000, "ud2"), (0x1004, "ret")]);
    }
}
