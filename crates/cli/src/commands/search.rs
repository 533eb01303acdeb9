use std::fmt;

use necropsy_dump::PhysicalMemory;
use necropsy_linux::{Kernel, search::Needle, task::Task};

use crate::rows::memory::{FoundOnStackRow, FoundRow};
use crate::{
    CommandError, Outcome, addresses,
    command::{Arg, Command, Example, Opt},
    memory::Memory,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    tasks::Header,
};

const KERNEL: Opt = Opt::flag("-k", "kernel memory, by its address in the direct map");
const PHYSICAL: Opt = Opt::flag("-p", "by physical address; needs no kernel");
const STACKS: Opt = Opt::flag("-t", "the kernel stacks of all tasks");
const ACTIVE_STACKS: Opt = Opt::flag("-T", "the kernel stacks of tasks that run on a CPU");
const START: Opt = Opt::value("-s", "start", "first address");
const END: Opt = Opt::value("-e", "end", "end address");
const LENGTH: Opt = Opt::value("-l", "length", "bytes from the start");
const MASK: Opt = Opt::value("-m", "mask", "bits set here do not count");
const TEXT: Opt = Opt::flag("-c", "text, at any address");
const WORDS_32: Opt = Opt::flag("-w", "32-bit values");
const WORDS_16: Opt = Opt::flag("-h", "16-bit values");
const NAMES: Opt =
    Opt::flag("-n", "what lies at each place: a symbol, an object of a slab cache, a stack");
const WITHOUT_VMALLOC: Opt =
    Opt::flag("-K", "accepted for -k: memory is searched once, whatever maps it");
const WITHOUT_MAP: Opt =
    Opt::flag("-V", "what vmalloc, modules and per-CPU memory map, by those addresses");
const USER: Opt = Opt::flag("-u", "the mappings of the process that is set, by its addresses");
const AROUND: Opt = Opt::value("-x", "count", "so many words before and after each");

pub(crate) static COMMAND: Command = Command {
    names: &["search"],
    summary: "where a value or a text occurs in memory",
    synopsis: "[-k | -K | -V | -u | -p] [-s start] [-e end | -l len] [-m mask] [-h | -w] [-x n] [-n] value ...\n\
               [-k | -K | -V | -u | -p] [-s start] [-e end | -l length] -c text ...\n[-t | -T] [-m mask] value ...",
    options: &[
        NAMES,
        WITHOUT_VMALLOC,
        WITHOUT_MAP,
        USER,
        KERNEL,
        PHYSICAL,
        STACKS,
        ACTIVE_STACKS,
        START,
        END,
        LENGTH,
        MASK,
        TEXT,
        WORDS_32,
        WORDS_16,
        AROUND,
    ],
    rows: &[FoundRow::TYPE, FoundOnStackRow::TYPE],
    args: &[Arg::Symbol],
    description: "\
Looks at every frame that the dump holds, with all CPUs, and shows where a value stands: 64 bits
wide unless -w or -h says otherwise, at addresses that are a multiple of its width. A value is a
number (hexadecimal), a symbol or an (expression).

Each place in memory is shown once, by its address in the map of all physical memory: what vmalloc
or a module's mapping shows elsewhere is the same memory. With -V those mappings are searched, with
-u those of the process that is set, and places shown by their addresses. Several values are looked
for in one pass. With -n it is told what lies at each place. A start beyond the map of all physical
memory (a stack, a module) is taken for such a mapping without -V.
Frames that the dump filter left out cannot be searched.",
    examples: &[
        Example { about: "Who points to init_task.", line: "search init_task", output: "" },
        Example { about: "A text in physical memory.", line: "search -p -c needle", output: "" },
        Example {
            about: "Which stacks hold this address.",
            line: "search -t init_task",
            output: "",
        },
    ],
    run,
};

