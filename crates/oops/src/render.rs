//! A page for a person: the first cause first, the consequences folded.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::report::{Arch, Frame, Register, Report};

const TITLE: Style = AnsiColor::Red.on_default().bold();
const HEAD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const TRAP: Style = AnsiColor::Yellow.on_default().bold();
const BLAME: Style = AnsiColor::Red.on_default();

/// How to show a page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Show {
    /// With colours.
    pub colour: bool,
    /// Every report in full, every register and unreliable frame.
    pub all: bool,
}

/// A page of all reports: the first in full, what followed from it in a line
/// each.
pub fn page(reports: &[Report], show: Show) -> String {
    let mut page = Page::new(show);
    reports.iter().map(|report| page.add(report)).collect()
}

/// A page that grows report by report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    show: Show,
    begun: bool,
    folding: bool,
}

impl Page {
    /// An empty page.
    pub fn new(show: Show) -> Page {
        Page { show, ..Page::default() }
    }

    /// What the page grows by.
    pub fn add(&mut self, report: &Report) -> String {
        let mut out = String::new();
        // writing to a String cannot fail
        let _ = self.write(report, &mut out);
        out
    }

    fn write(&mut self, report: &Report, out: &mut String) -> fmt::Result {
        let whole = report.first || self.show.all || !self.begun;
        if std::mem::replace(&mut self.begun, true) && (whole || !self.folding) {
            out.push('\n');
        }
        if whole {
            self.folding = false;
            return full(out, report, self.show);
        }
        if !std::mem::replace(&mut self.folding, true) {
            writeln!(out, "{}", painted("what followed", HEAD, self.show))?;
        }
        writeln!(out, "  {:>6}  {}", format!("L{}", report.start_line), line(report))
    }
}

/// One report in one line.
pub fn line(report: &Report) -> String {
    let mut text = report.title.clone();
    if let Some(time) = report.time {
        let _ = write!(text, "  at {time:.6}");
    }
    if report.corrupted {
        text.push_str("  (damaged)");
    }
    text
}

