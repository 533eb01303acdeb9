//! Stacks without an unwinder: raw words, text addresses, exception frames, overflow.

use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::{Regs, unwind::Stack};

use super::registers;
use super::{ALL_TEXT, EXCEPTIONS, RAW, USER, user};
use crate::rows::stacks::{ExceptionRow, OverflowRow, Registers, WordRow};
use crate::{
    CommandError, Outcome,
    addresses::with_offset,
    command::Opt,
    render::{Faults, Hex, Output},
    tasks::Header,
};

/// `bt -r`, `-t`, `-T`, `-e` of one task.
pub(super) fn show(
    kernel: &Kernel,
    task: Task<'_>,
    flag: Opt,
    (gap, hex): (bool, bool),
    out: &mut Output,
) -> Outcome {
    if gap {
        out.line("")?;
    }
    let mut faults = Faults::default();
    let header = super::header(task, &mut faults);
    if flag == USER {
        return user::show(task, header, out);
    }
    out.line(&header)?;
    let stack = task.own_stack()?;
    match flag {
        RAW => words(kernel, &header, &stack, hex, out),
        EXCEPTIONS => exception_frames(kernel, &header, &stack, hex, out).map(|_| ()),
        _ => text_addresses(kernel, task, &header, &stack, flag == ALL_TEXT, out),
    }
}

fn words(kernel: &Kernel, header: &Header, stack: &Stack, hex: bool, out: &mut Output) -> Outcome {
    let name = |word: u64| match kernel.nearest(word) {
        Some(found) => with_offset(found.symbol.name, found.offset, hex),
        None => format!("{word:016x}"),
    };
    for pair in (stack.start..stack.end).step_by(16) {
        let mut text = format!("{pair:016x}:  ");
        for at in [pair, pair + 8] {
            match kernel.target().read_u64(at) {
                Ok(word) => text.push_str(&format!("{:<16} ", name(word))),
                Err(fault) => {
                    text.push_str(&format!("{:<16} ", format!("({})", fault.reason.name())))
                }
            }
        }
        if !out.is_text() {
            for at in [pair, pair + 8] {
                let mut faults = Faults::default();
                let value = faults.take("stack", kernel.target().read_u64(at)).map(Hex);
                let symbol = value.filter(|v| kernel.nearest(v.0).is_some()).map(|v| name(v.0));
                let row =
                    WordRow { header: header.clone(), address: Hex(at), value, symbol, faults };
                out.record(&row, |_| Ok(()))?;
            }
        } else {
            out.line(text)?;
        }
    }
    Ok(())
}

fn text_addresses(
    kernel: &Kernel,
    task: Task<'_>,
    header: &Header,
    stack: &Stack,
    whole: bool,
    out: &mut Output,
) -> Outcome {
    let start = task.trace_start().ok().map(|(start, _)| start);
    // Of a task that runs, frames deeper than the saved registers may have been found, as by bt.
    let deepest = task.trace().ok().and_then(|trace| trace.above.into_iter().next());
    let deepest = deepest.filter(|frame| (stack.start..stack.end).contains(&frame.slot));
    let deepest = deepest.map(|frame| (Some(frame.pc), Some(frame.slot)));
    let saved = start.map(|start| (start.regs.pc(), start.slot.or(start.regs.sp())));
    let (pc, sp) = deepest.or(saved).filter(|_| !whole).unwrap_or_default();
    let from = sp.filter(|at| (stack.start..stack.end).contains(at)).unwrap_or(stack.start);
    if let Some(pc) = pc {
        let name = kernel.target().locate(pc).map_or("(unknown)", |l| l.symbol.name);
        out.line(format_args!("{:>19}: {name} at {pc:x}", "START"))?;
    }
    for at in (from.next_multiple_of(8)..stack.end).step_by(8) {
        let Ok(word) = kernel.target().read_u64(at) else { continue };
        if !kernel.target().is_text(word) {
            continue;
        }
        let Some(found) = kernel.target().locate(word) else { continue };
        let row = WordRow {
            header: header.clone(),
            address: Hex(at),
            value: Some(Hex(word)),
            symbol: Some(found.symbol.name.to_owned()),
            faults: Faults::default(),
        };
        out.record(&row, |line| {
            write!(line, "  [{at:016x}] {} at {word:016x}", found.symbol.name)?;
            match found.module() {
                Some(module) => writeln!(line, " [{module}]"),
                None => writeln!(line),
            }
        })?;
    }
    if let Ok((at, regs)) = task.user_regs() {
        let row = ExceptionRow {
            header: header.clone(),
            address: Hex(at),
            user: true,
            registers: Registers(regs),
        };
        out.record(&row, |line| registers::write(line, kernel.target().abi(), &regs))?;
    }
    Ok(())
}

