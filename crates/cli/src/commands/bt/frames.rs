//! A trace as a row: frames with their registers, or crash's text.

use std::fmt::Write;

use necropsy_diagnose::Case;
use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::{
    debug::{LogicalFrame, logical_frames},
    format::Style as ValueStyle,
    scope::Scope,
    unwind::{End, FoundBy, Frame, Trace},
};

use super::{Traced, registers};
use crate::rows::stacks::{FrameRow, Registers, TraceRow};
use crate::{
    Outcome,
    addresses::with_offset,
    locals,
    render::{FaultRow, Faults, Hex, Output},
    source::Source,
    tasks::Header,
};

/// What is shown of each frame's words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    None,
    Raw,
    Named,
    NamedWithAddress,
}

/// How offsets into functions are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Offsets {
    None,
    Decimal,
    Hexadecimal,
}

pub(super) struct Style {
    pub(super) words: Words,
    pub(super) offsets: Offsets,
    /// Offsets that stand without being asked for are hexadecimal.
    pub(super) hex: bool,
    pub(super) lines: bool,
    /// Without the frames by which the kernel left.
    pub(super) from_exception: bool,
    /// Arguments and variables, in this style.
    pub(super) variables: Option<ValueStyle>,
}

impl FrameRow {
    fn has_frame(&self) -> bool {
        !matches!(self.kind, "inlined" | "tail_call")
    }

    fn mark(&self) -> &'static str {
        match self.kind {
            "inlined" => " (inlined)",
            "tail_call" => " (tail call)",
            _ if self.found_by == FoundBy::Search.name() => " (found by search)",
            _ => "",
        }
    }
}

impl TraceRow {
    pub(super) fn new(kernel: &Kernel, task: Task<'_>, traced: Traced, style: &Style) -> TraceRow {
        let mut faults = Faults::default();
        let header = super::header(task, &mut faults);
        let failed = traced.is_err();
        let mut row = TraceRow::of(kernel, header, faults, traced, style);
        // What its stack still holds can be anything; those who want it ask for it.
        if failed
            && task.stack().is_ok_and(|stack| stack != 0)
            && let Some(ended) = row.ended.as_mut()
        {
            ended.push_str("; bt -T lists the text addresses on its stack");
        }
        row
    }

    pub(super) fn of(
        kernel: &Kernel,
        header: Header,
        faults: Faults,
        traced: Traced,
        style: &Style,
    ) -> TraceRow {
        let mut row = TraceRow {
            header,
            frames: Vec::new(),
            user_registers: None,
            complete: false,
            ended: None,
            faults,
            found: Vec::new(),
            user: None,
            stacks: Vec::new(),
        };
        let (trace, stacks) = match traced {
            Ok(traced) => traced,
            Err(error) => {
                if let Some(fault) = error.fault() {
                    row.faults.push("stack", fault);
                }
                row.ended = Some(error.to_string());
                return row;
            }
        };
        let all = trace.all();
        let first = if style.from_exception { first_exception(kernel, &trace) } else { 0 };
        row.frames = logical_frames(kernel.target(), &all)
            .iter()
            .filter(|at| at.on_stack >= first)
            .filter_map(|at| frame_row(kernel, at, &all, style))
            .collect();
        row.user_registers = trace.user.map(|(_, regs)| Registers(regs));
        row.complete = trace.end == End::Complete;
        if let Some(fault) = &trace.fault {
            let what = if row.complete { "what tells where the caller is" } else { "stack" };
            row.faults.push(what, fault);
        }
        if let Some(fault) = &trace.unread {
            row.faults.push("what tells what ran last", fault);
        }
        // A name that the dump lacks is not one that there never was.
        let target = kernel.target();
        let doubtful = !row.complete || row.frames.iter().any(|frame| frame.function.is_none());
        if let Some(fault) = target.symbols_fault().filter(|_| doubtful) {
            row.faults.push("part of the symbol table", &fault);
        }
        if let Some(fault) = target.types_fault().filter(|_| doubtful) {
            row.faults.push("part of the types", &fault);
        }
        if let Some(error) = kernel.modules().1.filter(|_| doubtful) {
            row.faults.keep_as::<()>("modules", Err(error.clone()));
        }
        row.ended = match trace.end {
            End::Complete => None,
            End::Fault(fault) => Some(format!("nothing says how to go on: {fault}")),
            End::Lost => Some("no unwind information and no return address further up".into()),
            End::TooDeep => Some("more frames than a stack holds".into()),
        };
        row.found = all;
        row.user = trace.user;
        row.stacks = stacks;
        row
    }

