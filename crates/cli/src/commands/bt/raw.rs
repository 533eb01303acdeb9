//! Stacks without an unwinder: raw words, text addresses, exception frames, overflow.

use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{Reg, Regs, regs::PT_REGS_SIZE, unwind::Stack};
use serde::Serialize;

use super::registers;
use crate::{
    CommandError, Outcome,
    render::{Faults, Hex, Output},
    tasks::Header,
};

#[derive(Serialize)]
struct WordRow {
    #[serde(flatten)]
    header: Header,
    address: Hex,
    value: Option<Hex>,
    symbol: Option<String>,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
}

#[derive(Serialize)]
struct ExceptionRow {
    #[serde(flatten)]
    header: Header,
    address: Hex,
    user: bool,
    registers: registers::Row,
}

/// `bt -r`, `-t`, `-T`, `-e` of one task.
pub(super) fn show(
    kernel: &Kernel,
    task: Task<'_>,
    flag: &str,
    gap: bool,
    out: &mut Output,
) -> Outcome {
    if gap {
        out.line("")?;
    }
    let mut faults = Faults::default();
    let header = super::header(task, &mut faults);
    out.line(&header)?;
    let stack = task.own_stack()?;
    match flag {
        "-r" => words(kernel, &header, &stack, out),
        "-e" => exception_frames(kernel, &header, &stack, out),
        _ => text_addresses(kernel, task, &header, &stack, flag == "-T", out),
    }
}

fn words(kernel: &Kernel, header: &Header, stack: &Stack, out: &mut Output) -> Outcome {
    let name = |word: u64| match kernel.target().locate(word) {
        Some(found) if found.offset == 0 => found.symbol.name.to_owned(),
        Some(found) => format!("{}+{}", found.symbol.name, found.offset),
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
        if out.is_json() {
            for at in [pair, pair + 8] {
                let mut faults = Faults::default();
                let value = faults.take("stack", kernel.target().read_u64(at)).map(Hex);
                let symbol =
                    value.filter(|v| kernel.target().locate(v.0).is_some()).map(|v| name(v.0));
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
    let from = match &start {
        Some(start) if !whole => start
            .slot
            .or(start.regs.get(Reg::Rsp))
            .filter(|at| (stack.start..stack.end).contains(at))
            .unwrap_or(stack.start),
        _ => stack.start,
    };
    if let Some(pc) = start.and_then(|s| s.regs.get(Reg::Rip)).filter(|_| !whole) {
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
            registers: registers::Row(regs),
        };
        out.record(&row, |line| registers::write(line, &regs))?;
    }
    Ok(())
}

/// Every place on a stack where the words look like saved registers.
fn search(kernel: &Kernel, stack: &Stack) -> Vec<(u64, Regs)> {
    let mut found = Vec::new();
    for at in (stack.start..stack.end.saturating_sub(PT_REGS_SIZE - 8)).step_by(8) {
        let Ok(bytes) = kernel.target().read_array::<{ PT_REGS_SIZE as usize }>(at) else {
            continue;
        };
        let Some(regs) = Regs::from_pt_regs(&bytes).filter(Regs::plausible) else { continue };
        let (Some(rip), Some(rsp), Some(ss)) =
            (regs.get(Reg::Rip), regs.get(Reg::Rsp), regs.get(Reg::Ss))
        else {
            continue;
        };
        let sound = if regs.user_mode() {
            rip < 1 << 56 && rsp < 1 << 56 && ss == 0x2b
        } else {
            kernel.target().is_text(rip) && rsp > 1 << 63 && matches!(ss, 0 | 0x18)
        };
        if sound {
            found.push((at, regs));
        }
    }
    found
}

fn exception_frames(kernel: &Kernel, header: &Header, stack: &Stack, out: &mut Output) -> Outcome {
    for (at, regs) in search(kernel, stack) {
        let row = ExceptionRow {
            header: header.clone(),
            address: Hex(at),
            user: regs.user_mode(),
            registers: registers::Row(regs),
        };
        out.record(&row, |line| {
            let mode = if regs.user_mode() { "USER-MODE" } else { "KERNEL-MODE" };
            writeln!(line, "\n  {mode} EXCEPTION FRAME AT: {at:x}")?;
            if let Some(found) = regs.get(Reg::Rip).and_then(|pc| kernel.target().locate(pc)) {
                writeln!(line, "    [exception RIP: {}+{}]", found.symbol.name, found.offset)?;
            }
            registers::write(line, &regs)
        })?;
    }
    Ok(())
}

pub(super) fn exception_frames_of_cpus(kernel: &Kernel, out: &mut Output) -> Outcome {
    for cpu in kernel.online_cpus() {
        let task = kernel.current_task(cpu)?;
        let mut faults = Faults::default();
        let header = super::header(task, &mut faults);
        for stack in kernel.cpu_stacks(cpu) {
            out.line(format_args!("CPU {cpu} {}:", stack.kind.title()))?;
            exception_frames(kernel, &header, &stack, out)?;
        }
    }
    Ok(())
}

/// The word at the low end of every task's stack (include/uapi/linux/magic.h).
const STACK_END_MAGIC: u64 = 0x57ac_6e9d;

pub(super) fn check_overflow(kernel: &Kernel, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct Row {
        #[serde(flatten)]
        header: Header,
        stack: Hex,
        value: Option<Hex>,
        #[serde(skip_serializing_if = "Faults::is_empty")]
        faults: Faults,
    }
    let mut bad = 0;
    for task in kernel.tasks().tasks {
        let mut faults = Faults::default();
        let header = super::header(task, &mut faults);
        // A task that has exited gave its stack back.
        let Some(stack) = faults.keep("task_struct.stack", task.stack()).filter(|s| *s != 0) else {
            continue;
        };
        let value = faults.take("stack end", kernel.target().read_u64(stack));
        if value == Some(STACK_END_MAGIC) {
            continue;
        }
        bad += 1;
        let row = Row { header, stack: Hex(stack), value: value.map(Hex), faults };
        out.record(&row, |line| {
            writeln!(line, "{}", row.header)?;
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

impl From<std::fmt::Error> for CommandError {
    fn from(_: std::fmt::Error) -> Self {
        CommandError::failed("a row cannot be shown")
    }
}