/// Bytes of memory that is searched where nothing is known to be mapped.
const MOST_UNTOLD: u64 = 1 << 30;
/// More places than anybody reads; the list says so when it is cut.
const LIMIT: usize = 1_000_000;
/// Characters of text shown from where it was found.
const SHOWN: usize = 56;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "a value or text")?;
    parsed.one_of(&[
        KERNEL,
        WITHOUT_VMALLOC,
        WITHOUT_MAP,
        USER,
        PHYSICAL,
        STACKS,
        ACTIVE_STACKS,
    ])?;
    let kernel = session.kernel.clone().ok_or_else(|| CommandError::missing("no dump is open"))?;
    if !parsed.has(PHYSICAL) {
        session.kernel()?;
    }
    let mask = parsed.value(MASK).map(|m| session.address(m)).transpose()?.unwrap_or(0);
    let size = match parsed.one_of(&[WORDS_32, WORDS_16])? {
        Some(WORDS_32) => 4,
        Some(_) => 2,
        None => 8,
    };
    // Of a range that the map of all physical memory does not have, each page is looked up.
    let elsewhere = match parsed.value(START) {
        Some(start) if !parsed.has(PHYSICAL) => {
            let start = session.address(start)?;
            kernel.target().layout().is_some_and(|layout| layout.linear(start).is_none())
        }
        _ => false,
    };
    if parsed.has(USER) || parsed.has(WITHOUT_MAP) || elsewhere {
        return mapped(session, parsed, &kernel, mask, size, out);
    }
    if parsed.has(STACKS) || parsed.has(ACTIVE_STACKS) {
        return stacks(session, parsed, &kernel, mask, out);
    }
    let (from, to, base) = range(session, parsed, &kernel)?;
    // Several values are looked for in one pass.
    let mut values = Vec::new();
    let around = parsed.value(AROUND).map(addresses::count).transpose()?.map(|n| n.min(64));
    for arg in &parsed.args {
        if !parsed.has(TEXT) {
            let value = session.address(arg)?;
            if size < 8 && value >> (size * 8) != 0 {
                return Err(CommandError::usage(format!("{arg}: more than {size} bytes")));
            }
            values.push(value);
            continue;
        }
        let needle = {
            let text = arg.trim_matches(['"', '\'']);
            if text.is_empty() {
                return Err(parsed.wrong("-c needs text"));
            }
            Needle::Text(text.as_bytes().to_vec())
        };
        places(session, &kernel, parsed, &needle, (from, to, base), size, around, out)?;
    }
    let needle = match values.as_slice() {
        [] => return Ok(()),
        [value] => Needle::Word { value: *value, mask, size },
        _ => Needle::Words { values, mask, size },
    };
    places(session, &kernel, parsed, &needle, (from, to, base), size, around, out)
}

#[expect(clippy::too_many_arguments, reason = "a line of options, each of its own kind")]
fn places(
    session: &Session,
    kernel: &Kernel,
    parsed: &Parsed,
    needle: &Needle,
    (from, to, base): (u64, u64, u64),
    size: usize,
    around: Option<u64>,
    out: &mut Output,
) -> Outcome {
    let found = kernel.search(needle, from, to, LIMIT, &session.interrupted);
    out.check_interrupt()?;
    if found.len() == LIMIT {
        out.line(format_args!("(only the first {LIMIT} places)"))?;
    }
    for physical in found {
        let named = parsed.has(NAMES).then(|| named(kernel, kernel.address_of_physical(physical)));
        show(kernel, needle, physical, base, size, around, named, out)?;
    }
    Ok(())
}

/// Physical start and end, and what to add to show an address.
fn range(
    session: &Session,
    parsed: &Parsed,
    kernel: &Kernel,
) -> Result<(u64, u64, u64), CommandError> {
    let dump = kernel.target().dump();
    let all = dump.max_pfn().saturating_mul(dump.page_size());
    let base = match kernel.target().layout().and_then(|l| l.direct) {
        _ if parsed.has(PHYSICAL) => 0,
        Some(direct) => direct.start,
        None => return Err(CommandError::missing("the kernel's memory map is not known; use -p")),
    };
    let address = |flag| parsed.value(flag).map(|text| session.address(text)).transpose();
    let physical = |at: u64| {
        if parsed.has(PHYSICAL) {
            return Ok(at);
        }
        kernel.target().layout().and_then(|l| l.linear(at)).ok_or_else(|| {
            CommandError::usage(format!("{at:x}: not in the map of physical memory; see -p"))
        })
    };
    let start = address(START)?.map(physical).transpose()?;
    let end = match (address(END)?, parsed.value(LENGTH), start) {
        (Some(_), Some(_), _) => return Err(parsed.wrong("-e and -l exclude each other")),
        (Some(end), None, _) => Some(physical(end.saturating_sub(1))? + 1),
        (None, Some(length), Some(start)) => Some(start.saturating_add(session.number(length)?)),
        (None, Some(_), None) => return Err(parsed.wrong("-l needs -s")),
        (None, None, _) => None,
    };
    // A range of the kernel image is shown by the addresses that were asked for.
    let base = match (address(START)?, start) {
        (Some(at), Some(physical)) if !parsed.has(PHYSICAL) => at.wrapping_sub(physical),
        _ => base,
    };
    Ok((start.unwrap_or(0), end.unwrap_or(all).min(all), base))
}

