//! Kernel stack traces.

mod frames;
mod raw;
mod registers;
mod user;

use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::{
    format::Style as ValueStyle,
    unwind::{Stack, Start, Trace, unwind},
};
use rayon::prelude::*;

use crate::rows::stacks::{ExceptionRow, OverflowRow, TraceRow, UserTraceRow, WordRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    cpus::cpu_list,
    parsed::Parsed,
    render::{Faults, Hex, Output},
    session::Session,
    source::Source,
    tasks::{self, Header},
    values,
};

pub(super) const ALL_CPUS: Opt = Opt::flag("-a", "the tasks that run on each CPU");
pub(super) const CPUS: Opt = Opt::value("-c", "cpus", "the tasks that run on these CPUs: 1,3-5");
pub(super) const PANIC_TASK: Opt = Opt::flag("-p", "the task that panicked");
pub(super) const GROUP: Opt = Opt::flag("-g", "all threads of the thread group");
pub(super) const NOT_IDLE: Opt = Opt::value("-n", "idle", "with -a or -c: leave idle CPUs out");
pub(super) const WORDS: Opt = Opt::flag("-f", "the words of each frame");
pub(super) const NAMED_WORDS: Opt = Opt::flag("-F", "as -f, with symbols and slab caches by name");
pub(super) const ADDRESSED_WORDS: Opt =
    Opt::flag("-FF", "as -F, addresses beside the names of slab caches");
pub(super) const LINES: Opt = Opt::flag("-l", "file and line of each frame (needs debug info)");
pub(super) const OFFSETS: Opt = Opt::flag("-s", "functions with the offset into them");
pub(super) const HEXADECIMAL: Opt = Opt::flag("-x", "offsets of -s in hexadecimal");
pub(super) const DECIMAL: Opt = Opt::flag("-d", "offsets of -s in decimal");
pub(super) const RAW: Opt = Opt::flag("-r", "the whole stack, raw");
pub(super) const TEXT: Opt = Opt::flag("-t", "every text address from the stack pointer up");
pub(super) const ALL_TEXT: Opt = Opt::flag("-T", "every text address of the stack");
pub(super) const EXCEPTIONS: Opt = Opt::flag("-e", "search the stack for exception frames");
pub(super) const CPU_EXCEPTIONS: Opt =
    Opt::flag("-E", "search the CPUs' IRQ and exception stacks for them");
pub(super) const VARIABLES: Opt =
    Opt::flag("-v", "the arguments and variables of each frame (needs debug info)");
pub(super) const OVERFLOW: Opt = Opt::flag("--overflow", "check every task's stack for overflow");
pub(super) const USER: Opt = Opt::flag("-u", "the stack of user space, file by file");
pub(super) const MENTIONS: Opt =
    Opt::value("-R", "text", "only traces that mention this symbol or value");
pub(super) const START_IP: Opt = Opt::value("-I", "ip", "begin at this instruction");
pub(super) const START_SP: Opt = Opt::value("-S", "sp", "begin at this stack address");
pub(super) const FROM_EXCEPTION: Opt =
    Opt::flag("--from-exception", "without the frames by which the kernel left");
pub(super) const OLD_METHOD: Opt =
    Opt::flag("-o", "accepted for crash's sake: there is one method");
pub(super) const NEW_METHOD: Opt =
    Opt::flag("-O", "accepted for crash's sake: there is one method");