    /// Whether the trace holds a symbol by that name, or a word of its stack is that value.
    pub(super) fn mentions(&self, kernel: &Kernel, text: &str) -> bool {
        let value = crate::numbers::parse_hex(text);
        self.frames.iter().any(|f| f.function.as_deref() == Some(text))
            || value.is_some_and(|value| {
                self.found.iter().any(|f| f.pc == value || f.regs.iter().any(|(_, v)| v == value))
                    || self.words(kernel).any(|(_, word)| word == Some(value))
            })
    }

    fn words<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = (u64, Option<u64>)> + 'a {
        let first = self.found.first().map_or(0, |f| f.sp);
        let end =
            self.stacks.iter().find(|s| (s.start..s.end).contains(&first)).map_or(first, |s| s.end);
        (first..end).step_by(8).map(|at| (at, kernel.target().read_u64(at).ok()))
    }

    pub(super) fn show(
        &self,
        kernel: &Kernel,
        style: &Style,
        source: &Source,
        out: &mut Output,
    ) -> Outcome {
        out.record(self, |line| self.write(kernel, style, source, line))
    }

    fn write(
        &self,
        kernel: &Kernel,
        style: &Style,
        source: &Source,
        line: &mut dyn Write,
    ) -> std::fmt::Result {
        writeln!(line, "{}", self.header)?;
        let mut previous: Option<&Frame> = None;
        for (row, frame) in
            self.frames.iter().filter_map(|r| Some((r, self.found.get(r.on_stack)?)))
        {
            let first = previous.is_none_or(|before| !std::ptr::eq(before, frame));
            if frame.saved_regs && first {
                write_exception(line, kernel, frame, style.hex)?;
            }
            if let Some(before) = previous
                && before.stack != frame.stack
                && let Some(stack) = before.stack
            {
                writeln!(line, "--- <{}> ---", stack.title())?;
            }
            let index = match row.inline {
                Some(inline) => format!("#{}.{inline}", row.index),
                None => format!("#{}", row.index),
            };
            let mark = if frame.found_by == FoundBy::Scan { "? " } else { "" };
            write!(line, "{index:>3} [{:016x}] {mark}", row.sp.0)?;
            match &row.function {
                Some(function) => write!(line, "{function}")?,
                None => write!(line, "(unknown)")?,
            }
            if let (Some(_), Some(offset)) = (&row.function, row.offset) {
                match style.offsets {
                    Offsets::None => {}
                    Offsets::Decimal => write!(line, "+{offset}")?,
                    Offsets::Hexadecimal => write!(line, "+{offset:#x}")?,
                }
            }
            write!(line, " at {:016x}", row.pc.0)?;
            if let Some(module) = &row.module {
                let patch = if is_livepatch(kernel, module) { " (live patch)" } else { "" };
                write!(line, " [{module}]{patch}")?;
            }
            writeln!(line, "{}", row.mark())?;
            if style.lines
                && let (Some(file), Some(number)) = (&row.file, row.line)
            {
                writeln!(line, "    {file}: {number}")?;
                if let Some(text) = source.line(file, number) {
                    writeln!(line, "    {number}\t{text}")?;
                }
            }
            for variable in row.variables.iter().flatten() {
                variable.write(line)?;
            }
            if style.words != Words::None && row.has_frame() {
                let next = self.found.get(row.on_stack + 1).map(|f| f.slot);
                self.write_words(kernel, style, frame, next, line)?;
            }
            previous = Some(frame);
        }
        if let Some((_, regs)) = &self.user {
            registers::write(line, kernel.target().abi(), regs)?;
        }
        match &self.ended {
            Some(reason) if self.found.is_empty() && self.user.is_none() => {
                writeln!(line, "    (no trace: {reason})")
            }
            Some(reason) => writeln!(line, "    (trace ends: {reason})"),
            None => Ok(()),
        }?;
        // What ended the trace has been said.
        for FaultRow { what, address, reason } in self.faults.iter().filter(|f| f.what != "stack") {
            writeln!(
                line,
                "    (not all is known: {what} at {:x}: {})",
                address.0,
                reason.replace('_', " ")
            )?;
        }
        Ok(())
    }

    /// The words from a frame up to the slot of the next; of the last frame, to the top.
    fn write_words(
        &self,
        kernel: &Kernel,
        style: &Style,
        frame: &Frame,
        next: Option<u64>,
        line: &mut dyn Write,
    ) -> std::fmt::Result {
        let Some(stack) = self.stacks.iter().find(|s| (s.start..s.end).contains(&frame.sp)) else {
            return Ok(());
        };
        let end = match next {
            Some(slot) if (stack.start..stack.end).contains(&slot) => slot.saturating_add(8),
            _ => self.user.map_or(stack.end, |(at, _)| at.clamp(frame.sp, stack.end)),
        };
        let words: Vec<(u64, Result<u64, necropsy_dump::Fault>)> =
            (frame.sp..end).step_by(8).map(|at| (at, kernel.target().read_u64(at))).collect();
        for pair in words.chunks(2) {
            write!(line, "    {:016x}: ", pair[0].0)?;
            for (_, word) in pair {
                match word {
                    Ok(word) => write!(line, "{} ", name_word(kernel, style, *word))?,
                    Err(fault) => write!(line, "({}) ", fault.reason.name())?,
                }
            }
            writeln!(line)?;
        }
        Ok(())
    }
}

