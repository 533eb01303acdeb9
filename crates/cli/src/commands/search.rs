use necropsy_dump::PhysicalMemory;
use necropsy_linux::{Kernel, search::Needle, task::Task};
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
    tasks::Header,
};

pub(crate) static COMMAND: Command = Command {
    names: &["search"],
    summary: "where a value or a text occurs in memory",
    synopsis: "[-k | -p] [-s start] [-e end | -l length] [-m mask] [-h | -w] [-x count] value ...\n\
               [-k | -p] [-s start] [-e end | -l length] -c text ...\n[-t | -T] [-m mask] value ...",
    options: &[
        Opt { flag: "-k", value: None, help: "kernel memory, by its address in the direct map" },
        Opt { flag: "-p", value: None, help: "by physical address; needs no kernel" },
        Opt { flag: "-t", value: None, help: "the kernel stacks of all tasks" },
        Opt { flag: "-T", value: None, help: "the kernel stacks of tasks that run on a CPU" },
        Opt { flag: "-s", value: Some("start"), help: "first address" },
        Opt { flag: "-e", value: Some("end"), help: "end address" },
        Opt { flag: "-l", value: Some("length"), help: "bytes from the start" },
        Opt { flag: "-m", value: Some("mask"), help: "bits set here do not count" },
        Opt { flag: "-c", value: None, help: "text, at any address" },
        Opt { flag: "-w", value: None, help: "32-bit values" },
        Opt { flag: "-h", value: None, help: "16-bit values" },
        Opt { flag: "-x", value: Some("count"), help: "so many words before and after each" },
    ],
    args: &[Arg::Symbol],
    description: "\
Looks at every frame that the dump holds, with all CPUs, and shows where a value stands: 64 bits
wide unless -w or -h says otherwise, at addresses that are a multiple of its width. A value is a
number (hexadecimal), a symbol or an (expression).

Each place in memory is shown once, by its address in the map of all physical memory: what vmalloc
or a module's mapping shows elsewhere is the same memory. User memory is searched by -p alone.
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

#[derive(Serialize)]
struct Row {
    address: Hex,
    value: Option<Hex>,
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<Hex>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Vec<Hex>>,
}

/// More places than anybody reads; the list says so when it is cut.
const LIMIT: usize = 1_000_000;
/// Characters of text shown from where it was found.
const SHOWN: usize = 56;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "a value or text")?;
    parsed.one_of(&["-k", "-p", "-t", "-T"])?;
    let kernel = session.kernel.clone().ok_or_else(|| CommandError::missing("no dump is open"))?;
    if !parsed.has("-p") {
        session.kernel()?;
    }
    let mask = parsed.value("-m").map(|m| session.address(m)).transpose()?.unwrap_or(0);
    let size = match parsed.one_of(&["-w", "-h"])? {
        Some("-w") => 4,
        Some(_) => 2,
        None => 8,
    };
    if parsed.has("-t") || parsed.has("-T") {
        return stacks(session, parsed, &kernel, mask, out);
    }
    let (from, to, base) = range(session, parsed, &kernel)?;
    let around = parsed.value("-x").map(|n| session.number(n)).transpose()?.map(|n| n.min(64));
    for arg in &parsed.args {
        let needle = if parsed.has("-c") {
            let text = arg.trim_matches(['"', '\'']);
            if text.is_empty() {
                return Err(parsed.wrong("-c needs text"));
            }
            Needle::Text(text.as_bytes().to_vec())
        } else {
            let value = session.address(arg)?;
            if size < 8 && value >> (size * 8) != 0 {
                return Err(CommandError::usage(format!("{arg}: more than {size} bytes")));
            }
            Needle::Word { value, mask, size }
        };
        let found = kernel.search(&needle, from, to, LIMIT, &session.interrupted);
        out.check_interrupt()?;
        if found.len() == LIMIT {
            out.line(format_args!("(only the first {LIMIT} places)"))?;
        }
        for physical in found {
            show(&kernel, &needle, physical, base, size, around, out)?;
        }
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
        _ if parsed.has("-p") => 0,
        Some(direct) => direct.start,
        None => return Err(CommandError::missing("the kernel's memory map is not known; use -p")),
    };
    let address = |flag| parsed.value(flag).map(|text| session.address(text)).transpose();
    let physical = |at: u64| {
        if parsed.has("-p") {
            return Ok(at);
        }
        kernel.target().layout().and_then(|l| l.linear(at)).ok_or_else(|| {
            CommandError::usage(format!("{at:x}: not in the map of physical memory; see -p"))
        })
    };
    let start = address("-s")?.map(physical).transpose()?;
    let end = match (address("-e")?, parsed.value("-l"), start) {
        (Some(_), Some(_), _) => return Err(parsed.wrong("-e and -l exclude each other")),
        (Some(end), None, _) => Some(physical(end.saturating_sub(1))? + 1),
        (None, Some(length), Some(start)) => Some(start.saturating_add(session.number(length)?)),
        (None, Some(_), None) => return Err(parsed.wrong("-l needs -s")),
        (None, None, _) => None,
    };
    // A range of the kernel image is shown by the addresses that were asked for.
    let base = match (address("-s")?, start) {
        (Some(at), Some(physical)) if !parsed.has("-p") => at.wrapping_sub(physical),
        _ => base,
    };
    Ok((start.unwrap_or(0), end.unwrap_or(all).min(all), base))
}

fn show(
    kernel: &Kernel,
    needle: &Needle,
    physical: u64,
    base: u64,
    size: usize,
    around: Option<u64>,
    out: &mut Output,
) -> Outcome {
    let word = |at: u64| {
        let mut bytes = [0; 8];
        let read = kernel.target().read_physical(at, &mut bytes[..size]);
        read.ok().map(|()| Hex(u64::from_le_bytes(bytes)))
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
    let row = Row {
        address: Hex(base.wrapping_add(physical)),
        value: if text.is_none() { word(physical) } else { None },
        text,
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
            (Some(text), _) => writeln!(line, "{}: {text}", row.address),
            (None, Some(value)) => writeln!(
                line,
                "{}{}: {:0width$x} {}",
                list(&row.before),
                row.address,
                value.0,
                list(&row.after)
            ),
            (None, None) => writeln!(line, "{}: (unreadable)", row.address),
        }
    })
}

fn stacks(
    session: &Session,
    parsed: &Parsed,
    kernel: &Kernel,
    mask: u64,
    out: &mut Output,
) -> Outcome {
    #[derive(Serialize)]
    struct StackRow {
        #[serde(flatten)]
        header: Header,
        address: Hex,
        value: Hex,
    }
    let wanted =
        parsed.args.iter().map(|arg| session.address(arg)).collect::<Result<Vec<u64>, _>>()?;
    let mut tasks: Vec<Task<'_>> = kernel.tasks().tasks;
    if parsed.has("-T") {
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
            let row = StackRow { header, address: Hex(address), value: Hex(value) };
            out.record(&row, |line| writeln!(line, "{address:x}: {value:x}"))?;
        }
    }
    Ok(())
}