pub(crate) static COMMAND: Command = Command {
    names: &["bt"],
    summary: "kernel stack backtrace",
    synopsis: "[-a | -c cpus | -p | -g] [-n idle] [-f | -F | -FF] [-l] [-v] [-s [-x | -d]] [task] ...\n\
               [-r | -t | -T | -e | -E | -u | --overflow] [-R text] [task] ...\n\
               [-S sp] [-I ip] [--from-exception] [-o | -O] [task]",
    options: &[
        ALL_CPUS,
        CPUS,
        PANIC_TASK,
        GROUP,
        NOT_IDLE,
        WORDS,
        NAMED_WORDS,
        ADDRESSED_WORDS,
        LINES,
        OFFSETS,
        HEXADECIMAL,
        DECIMAL,
        RAW,
        TEXT,
        ALL_TEXT,
        EXCEPTIONS,
        CPU_EXCEPTIONS,
        VARIABLES,
        OVERFLOW,
        USER,
        MENTIONS,
        START_IP,
        START_SP,
        FROM_EXCEPTION,
        OLD_METHOD,
        NEW_METHOD,
    ],
    rows: &[
        TraceRow::TYPE,
        WordRow::TYPE,
        ExceptionRow::TYPE,
        OverflowRow::TYPE,
        UserTraceRow::TYPE,
    ],
    args: &[Arg::Task],
    description: "\
Shows how a task got where it is, innermost function first. Without arguments: the task that was
set, at first the one that panicked.

The number in brackets is the stack address where the return address was found. The trace of a task
that has no CPU begins at the registers that it saved when it was switched out. What a CPU noted
when the machine died are the registers of the moment when it was interrupted; the frames by which
the kernel left lie below. The deepest is looked for on the stacks, as the one from which the unwind
tables lead, call by call, to those registers, and is marked so; --from-exception leaves them out.
Where an exception interrupted the kernel, the registers of that moment come first, then the
interrupted function as a frame of its own; where the trace goes on on another stack, a line names
the one it leaves. The last block are the registers of user space.

A frame keeps its number whether or not there is debug information; functions that have no frame of
their own follow the number of the one that they are in: #8.1.

Frames come from the kernel's own unwind tables (ORC). Where these say nothing, the trace goes on by
the frame pointer, or by searching the stack: such a frame is marked with \"?\", because it may be a
leftover. When a trace ends early, a line says why.

With debug information, a function that the compiler put into its caller is a frame of its own,
marked (inlined); so is one that ended in a jump to the next inner function, marked (tail call); and
-l and -v work. A variable's value is where debug information says; failing that, what the caller
passed, and failing that, what following the code yields: the line says so. -u shows where a process
is in its own code: by the unwind tables that its files carry, read from its memory or from the page
cache, and where these are not in the dump by the frame pointer. Symbols of programs are not in the
dump: what is shown is the file and the address in it, for addr2line. crash's -v, the check for
stack overflow, is --overflow here; without debug information a bare -v is it, too.",
    examples: &[
        Example { about: "The task that panicked.", line: "bt -p", output: "" },
        Example { about: "What every CPU was doing.", line: "bt -a", output: "" },
        Example { about: "The words that init's frames hold.", line: "bt -f 1", output: "" },
    ],
    run,
};

/// An array's equal elements, and a string's, are counted when they are more.
const REPEATS: u32 = 10;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    // Looked for before traces are made by many threads at once.
    let debug = kernel.target().debug(kernel.target().kernel()).is_some();
    // crash's meaning, where there is nothing to show variables with nor of.
    let alone = parsed.args.is_empty() && parsed.options().all(|(opt, _)| opt == VARIABLES);
    if parsed.has(OVERFLOW) || parsed.has(VARIABLES) && !debug && alone {
        return raw::check_overflow(kernel, out);
    }
    let hex = match parsed.one_of(&[HEXADECIMAL, DECIMAL])? {
        Some(flag) => flag == HEXADECIMAL,
        None => session.settings.hex(),
    };
    if parsed.has(CPU_EXCEPTIONS) {
        return raw::exception_frames_of_cpus(kernel, hex, out);
    }
    let untyped = kernel.target().lacks_data_symbols() && alone && session.task.is_none();
    let tasks = if untyped { Vec::new() } else { chosen(session, parsed, kernel)? };
    if !untyped
        && parsed.args.is_empty()
        && session.task.is_none()
        && let Err(necropsy_linux::Error::Fault(fault, _)) = kernel.find_panic_task()
    {
        out.skipped("panicked task", &fault);
    }
    let forced = forced_start(session, parsed)?;
    let style = frames::Style {
        words: if parsed.has(ADDRESSED_WORDS) {
            frames::Words::NamedWithAddress
        } else if parsed.has(NAMED_WORDS) {
            frames::Words::Named
        } else if parsed.has(WORDS) {
            frames::Words::Raw
        } else {
            frames::Words::None
        },
        hex,
        offsets: match (parsed.has(OFFSETS), hex) {
            (false, _) => frames::Offsets::None,
            (true, true) => frames::Offsets::Hexadecimal,
            (true, false) => frames::Offsets::Decimal,
        },
        lines: parsed.has(LINES),
        from_exception: parsed.has(FROM_EXCEPTION),
        variables: parsed
            .has(VARIABLES)
            .then(|| values::style(session, parsed))
            .transpose()?
            .map(|style| ValueStyle { repeats: Some(REPEATS), ..style }),
    };
    if untyped {
        return of_registers(kernel, &style, &Source::of(session), out);
    }
    if let Some(flag) = parsed.one_of(&[RAW, TEXT, ALL_TEXT, EXCEPTIONS, USER])? {
        for (index, task) in tasks.iter().enumerate() {
            raw::show(kernel, *task, flag, (index > 0, hex), out)?;
        }
        return Ok(());
    }
    let reference = parsed.value(MENTIONS);
    let mut first = true;
    let source = Source::of(session);
    // Traces are made in parallel, a batch at a time, and shown in order.
    for batch in tasks.chunks(256) {
        out.check_interrupt()?;
        let rows: Vec<TraceRow> = batch
            .par_iter()
            .map(|task| TraceRow::new(kernel, *task, trace(*task, forced), &style))
            .collect();
        for row in &rows {
            if reference.is_some_and(|text| !row.mentions(kernel, text)) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.line("")?;
            }
            row.show(kernel, &style, &source, out)?;
        }
    }
    // The trace is worth having without what only debug information tells.
    if (style.lines || style.variables.is_some()) && !debug {
        return Err(CommandError::Missing(
            "no debug information of this kernel was found; give its vmlinux with --symbols".into(),
        ));
    }
    Ok(())
}