fn painted(text: &str, style: Style, show: Show) -> String {
    if show.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn full(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    writeln!(out, "{}", painted(&report.title, TITLE, show))?;
    if let Some(cause) = &report.cause {
        writeln!(out, "  {cause}")?;
    }
    if let Some(why) = report.corrupted_why {
        writeln!(out, "  damaged: {why}")?;
    }
    scene(out, report, show)?;
    trace(out, report, show)?;
    code(out, report, show)?;
    registers(out, report, show)?;
    user(out, report, show)?;
    modules(out, report, show)
}

fn field(out: &mut String, name: &str, value: &str, show: Show) -> fmt::Result {
    writeln!(out, "{} {value}", painted(&format!("{name:>10}"), DIM, show))
}

fn scene(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    out.push('\n');
    let mut when = format!("lines {} to {}", report.start_line, report.end_line);
    if let Some(time) = report.time {
        write!(when, ", {time:.6} s")?;
    }
    field(out, "where", &when, show)?;
    let mut who = Vec::new();
    if let Some(cpu) = report.cpu {
        who.push(format!("CPU {cpu}"));
    }
    match (&report.comm, report.pid) {
        (Some(comm), Some(pid)) => who.push(format!("{comm} (pid {pid})")),
        (Some(comm), None) => who.push(comm.clone()),
        (None, Some(pid)) => who.push(format!("pid {pid}")),
        (None, None) => {}
    }
    if let Some(work) = &report.workqueue {
        who.push(format!("work {work}"));
    }
    if !who.is_empty() {
        field(out, "who", &who.join(", "), show)?;
    }
    if let Some(release) = &report.release {
        field(out, "kernel", release, show)?;
    }
    if let Some(hardware) = &report.hardware {
        field(out, "hardware", hardware, show)?;
    }
    if let Some(address) = &report.address {
        field(out, "address", &format!("{:#x}: {}", address.value, address.meaning), show)?;
    }
    if let Some(code) = &report.error_code {
        field(out, "error", &format!("{:#06x}: {}", code.value, code.meaning), show)?;
    }
    for (index, taint) in report.taint.iter().enumerate() {
        let name = if index == 0 { "taint" } else { "" };
        field(out, name, &format!("{}: {}", taint.letter, taint.meaning), show)?;
    }
    Ok(())
}

fn trace(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let shown: Vec<&Frame> =
        report.trace.iter().filter(|frame| show.all || frame.reliable).collect();
    // an unwinder that vouches for nothing leaves only its guesses
    let shown: Vec<&Frame> = if shown.is_empty() { report.trace.iter().collect() } else { shown };
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", painted("call trace", HEAD, show))?;
    let mut stack = "";
    let mut blamed = false;
    for frame in shown {
        if frame.stack != stack {
            stack = frame.stack;
            if stack != "task" || report.trace.iter().any(|frame| frame.stack != "task") {
                writeln!(out, "  {}", painted(&format!("<{stack} stack>"), DIM, show))?;
            }
        }
        let base = frame.function.split('.').next().unwrap_or(&frame.function);
        let guilty = !blamed && report.frame.as_deref() == Some(base);
        blamed |= guilty;
        let mut text = if frame.function.is_empty() {
            format!("{:#x}", frame.address.unwrap_or(0))
        } else {
            frame.function.clone()
        };
        if let Some(offset) = frame.offset {
            write!(text, "+{offset:#x}")?;
        }
        if let Some(module) = &frame.module {
            write!(text, " [{module}]")?;
        }
        let text = if guilty { painted(&text, BLAME, show) } else { text };
        let mark = match (guilty, frame.reliable, frame.inlined) {
            (true, ..) => ">",
            (_, false, _) => "?",
            (.., true) => "·",
            _ => " ",
        };
        write!(out, "  {mark} {text}")?;
        if let (Some(file), Some(line)) = (&frame.file, frame.line) {
            write!(out, "  {}", painted(&format!("{file}:{line}"), DIM, show))?;
        }
        out.push('\n');
    }
    Ok(())
}

/// Instructions shown before and after the trap.
const AROUND: usize = 8;

fn code(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let Some(trap) = report.code.iter().position(|line| line.trapping) else {
        return Ok(());
    };
    writeln!(out, "\n{}", painted("code", HEAD, show))?;
    let from = if show.all { 0 } else { trap.saturating_sub(AROUND) };
    let to = if show.all { report.code.len() } else { report.code.len().min(trap + AROUND / 2) };
    for line in &report.code[from..to] {
        let mark = if line.trapping { ">" } else { " " };
        let text = format!("{:x}:  {:<24} {}", line.address, line.bytes, line.text);
        let text = if line.trapping { painted(&text, TRAP, show) } else { text };
        writeln!(out, "  {mark} {}", text.trim_end())?;
    }
    Ok(())
}

fn registers(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let digits = match report.arch {
        Some(Arch::I386 | Arch::Arm) => 8,
        _ => 16,
    };
    let told = |register: &&Register| show.all || !register.meaning.is_empty();
    if !report.registers.iter().any(|register| told(&register)) {
        return Ok(());
    }
    writeln!(out, "\n{}", painted("registers", HEAD, show))?;
    for register in report.registers.iter().filter(told) {
        let argument =
            register.argument.map_or(String::new(), |number| format!("  (argument {number})"));
        writeln!(
            out,
            "  {:>14} {:0digits$x}  {}{}",
            register.name,
            register.value,
            register.meaning,
            painted(&argument, DIM, show),
        )?;
    }
    Ok(())
}

fn user(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let Some(user) = &report.user else {
        return Ok(());
    };
    let Some(number) = user.syscall else {
        return Ok(());
    };
    writeln!(out, "\n{}", painted("user space", HEAD, show))?;
    writeln!(out, "  in system call {number} ({})", user.name.unwrap_or("unknown"))
}

fn modules(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let odd: Vec<String> = report
        .modules
        .iter()
        .filter(|module| show.all || !module.flags.is_empty())
        .map(|module| match module.meaning.as_slice() {
            [] => module.name.clone(),
            meaning => format!("{} ({})", module.name, meaning.join(", ")),
        })
        .collect();
    if odd.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", painted("modules to look at", HEAD, show))?;
    for module in odd {
        writeln!(out, "  {module}")?;
    }
    Ok(())
}