/// Every place on a stack where the words look like saved registers.
fn search(kernel: &Kernel, stack: &Stack) -> Vec<(u64, Regs)> {
    let target = kernel.target();
    let room = target.architecture().saved_size() as u64;
    let word = u64::from(target.pointer_size());
    let places = (stack.start..stack.end.saturating_sub(room - word)).step_by(word as usize);
    let frame = |at| Some((at, target.architecture().exception_frame(target, at)?));
    places.filter_map(frame).collect()
}

/// How many there are.
fn exception_frames(
    kernel: &Kernel,
    header: &Header,
    stack: &Stack,
    hex: bool,
    out: &mut Output,
) -> Result<usize, CommandError> {
    let found = search(kernel, stack);
    let count = found.len();
    for (at, regs) in found {
        let row = ExceptionRow {
            header: header.clone(),
            address: Hex(at),
            user: regs.user_mode(),
            registers: Registers(regs),
        };
        out.record(&row, |line| {
            let mode = if regs.user_mode() { "USER-MODE" } else { "KERNEL-MODE" };
            writeln!(line, "\n  {mode} EXCEPTION FRAME AT: {at:x}")?;
            let abi = kernel.target().abi();
            if let Some(found) = regs.pc().and_then(|pc| kernel.target().locate(pc)) {
                let pc = registers::program_counter(abi);
                let place = with_offset(found.symbol.name, found.offset, hex);
                writeln!(line, "    [exception {pc}: {place}]")?;
            }
            registers::write(line, abi, &regs)
        })?;
    }
    Ok(count)
}

pub(super) fn exception_frames_of_cpus(kernel: &Kernel, hex: bool, out: &mut Output) -> Outcome {
    for cpu in kernel.online_cpus() {
        let task = kernel.current_task(cpu)?;
        let mut faults = Faults::default();
        let header = super::header(task, &mut faults);
        let mut shown = Vec::new();
        for stack in kernel.cpu_stacks(cpu) {
            // The second stack for #VC serves when it nests.
            let title = stack.kind.title();
            if shown.contains(&title) {
                continue;
            }
            shown.push(title);
            out.line(format_args!("CPU {cpu} {}:", title.to_uppercase()))?;
            if exception_frames(kernel, &header, &stack, hex, out)? == 0 {
                out.line("(none found)\n")?;
            }
        }
    }
    Ok(())
}

/// The word at the low end of every task's stack (include/uapi/linux/magic.h).
const STACK_END_MAGIC: u64 = 0x57ac_6e9d;

pub(super) fn check_overflow(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mut bad = 0;
    for task in kernel.tasks().tasks {
        let mut faults = Faults::default();
        let header = super::header(task, &mut faults);
        // A task that has exited gave its stack back.
        let Some(stack) = faults.keep(task.stack()).filter(|s| *s != 0) else {
            continue;
        };
        let value = faults.take("stack end", kernel.target().read_u64(stack));
        let below = below_stack(kernel, task, stack);
        if value == Some(STACK_END_MAGIC) && below.is_none() {
            continue;
        }
        bad += 1;
        let (sp, word) = (below.map(Hex), value.map(Hex));
        let row = OverflowRow { header, stack: Hex(stack), value: word, sp, faults };
        out.record(&row, |line| {
            writeln!(line, "{}", row.header)?;
            if let Some(sp) = below {
                writeln!(
                    line,
                    "  stack overflow: the stack pointer {sp:x} is {:#x} bytes below the stack at \
                     {stack:x}",
                    stack - sp
                )?;
                if value == Some(STACK_END_MAGIC) {
                    return Ok(());
                }
            }
            match value {
                Some(value) => writeln!(
                    line,
                    "  possible stack overflow: {stack:x}: {value:x} is not STACK_END_MAGIC"
                ),
                None => writeln!(line, "  the low end of the stack at {stack:x} cannot be read"),
            }
        })?;
    }
    if bad == 0 { out.line("No stack overflows detected") } else { Ok(()) }
}

/// The stack pointer of a task that ran into the guard page below its stack: there the word at the
/// low end stays whole. The processor saved it on the stack of the exception that followed.
fn below_stack(kernel: &Kernel, task: Task<'_>, stack: u64) -> Option<u64> {
    /// Words at the top of an exception's stack: SS, and SP below it.
    const SP_FROM_TOP: u64 = 16;
    let cpu = kernel.running_on(task)?;
    let guard = stack.saturating_sub(kernel.target().page_size())..stack;
    let saved = kernel.cpu_stacks(cpu).into_iter().filter_map(|exception| {
        kernel.target().read_u64(exception.end.checked_sub(SP_FROM_TOP)?).ok()
    });
    let own = kernel.cpu_regs(cpu).ok().and_then(|(regs, _)| regs.sp());
    saved.chain(own).find(|sp| guard.contains(sp))
}

impl From<std::fmt::Error> for CommandError {
    fn from(_: std::fmt::Error) -> Self {
        CommandError::failed("a row cannot be shown")
    }
}