/// What the CPUs did, where the dump names no variable that leads to a task.
fn of_registers(
    kernel: &Kernel,
    style: &frames::Style,
    source: &Source,
    out: &mut Output,
) -> Outcome {
    for (cpu, trace, stacks) in kernel.register_traces() {
        let header = Header { pid: None, task: Hex(0), cpu: Some(cpu), comm: None };
        let traced = Ok((trace, stacks));
        TraceRow::of(kernel, header, Faults::default(), traced, style)
            .show(kernel, style, source, out)?;
        out.line("")?;
    }
    Err(CommandError::missing("whose stacks these are is not known"))
}

/// A trace and the stacks it may be on, or why there is none.
type Traced = Result<(Trace, Vec<Stack>), necropsy_linux::Error>;

fn trace(task: Task<'_>, forced: Forced) -> Traced {
    let stacks = task.stacks();
    let Some((ip, sp)) = forced else {
        return task.trace().map(|trace| (trace, stacks));
    };
    let regs = task.trace_start().map(|(start, _)| start.regs).unwrap_or_default();
    let mut start = Start { regs, interrupted: true, saved_regs: false, slot: None };
    let target = task.kernel().target();
    let abi = target.abi();
    if let Some(sp) = sp {
        // What stands at the given address is a return address, unless -I says otherwise.
        start.regs.set(abi.stack_pointer, sp);
        start.regs.put(abi.frame_pointer, None);
        if ip.is_none() {
            let pc = target.read_pointer(sp)?;
            start.regs.set(abi.program_counter, pc);
            start.regs.set(abi.stack_pointer, sp.wrapping_add(target.pointer_size().into()));
            start.slot = Some(sp);
            start.interrupted = false;
        }
    }
    if let Some(ip) = ip {
        start.regs.set(abi.program_counter, ip);
        start.interrupted = true;
    }
    let trace = unwind(target, &start, &stacks);
    Ok((trace, stacks))
}

type Forced = Option<(Option<u64>, Option<u64>)>;

fn forced_start(session: &Session, parsed: &Parsed) -> Result<Forced, CommandError> {
    let address = |flag| parsed.value(flag).map(|text| session.address(text)).transpose();
    let (ip, sp) = (address(START_IP)?, address(START_SP)?);
    Ok((ip.is_some() || sp.is_some()).then_some((ip, sp)))
}

fn chosen<'k>(
    session: &Session,
    parsed: &Parsed,
    kernel: &'k Kernel,
) -> Result<Vec<Task<'k>>, CommandError> {
    let by_cpu = match parsed.one_of(&[ALL_CPUS, CPUS, PANIC_TASK])? {
        Some(PANIC_TASK) => {
            let task = kernel.find_panic_task().map_err(|error| {
                CommandError::Missing(format!("panicked task: {error}: see bt -a"))
            })?;
            return Ok(vec![task]);
        }
        Some(ALL_CPUS) => Some(kernel.online_cpus()),
        Some(_) => Some(cpu_list(kernel, parsed.value(CPUS).unwrap_or(""))?),
        None => None,
    };
    if let Some(cpus) = by_cpu {
        let mut tasks = Vec::new();
        for cpu in cpus {
            let task = kernel.current_task(cpu)?;
            let idle = kernel.idle_task(cpu).is_ok_and(|idle| idle.address == task.address);
            if !(parsed.value(NOT_IDLE).is_some() && idle) {
                tasks.push(task);
            }
        }
        return Ok(tasks);
    }
    let tasks = tasks::select_or_context(session, kernel, &parsed.args)?;
    if !parsed.has(GROUP) {
        return Ok(tasks);
    }
    let all = kernel.tasks().tasks;
    let mut group = Vec::new();
    for leader in tasks {
        let tgid = leader.tgid()?;
        group.extend(all.iter().filter(|t| t.tgid() == Ok(tgid)));
    }
    Ok(group)
}

fn header(task: Task<'_>, faults: &mut Faults) -> Header {
    Header::new(task, faults)
}
