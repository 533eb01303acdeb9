//! A page for a person: the first cause first, the consequences folded.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::report::{Frame, Register, Report, Stack};

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
        let _ = write!(text, "  at {}", moment(time));
    }
    if report.corrupted {
        text.push_str("  (damaged)");
    }
    text
}

/// A time since boot, or a date where the channel only had that: no machine runs for decades.
fn moment(time: f64) -> String {
    const DECADES: f64 = 600_000_000.0;
    if time < DECADES {
        return format!("{time:.6} s");
    }
    let seconds = time as u64;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // the proleptic Gregorian calendar, its years begun in March
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
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
    for hint in &report.hints {
        writeln!(out, "  {hint}")?;
    }
    scene(out, report, show)?;
    said(out, report, show)?;
    trace(out, report, show)?;
    for stack in &report.stacks {
        other_stack(out, stack, show)?;
    }
    events(out, report, show)?;
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
        write!(when, ", {}", moment(time))?;
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
    if let Some(system) = report.system {
        field(out, "system", system, show)?;
    }
    if let Some(place) = &report.source_line {
        field(out, "source", &format!("{}:{}", place.file, place.line), show)?;
    }
    if let Some(address) = &report.address {
        let access = match report.access {
            Some(access) => {
                let size = access.size.map_or(String::new(), |size| format!(" of {size} bytes"));
                format!(" ({}{size})", access.kind)
            }
            None => String::new(),
        };
        let meaning = match address.meaning.as_str() {
            "" => String::new(),
            meaning => format!(": {meaning}"),
        };
        field(out, "address", &format!("{:#x}{access}{meaning}", address.value), show)?;
    }
    if let Some(object) = &report.object {
        let mut words = Vec::new();
        if let Some(address) = object.address {
            words.push(format!("at {address:#x}"));
        }
        if let Some(size) = object.size {
            words.push(format!("{size} bytes"));
        }
        if let Some(cache) = &object.cache {
            words.push(format!("cache {cache}"));
        }
        words.extend(object.state.map(str::to_owned));
        if let Some(place) = &object.place {
            words.push(format!("access {place} it").replace(" of it", " it"));
        }
        field(out, "object", &words.join(", "), show)?;
    }
    for pointer in &report.pointers {
        let value =
            |value: Option<u64>| value.map_or("?".to_owned(), |value| format!("{value:#x}"));
        let mut text = pointer.what.clone();
        if pointer.expected.is_some() {
            write!(text, " should be {}", value(pointer.expected))?;
        }
        if pointer.found.is_some() {
            write!(text, " is {}", value(pointer.found))?;
        }
        if !pointer.meaning.is_empty() {
            write!(text, ": {}", pointer.meaning)?;
        }
        field(out, "pointer", &text, show)?;
    }
    stall(out, report, show)?;
    if let Some(victim) = &report.victim {
        let anon = victim.anon_kib.map_or(String::new(), |kib| format!(", {kib} KiB anonymous"));
        field(out, "killed", &format!("{} (pid {}){anon}", victim.comm, victim.pid), show)?;
    }
    for check in &report.machine_checks {
        let mut text = String::new();
        if let Some(cpu) = check.cpu {
            write!(text, "CPU {cpu}, ")?;
        }
        if let Some(bank) = check.bank {
            write!(text, "bank {bank}, ")?;
        }
        if let Some(status) = check.status {
            write!(text, "status {status:#x}: ")?;
        }
        let meaning = if check.meaning.is_empty() { check.severity } else { &check.meaning };
        write!(text, "{meaning}")?;
        if let Some(address) = check.address {
            write!(text, ", address {address:#x}")?;
        }
        field(out, "check", &text, show)?;
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

fn stall(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let Some(stall) = &report.stall else { return Ok(()) };
    let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let mut words = Vec::new();
    if !stall.cpus.is_empty() {
        let name = if stall.cpus.len() == 1 { "CPU" } else { "CPUs" };
        words.push(format!("{name} {}", list(&stall.cpus)));
    }
    if !stall.tasks.is_empty() {
        words.push(format!("tasks {}", list(&stall.tasks)));
    }
    if let Some(seconds) = stall.seconds {
        words.push(format!("for {seconds} s"));
    }
    if let Some(jiffies) = stall.jiffies {
        words.push(format!("for {jiffies} jiffies"));
    }
    if let Some(cpu) = stall.seen_by {
        words.push(format!("noticed by CPU {cpu}"));
    }
    field(out, "stalled", &words.join(", "), show)
}

/// The kernel's own sentences, those first that the title does not tell already.
fn said(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    if report.said.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", painted("the kernel said", HEAD, show))?;
    report.said.iter().try_for_each(|line| writeln!(out, "    {line}"))
}

fn other_stack(out: &mut String, stack: &Stack, show: Show) -> fmt::Result {
    let by = stack.pid.map_or(String::new(), |pid| format!(" by task {pid}"));
    writeln!(out, "\n{}", painted(&format!("{}{by}", stack.what), HEAD, show))?;
    frames(out, None, &stack.frames, show)
}

/// Events shown; the rest with `--all`.
const EVENTS: usize = 12;

fn events(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    if report.events.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", painted("last events of the tracer", HEAD, show))?;
    let from = if show.all { 0 } else { report.events.len().saturating_sub(EVENTS) };
    for event in &report.events[from..] {
        out.push_str("  ");
        if let Some(time) = event.time_us {
            write!(out, "{time:>14} us ")?;
        }
        if let Some(cpu) = event.cpu {
            write!(out, " CPU {cpu:<3}")?;
        }
        if let Some(task) = &event.task {
            write!(out, " {task:<20}")?;
        }
        writeln!(out, " {}", event.text)?;
    }
    Ok(())
}

fn trace(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    if report.trace.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", painted("call trace", HEAD, show))?;
    frames(out, report.frame.as_deref(), &report.trace, show)
}

fn frames(out: &mut String, guilty: Option<&str>, trace: &[Frame], show: Show) -> fmt::Result {
    let shown: Vec<&Frame> = trace.iter().filter(|frame| show.all || frame.reliable).collect();
    // an unwinder that vouches for nothing leaves only its guesses
    let shown: Vec<&Frame> = if shown.is_empty() { trace.iter().collect() } else { shown };
    let mut stack = "";
    let mut blamed = false;
    for frame in shown {
        if frame.stack != stack {
            stack = frame.stack;
            if stack != "task" || trace.iter().any(|frame| frame.stack != "task") {
                writeln!(out, "  {}", painted(&format!("<{stack} stack>"), DIM, show))?;
            }
        }
        let base = frame.function.split('.').next().unwrap_or(&frame.function);
        let blame = !blamed && guilty == Some(base);
        blamed |= blame;
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
        let text = if blame { painted(&text, BLAME, show) } else { text };
        let mark = match (blame, frame.reliable, frame.inlined) {
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
        let mark = match (line.trapping, line.doubtful) {
            (true, _) => ">",
            (_, true) => "?",
            _ => " ",
        };
        let text = format!("{:x}:  {:<24} {}", line.address, line.bytes, line.text);
        let text = if line.trapping { painted(&text, TRAP, show) } else { text };
        writeln!(out, "  {mark} {}", text.trim_end())?;
    }
    Ok(())
}

fn registers(out: &mut String, report: &Report, show: Show) -> fmt::Result {
    let narrow = report.registers.iter().all(|register| register.value <= u32::MAX.into());
    let digits = if narrow { 8 } else { 16 };
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
