//! Kernel stack traces.

mod frames;
mod raw;
mod registers;

use necropsy_linux::{Kernel, task::Task};
use necropsy_target::unwind::{Stack, Start, Trace, unwind};
use rayon::prelude::*;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Faults, Output},
    session::Session,
    source::Source,
    tasks::{self, Header},
    values,
};

pub(crate) static COMMAND: Command = Command {
    names: &["bt"],
    summary: "kernel stack backtrace",
    synopsis: "[-a | -c cpus | -p | -g] [-n idle] [-f | -F | -FF] [-l] [-v] [-s [-x | -d]] [task] ...\n\
               [-r | -t | -T | -e | -E | --overflow] [-R text] [task] ...\n[-S sp] [-I ip] [-o | -O] [task]",
    options: &[
        Opt { flag: "-a", value: None, help: "the tasks that run on each CPU" },
        Opt { flag: "-c", value: Some("cpus"), help: "the tasks that run on these CPUs: 1,3-5" },
        Opt { flag: "-p", value: None, help: "the task that panicked" },
        Opt { flag: "-g", value: None, help: "all threads of the thread group" },
        Opt { flag: "-n", value: Some("idle"), help: "with -a or -c: leave idle CPUs out" },
        Opt { flag: "-f", value: None, help: "the words of each frame" },
        Opt { flag: "-F", value: None, help: "as -f, with symbols and slab caches by name" },
        Opt { flag: "-FF", value: None, help: "as -F, addresses beside the names of slab caches" },
        Opt { flag: "-l", value: None, help: "file and line of each frame (needs debug info)" },
        Opt { flag: "-s", value: None, help: "functions with the offset into them" },
        Opt { flag: "-x", value: None, help: "offsets of -s in hexadecimal" },
        Opt { flag: "-d", value: None, help: "offsets of -s in decimal" },
        Opt { flag: "-r", value: None, help: "the whole stack, raw" },
        Opt { flag: "-t", value: None, help: "every text address from the stack pointer up" },
        Opt { flag: "-T", value: None, help: "every text address of the stack" },
        Opt { flag: "-e", value: None, help: "search the stack for exception frames" },
        Opt { flag: "-E", value: None, help: "search the CPUs' IRQ and exception stacks for them" },
        Opt {
            flag: "-v",
            value: None,
            help: "the arguments and variables of each frame (needs debug info)",
        },
        Opt { flag: "--overflow", value: None, help: "check every task's stack for overflow" },
        Opt {
            flag: "-R",
            value: Some("text"),
            help: "only traces that mention this symbol or value",
        },
        Opt { flag: "-I", value: Some("ip"), help: "begin at this instruction" },
        Opt { flag: "-S", value: Some("sp"), help: "begin at this stack address" },
        Opt { flag: "-o", value: None, help: "accepted for crash's sake: there is one method" },
        Opt { flag: "-O", value: None, help: "accepted for crash's sake: there is one method" },
    ],
    args: &[Arg::Task],
    description: "\
Shows how a task got where it is, innermost function first. Without arguments: the task that was
set, at first the one that panicked.

The number in brackets is the stack address where the return address was found. A trace begins at
the registers that the CPU saved when the machine died, or that the task saved when it was
switched out. Where an exception interrupted the kernel, the registers of that moment come first,
then the interrupted function as a frame of its own; where the trace goes on on another stack,
a line names the one it leaves. The last block are the registers of user space.

Frames come from the kernel's own unwind tables (ORC). Where these say nothing, the trace goes on
by the frame pointer, or by searching the stack: such a frame is marked with \"?\", because it may
be a leftover. When a trace ends early, a line says why.

With debug information, a function that the compiler put into its caller is a frame of its own,
marked (inlined); so is one that ended in a jump to the next inner function, marked (tail call); and
-l and -v work. A variable's value is where debug information says; failing
that, what the caller passed, and failing that, what following the code yields: the line says so.
crash's -v, the check for stack overflow, is --overflow here; without debug information a bare -v
is it, too.",
    examples: &[
        Example { about: "The task that panicked.", line: "bt -p", output: "" },
        Example { about: "What every CPU was doing.", line: "bt -a", output: "" },
        Example { about: "The words that init's frames hold.", line: "bt -f 1", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    // Looked for before traces are made by many threads at once.
    let debug = kernel.target().debug(kernel.target().kernel()).is_some();
    // crash's meaning, where there is nothing to show variables with nor of.
    let alone =
        parsed.args.is_empty() && parsed.options().all(|(flag, _)| matches!(flag, "-v" | "--json"));
    if parsed.has("--overflow") || parsed.has("-v") && !debug && alone {
        return raw::check_overflow(kernel, out);
    }
    if parsed.has("-E") {
        return raw::exception_frames_of_cpus(kernel, out);
    }
    let tasks = chosen(session, parsed, kernel)?;
    let forced = forced_start(session, parsed)?;
    let style = frames::Style {
        words: if parsed.has("-FF") {
            frames::Words::NamedWithAddress
        } else if parsed.has("-F") {
            frames::Words::Named
        } else if parsed.has("-f") {
            frames::Words::Raw
        } else {
            frames::Words::None
        },
        offsets: match (parsed.has("-s"), parsed.has("-x")) {
            (false, _) => frames::Offsets::None,
            (true, true) => frames::Offsets::Hexadecimal,
            (true, false) => frames::Offsets::Decimal,
        },
        lines: parsed.has("-l"),
        variables: parsed.has("-v").then(|| values::style(session, parsed)).transpose()?,
    };
    if let Some(flag) = parsed.one_of(&["-r", "-t", "-T", "-e"])? {
        for (index, task) in tasks.iter().enumerate() {
            raw::show(kernel, *task, flag, index > 0, out)?;
        }
        return Ok(());
    }
    let reference = parsed.value("-R");
    let mut first = true;
    let source = Source::of(session);
    // Traces are made in parallel, a batch at a time, and shown in order.
    for batch in tasks.chunks(256) {
        out.check_interrupt()?;
        let rows: Vec<frames::Row> = batch
            .par_iter()
            .map(|task| frames::Row::new(kernel, *task, trace(*task, forced), &style))
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

/// A trace and the stacks it may be on, or why there is none.
type Traced = Result<(Trace, Vec<Stack>), necropsy_linux::Error>;

fn trace(task: Task<'_>, forced: Option<(Option<u64>, Option<u64>)>) -> Traced {
    let stacks = task.stacks();
    let (mut start, _) = match (task.trace_start(), forced) {
        (Err(error), None) => return Err(error),
        (Ok(start), _) => start,
        (Err(_), Some(_)) => (
            Start { regs: Default::default(), interrupted: true, saved_regs: false, slot: None },
            necropsy_linux::stacks::Origin::Switched,
        ),
    };
    if let Some((ip, sp)) = forced {
        use necropsy_target::Reg;
        start.saved_regs = false;
        start.slot = None;
        if let Some(sp) = sp {
            // What stands at the given address is a return address, unless -I says otherwise.
            start.regs.set(Reg::Rsp, sp);
            start.regs.put(Reg::Rbp, None);
            if ip.is_none() {
                let pc = task.kernel().target().read_u64(sp)?;
                start.regs.set(Reg::Rip, pc);
                start.regs.set(Reg::Rsp, sp.wrapping_add(8));
                start.slot = Some(sp);
                start.interrupted = false;
            }
        }
        if let Some(ip) = ip {
            start.regs.set(Reg::Rip, ip);
            start.interrupted = true;
        }
    }
    let trace = unwind(task.kernel().target(), &start, &stacks);
    Ok((trace, stacks))
}

type Forced = Option<(Option<u64>, Option<u64>)>;

fn forced_start(session: &Session, parsed: &Parsed) -> Result<Forced, CommandError> {
    let address = |flag| parsed.value(flag).map(|text| session.address(text)).transpose();
    let (ip, sp) = (address("-I")?, address("-S")?);
    Ok((ip.is_some() || sp.is_some()).then_some((ip, sp)))
}

fn chosen<'k>(
    session: &Session,
    parsed: &Parsed,
    kernel: &'k Kernel,
) -> Result<Vec<Task<'k>>, CommandError> {
    let by_cpu = match parsed.one_of(&["-a", "-c", "-p"])? {
        Some("-p") => {
            let task = kernel.panic_task().ok_or_else(|| {
                CommandError::Missing("no CPU of this dump called panic: see bt -a".into())
            })?;
            return Ok(vec![task]);
        }
        Some("-a") => Some(kernel.online_cpus()),
        Some(_) => Some(cpu_list(kernel, parsed.value("-c").unwrap_or(""))?),
        None => None,
    };
    if let Some(cpus) = by_cpu {
        let mut tasks = Vec::new();
        for cpu in cpus {
            let task = kernel.current_task(cpu)?;
            let idle = kernel.idle_task(cpu).is_ok_and(|idle| idle.address == task.address);
            if !(parsed.value("-n").is_some() && idle) {
                tasks.push(task);
            }
        }
        return Ok(tasks);
    }
    let tasks = tasks::select_or_context(session, kernel, &parsed.args)?;
    if !parsed.has("-g") {
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

/// `1,3-5`, `a` or `all`.
pub(crate) fn cpu_list(kernel: &Kernel, text: &str) -> Result<Vec<u32>, CommandError> {
    let possible = kernel.possible_cpus();
    if matches!(text, "a" | "all") {
        return Ok(possible);
    }
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) => {
                let some: Vec<u32> =
                    possible.iter().copied().filter(|c| (first..=last).contains(c)).collect();
                if some.is_empty() {
                    return Err(CommandError::failed(format!("{part}: no such CPU")));
                }
                cpus.extend(some);
            }
            _ => return Err(CommandError::usage(format!("{text}: not a list of CPUs (1,3-5)"))),
        }
    }
    Ok(cpus)
}

fn header(task: Task<'_>, faults: &mut Faults) -> Header {
    Header::new(task, faults)
}