/// A word of the stack: a symbol, an object of a slab cache, or its digits.
fn name_word(kernel: &Kernel, style: &Style, word: u64) -> String {
    let plain = format!("{word:016x}");
    let words = style.words;
    if words == Words::Raw {
        return plain;
    }
    if let Some((name, offset)) = Scope::symbolize(kernel, word) {
        let text = with_offset(&name, offset, style.hex);
        return format!("{text:<16}");
    }
    match kernel.slab_cache_of(word) {
        Ok(Some(cache)) if words == Words::NamedWithAddress => format!("[{word:x}:{cache}]"),
        Ok(Some(cache)) => format!("{:<16}", format!("[{cache}]")),
        _ => plain,
    }
}

fn is_livepatch(kernel: &Kernel, name: &str) -> bool {
    kernel.modules().0.iter().any(|module| module.name == name && module.is_livepatch())
}

/// The number of the frame that an exception interrupted; where none did, of the first whose registers
/// are known.
fn first_exception(kernel: &Kernel, trace: &Trace) -> usize {
    let index = Case::exception_in(kernel, trace).unwrap_or(0);
    trace.number(index)
}

fn frame_row(
    kernel: &Kernel,
    at: &LogicalFrame,
    frames: &[Frame],
    style: &Style,
) -> Option<FrameRow> {
    let frame = frames.get(at.on_stack)?;
    // What jumped shares the return address of the function that it jumped to.
    let (pc, slot) = match at.jumped {
        Some(behind) => (behind, frames.get(at.on_stack + 1)?.slot),
        None => (frame.pc, frame.slot),
    };
    let inside = if at.jumped.is_some() { pc.wrapping_sub(1) } else { frame.lookup_pc() };
    let located = kernel.target().locate(inside);
    let source = at.source.as_ref();
    let function = match source {
        Some(source) if at.inlined => source.function.clone(),
        _ => located.map(|l| l.symbol.name.to_owned()),
    };
    let variables = style.variables.as_ref().filter(|_| source.is_some()).map(|values| {
        let found = locals::variables(kernel, frames, at);
        locals::rows(kernel, &found, values)
    });
    let kind = match (at.inlined, at.jumped, frame) {
        (true, ..) => "inlined",
        (_, Some(_), _) => "tail_call",
        (.., Frame { saved_regs: true, .. }) => "exception",
        (.., Frame { interrupted: true, .. }) => "interrupted",
        _ => "call",
    };
    Some(FrameRow {
        index: at.number.index,
        inline: (at.number.inline > 0).then_some(at.number.inline),
        kind,
        stack: frame.stack.map(|s| s.name()),
        sp: Hex(slot),
        pc: Hex(pc),
        function,
        // There is nothing that an inlined function would begin at.
        offset: located.filter(|_| !at.inlined).map(|l| pc.wrapping_sub(l.symbol.address)),
        module: located.and_then(|l| l.module().map(str::to_owned)),
        inlined: at.inlined,
        found_by: if at.jumped.is_some() { "tail_call" } else { frame.found_by.name() },
        file: source.and_then(|source| source.file.clone()),
        line: source.and_then(|source| source.line),
        registers: (kind == "exception").then_some(Registers(frame.regs)),
        variables,
        on_stack: at.on_stack,
    })
}

fn write_exception(
    line: &mut dyn Write,
    kernel: &Kernel,
    frame: &Frame,
    hex: bool,
) -> std::fmt::Result {
    let abi = kernel.target().abi();
    let pc = registers::program_counter(abi);
    match kernel.target().locate(frame.lookup_pc()) {
        Some(located) => {
            let offset = frame.pc.wrapping_sub(located.symbol.address);
            let place = with_offset(located.symbol.name, offset, hex);
            writeln!(line, "    [exception {pc}: {place}]")?;
        }
        None => writeln!(line, "    [exception {pc}: unknown or invalid address]")?,
    }
    registers::write(line, abi, &frame.regs)
}