#[expect(clippy::too_many_arguments, reason = "a line of options, each of its own kind")]
fn show(
    kernel: &Kernel,
    needle: &Needle,
    physical: u64,
    base: u64,
    size: usize,
    around: Option<u64>,
    about: Option<String>,
    out: &mut Output,
) -> Outcome {
    let word = |at: u64| {
        let mut bytes = [0; 8];
        let read = kernel.target().read_physical(at, &mut bytes[..size]);
        read.ok().map(|()| Hex(kernel.target().number(&bytes[..size])))
    };
    let text = matches!(needle, Needle::Text(_)).then(|| {
        let mut bytes = [0; SHOWN];
        let kept = (1..=SHOWN)
            .rev()
            .find(|n| kernel.target().read_physical(physical, &mut bytes[..*n]).is_ok())
            .unwrap_or(0);
        let printable =
            |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' };
        bytes[..kept].iter().map(printable).collect::<String>()
    });
    let step = size as u64;
    let row = FoundRow {
        address: Hex(base.wrapping_add(physical)),
        value: if text.is_none() { word(physical) } else { None },
        text,
        about,
        before: around
            .map(|n| (1..=n).rev().filter_map(|i| word(physical.checked_sub(i * step)?)).collect()),
        after: around.map(|n| (1..=n).filter_map(|i| word(physical + i * step)).collect()),
    };
    let width = size * 2;
    out.record(&row, |line| {
        let list = |words: &Option<Vec<Hex>>| {
            let words = words.iter().flatten();
            words.map(|w| format!("{:0width$x} ", w.0)).collect::<String>()
        };
        match (&row.text, row.value) {
            (Some(text), _) => write!(line, "{}: {text}", row.address)?,
            (None, Some(value)) => write!(
                line,
                "{}{}: {:0width$x} {}",
                list(&row.before),
                row.address,
                value.0,
                list(&row.after)
            )?,
            (None, None) => write!(line, "{}: (unreadable)", row.address)?,
        }
        end(line, row.about.as_deref())
    })
}

/// What lies at an address, in words.
fn named(kernel: &Kernel, at: u64) -> String {
    kernel.identify(at, &[]).map_or_else(|| format!("{at:x}"), |about| about.to_string())
}

/// The end of a line, with what lies at the place where that was asked for.
fn end(line: &mut dyn fmt::Write, about: Option<&str>) -> fmt::Result {
    match about {
        Some(about) => writeln!(line, " ({about})"),
        None => writeln!(line),
    }
}

