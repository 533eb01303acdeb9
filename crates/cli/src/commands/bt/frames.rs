//! A trace as a row: frames with their registers, or crash's text.

use std::fmt::Write;

use necropsy_linux::{Error, Kernel, task::Task};
use necropsy_target::{
    Regs,
    format::Style as ValueStyle,
    scope::Scope,
    unwind::{End, FoundBy, Frame, Stack},
};
use serde::Serialize;

use super::{Traced, registers};
use crate::{
    Outcome,
    frames::{self, Numbered},
    locals,
    render::{Faults, Hex, Output},
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
    pub(super) lines: bool,
    /// Arguments and variables, in this style.
    pub(super) variables: Option<ValueStyle>,
}

/// One frame in JSON.
#[derive(Serialize)]
struct FrameRow {
    index: usize,
    kind: &'static str,
    stack: Option<&'static str>,
    sp: Hex,
    pc: Hex,
    function: Option<String>,
    offset: Option<u64>,
    module: Option<String>,
    inlined: bool,
    found_by: &'static str,
    file: Option<String>,
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registers: Option<registers::Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Vec<locals::Row>>,
    /// Its frame on the stack.
    #[serde(skip)]
    physical: usize,
}

impl FrameRow {
    fn has_frame(&self) -> bool {
        !matches!(self.kind, "inlined" | "tail_call")
    }

    fn mark(&self) -> &'static str {
        match self.kind {
            "inlined" => " (inlined)",
            "tail_call" => " (tail call)",
            _ => "",
        }
    }
}

/// A task's trace.
#[derive(Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    header: Header,
    frames: Vec<FrameRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_registers: Option<registers::Row>,
    complete: bool,
    /// Why the trace ends where it does, when it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    faults: Faults,
    #[serde(skip)]
    found: Vec<Frame>,
    #[serde(skip)]
    user: Option<(u64, Regs)>,
    #[serde(skip)]
    stacks: Vec<Stack>,
}

impl Row {
    pub(super) fn new(kernel: &Kernel, task: Task<'_>, traced: Traced, style: &Style) -> Row {
        let mut faults = Faults::default();
        let header = super::header(task, &mut faults);
        let mut row = Row {
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
                if let Error::Fault(fault) = &error {
                    row.faults.push("stack", fault);
                }
                // What its stack still holds can be anything; those who want it ask for it.
                let there = task.stack().is_ok_and(|stack| stack != 0);
                let hint = if there { "; bt -T lists the text addresses on its stack" } else { "" };
                row.ended = Some(format!("{error}{hint}"));
                return row;
            }
        };
        row.frames = frames::numbered(kernel, &trace.frames)
            .iter()
            .enumerate()
            .filter_map(|(index, at)| frame_row(kernel, index, at, &trace.frames, style))
            .collect();
        row.user_registers = trace.user.map(|(_, regs)| registers::Row(regs));
        row.complete = trace.end == End::Complete;
        row.ended = match trace.end {
            End::Complete => None,
            End::Fault(fault) => {
                row.faults.push("stack", &fault);
                Some(format!("the stack cannot be read further: {fault}"))
            }
            End::Lost => Some("no unwind information and no return address further up".into()),
            End::Backwards => Some("the stack pointer goes backwards".into()),
            End::TooDeep => Some("more frames than a stack holds".into()),
        };
        row.found = trace.frames;
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
            self.frames.iter().filter_map(|r| Some((r, self.found.get(r.physical)?)))
        {
            let first = previous.is_none_or(|before| !std::ptr::eq(before, frame));
            if frame.saved_regs && first {
                write_exception(line, kernel, frame)?;
            }
            if let Some(before) = previous
                && before.stack != frame.stack
                && let Some(stack) = before.stack
            {
                writeln!(line, "--- <{}> ---", stack.title())?;
            }
            let index = format!("#{}", row.index);
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
                write!(line, " [{module}]")?;
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
                let next = self.found.get(row.physical + 1).map(|f| f.slot);
                self.write_words(kernel, style, frame, next, line)?;
            }
            previous = Some(frame);
        }
        if let Some((_, regs)) = &self.user {
            registers::write(line, regs)?;
        }
        match &self.ended {
            Some(reason) if self.found.is_empty() && self.user.is_none() => {
                writeln!(line, "    (no trace: {reason})")
            }
            Some(reason) => writeln!(line, "    (trace ends: {reason})"),
            None => Ok(()),
        }
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
                    Ok(word) => write!(line, "{} ", name_word(kernel, style.words, *word))?,
                    Err(fault) => write!(line, "({}) ", fault.reason.name())?,
                }
            }
            writeln!(line)?;
        }
        Ok(())
    }
}

/// A word of the stack: a symbol, an object of a slab cache, or its digits.
fn name_word(kernel: &Kernel, words: Words, word: u64) -> String {
    let plain = format!("{word:016x}");
    if words == Words::Raw {
        return plain;
    }
    if let Some((name, offset)) = Scope::symbolize(kernel, word) {
        let text = if offset == 0 { name } else { format!("{name}+{offset}") };
        return format!("{text:<16}");
    }
    match kernel.slab_cache_of(word) {
        Ok(Some(cache)) if words == Words::NamedWithAddress => format!("[{word:x}:{cache}]"),
        Ok(Some(cache)) => format!("{:<16}", format!("[{cache}]")),
        _ => plain,
    }
}

fn frame_row(
    kernel: &Kernel,
    index: usize,
    at: &Numbered,
    frames: &[Frame],
    style: &Style,
) -> Option<FrameRow> {
    let frame = frames.get(at.physical)?;
    // What jumped shares the return address of the function that it jumped to.
    let (pc, slot) = match at.jumped {
        Some(behind) => (behind, frames.get(at.physical + 1)?.slot),
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
        index,
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
        registers: (kind == "exception").then_some(registers::Row(frame.regs)),
        variables,
        physical: at.physical,
    })
}

fn write_exception(line: &mut dyn Write, kernel: &Kernel, frame: &Frame) -> std::fmt::Result {
    match kernel.target().locate(frame.lookup_pc()) {
        Some(located) => {
            let offset = frame.pc.wrapping_sub(located.symbol.address);
            writeln!(line, "    [exception RIP: {}+{offset}]", located.symbol.name)?;
        }
        None => writeln!(line, "    [exception RIP: unknown or invalid address]")?,
    }
    registers::write(line, &frame.regs)
}