/// Memory as a process or the kernel maps it page by page: `-u`, `-V`.
fn mapped(
    session: &Session,
    parsed: &Parsed,
    kernel: &Kernel,
    mask: u64,
    size: usize,
    out: &mut Output,
) -> Outcome {
    let (memory, mut ranges) = if parsed.has(USER) {
        let task = session.context(kernel)?;
        let mm = task.mm()?.ok_or_else(|| {
            CommandError::failed(
                "the task has no user memory: it is a kernel thread, or it has given it up to exit",
            )
        })?;
        let (mappings, _) = kernel.mappings(mm)?;
        let ranges = mappings.iter().map(|vma| (vma.start, vma.end)).collect();
        (Memory::of_user(session, kernel)?, ranges)
    } else {
        let (areas, _) = kernel.vmalloc_areas()?;
        let mut ranges: Vec<(u64, u64)> = areas.iter().map(|area| (area.start, area.end)).collect();
        let images = kernel.target().images().flat_map(|image| &image.ranges);
        ranges.extend(images.map(|range| (range.start, range.end)));
        (Memory::of_kernel(kernel), ranges)
    };
    let page = kernel.target().page_size();
    let address = |flag| parsed.value(flag).map(|text| session.address(text)).transpose();
    let (from, to) = (address(START)?, address(END)?);
    let to = match (parsed.value(LENGTH), from) {
        (Some(length), Some(from)) => Some(from.saturating_add(session.number(length)?)),
        _ => to,
    };
    let inside = |at: u64| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
    // What no table tells of is looked through as far as it takes no time.
    let told = |(start, end): &(u64, u64)| {
        from.is_none_or(|from| *end > from) && to.is_none_or(|to| *start < to)
    };
    if let (Some(from), Some(to), false) = (from, to, parsed.has(USER))
        && !ranges.iter().any(told)
    {
        if to.saturating_sub(from) > MOST_UNTOLD {
            return Err(CommandError::failed(format!(
                "{from:x}: nothing is known to be mapped there; name at most {} MB of it",
                MOST_UNTOLD >> 20
            )));
        }
        ranges = vec![(from, to)];
    }
    ranges.retain(told);
    ranges.sort_unstable();
    for range in &mut ranges {
        *range = (range.0 & !(page - 1), range.1.min(range.0.saturating_add(1 << 40)));
    }
    let mut needles = Vec::new();
    let mut values = Vec::new();
    for arg in &parsed.args {
        if parsed.has(TEXT) {
            needles.push(Needle::Text(arg.trim_matches(['"', '\'']).as_bytes().to_vec()));
        } else {
            values.push(session.address(arg)?);
        }
    }
    if !values.is_empty() {
        needles.push(Needle::Words { values, mask, size });
    }
    for needle in &needles {
        let read = |at: u64, bytes: &mut [u8]| memory.read(at, bytes).is_ok();
        for at in kernel.search_virtual(needle, &ranges, read, LIMIT, &session.interrupted) {
            out.check_interrupt()?;
            if !inside(at) {
                continue;
            }
            let mut bytes = [0; 8];
            let value = memory.read(at, &mut bytes[..size]).ok();
            let text = matches!(needle, Needle::Text(_)).then(|| {
                let (bytes, _) = memory.read_most(at, SHOWN);
                let shown = bytes.iter().map(|byte| match byte {
                    byte if byte.is_ascii_graphic() || *byte == b' ' => char::from(*byte),
                    _ => '.',
                });
                shown.collect::<String>()
            });
            let row = FoundRow {
                address: Hex(at),
                value: value
                    .map(|()| Hex(kernel.target().number(&bytes[..size])))
                    .filter(|_| text.is_none()),
                text,
                about: (parsed.has(NAMES) && !parsed.has(USER)).then(|| named(kernel, at)),
                before: None,
                after: None,
            };
            let width = size * 2;
            out.record(&row, |line| {
                match (&row.text, row.value) {
                    (Some(text), _) => write!(line, "{}: {text}", row.address)?,
                    (None, Some(value)) => write!(line, "{}: {:0width$x}", row.address, value.0)?,
                    (None, None) => write!(line, "{}: (unreadable)", row.address)?,
                }
                end(line, row.about.as_deref())
            })?;
        }
    }
    Ok(())
}

fn stacks(
    session: &Session,
    parsed: &Parsed,
    kernel: &Kernel,
    mask: u64,
    out: &mut Output,
) -> Outcome {
    let wanted =
        parsed.args.iter().map(|arg| session.address(arg)).collect::<Result<Vec<u64>, _>>()?;
    let mut tasks: Vec<Task<'_>> = kernel.tasks().tasks;
    if parsed.has(ACTIVE_STACKS) {
        tasks.retain(|t| kernel.running_on(*t).is_some());
    }
    for task in tasks {
        out.check_interrupt()?;
        let Ok(stack) = task.own_stack() else { continue };
        if stack.start == 0 {
            continue;
        }
        let mut first = true;
        for address in (stack.start..stack.end).step_by(8) {
            let Ok(value) = kernel.target().read_u64(address) else { continue };
            if !wanted.iter().any(|w| value & !mask == w & !mask) {
                continue;
            }
            let header = Header::new(task, &mut Default::default());
            if std::mem::take(&mut first) {
                out.line(&header)?;
            }
            let row = FoundOnStackRow { header, address: Hex(address), value: Hex(value) };
            out.record(&row, |line| writeln!(line, "{address:x}: {value:x}"))?;
        }
    }
    Ok(())
}
