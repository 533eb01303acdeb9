use std::fmt::Write;

use necropsy_linux::{Error, Kernel, printk::Record};

use crate::rows::log::{AuditRow, BufferRow, MessageRow, UnflushedRow};
use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    parsed::Parsed,
    problems::log_damage,
    render::{Hex, Output},
    session::Session,
    wall,
};

const NO_TIMES: Opt = Opt::flag("-t", "no times");
const WALL_TIMES: Opt = Opt::flag("-T", "times of the clock on the wall");
const LEVELS: Opt = Opt::flag("-m", "the level of each message");
const CALLERS: Opt = Opt::flag("-c", "who wrote it: T and thread id, or C and CPU");
const DEVICES: Opt = Opt::flag("-d", "the device that it is about");
const SAFE_BUFFERS: Opt = Opt::flag("-s", "the buffers of NMIs and nested messages (before 5.15)");
const AUDIT: Opt = Opt::flag("-a", "audit messages that nobody has fetched");

pub(crate) static COMMAND: Command = Command {
    names: &["log", "dmesg"],
    summary: "the kernel's log",
    synopsis: "[-t | -T] [-m] [-c] [-d]\n-s\n-a",
    options: &[NO_TIMES, WALL_TIMES, LEVELS, CALLERS, DEVICES, SAFE_BUFFERS, AUDIT],
    rows: &[MessageRow::TYPE, UnflushedRow::TYPE, BufferRow::TYPE, AuditRow::TYPE],
    args: &[],
    description: "\
Shows what the kernel said, oldest message first. It needs neither debug information nor types:
the dump describes its log itself. Where the log is damaged, all that can be read is shown, and
what is missing is told at the end.

Times are seconds since boot. Those of -T are reckoned back from the moment of death, so that the
last messages have the right time even if the machine has slept in between. Levels go from 0
(emergency) to 7 (debug).",
    examples: &[
        Example { about: "All of it.", line: "log", output: "" },
        Example {
            about: "With levels and writers, without times.",
            line: "log -t -m -c",
            output: "",
        },
        Example { about: "For another program.", line: "log --json", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    match parsed.one_of(&[SAFE_BUFFERS, AUDIT])? {
        Some(SAFE_BUFFERS) => return safe_buffers(&kernel, parsed.has(LEVELS), out),
        Some(_) => return audit(&kernel, out),
        None => {}
    }
    let log = kernel.log()?;
    let style = Style::new(&kernel, parsed)?;
    for record in &log.records {
        out.record(&MessageRow::new(record), |line| style.write(line, record))?;
    }
    unflushed(&kernel, &style, out)?;
    log_damage(&log, out)
}

impl<'a> MessageRow<'a> {
    fn new(record: &'a Record) -> Self {
        MessageRow {
            seq: record.seq,
            time_ns: record.time_ns,
            level: record.level,
            facility: record.facility,
            caller: record.caller.map(|caller| caller.to_string()),
            text: &record.text,
            subsystem: record.subsystem.as_deref(),
            device: record.device.as_deref(),
            lost: record.fault.as_ref().map(ToString::to_string),
        }
    }
}

enum Times {
    None,
    SinceBoot,
    /// Seconds since the epoch at which the log's clock began.
    Wall(u64),
}

struct Style {
    times: Times,
    level: bool,
    /// Columns of a caller.
    caller: Option<usize>,
    device: bool,
}

impl Style {
    fn new(kernel: &Kernel, parsed: &Parsed) -> Result<Self, CommandError> {
        let times = match parsed.one_of(&[NO_TIMES, WALL_TIMES])? {
            Some(NO_TIMES) => Times::None,
            Some(_) => {
                let clocks = kernel.clocks()?;
                Times::Wall(clocks.real_ns.saturating_sub(clocks.monotonic_ns) / 1_000_000_000)
            }
            None => Times::SinceBoot,
        };
        // Room for the largest pid; kernels since 6.14 keep its limit elsewhere.
        let digits = || match kernel.symbol("pid_max").map(|at| kernel.target().read_u32(at)) {
            Ok(Ok(..=99_999)) => 6,
            Ok(Ok(..=999_999)) => 7,
            _ => 8,
        };
        Ok(Style {
            times,
            level: parsed.has(LEVELS),
            caller: parsed.has(CALLERS).then(digits),
            device: parsed.has(DEVICES),
        })
    }

    fn prefix(&self, record: &Record) -> String {
        let mut prefix = String::new();
        let _ = match (&self.times, record.time_ns) {
            (Times::None, _) | (_, None) => Ok(()),
            (Times::SinceBoot, Some(ns)) => {
                write!(prefix, "[{:5}.{:06}] ", ns / 1_000_000_000, ns / 1_000 % 1_000_000)
            }
            (Times::Wall(boot), Some(ns)) => {
                write!(prefix, "[{}] ", wall::local(boot.saturating_add(ns / 1_000_000_000)))
            }
        };
        if let (Some(width), Some(caller)) = (self.caller, record.caller) {
            let _ = write!(prefix, "[{:>width$}] ", caller.to_string());
        }
        if let (true, Some(level)) = (self.level, record.level) {
            let _ = write!(prefix, "<{level}>");
        }
        prefix
    }

    fn write(&self, line: &mut dyn Write, record: &Record) -> std::fmt::Result {
        if record.text.is_empty() && record.fault.is_none() {
            return writeln!(line);
        }
        let prefix = self.prefix(record);
        let indent = prefix.len();
        line.write_str(&prefix)?;
        if let Some(fault) = &record.fault {
            write!(line, "(message {} is lost: {fault})", record.seq)?;
        }
        for (index, part) in record.text.split('\n').enumerate() {
            if index > 0 {
                write!(line, "\n{:indent$}", "")?;
            }
            write!(line, "{}", Printable(part))?;
        }
        if self.device {
            let parts = [("SUBSYSTEM", &record.subsystem), ("DEVICE", &record.device)];
            for (key, value) in parts {
                if let Some(value) = value {
                    write!(line, "\n{:indent$}{key}={}", "", Printable(value))?;
                }
            }
        }
        writeln!(line)
    }
}

/// Text with dots for what would steer a terminal.
struct Printable<'a>(&'a str);

impl std::fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if c.is_control() && c != '\t' { '.' } else { c }))
    }
}

/// What never reached the log is shown behind it.
fn unflushed(kernel: &Kernel, style: &Style, out: &mut Output) -> Outcome {
    let Ok((buffers, _)) = kernel.printk_safe() else { return Ok(()) };
    for buffer in &buffers {
        for (level, text) in &buffer.lines {
            let mark = level.filter(|_| style.level).map(|l| format!("<{l}>")).unwrap_or_default();
            let name = match style.times {
                Times::None => String::new(),
                _ => format!("[{}] ", buffer.name),
            };
            let digit = level.and_then(|level| level.to_digit(10)).map(|level| level as u8);
            let row = UnflushedRow { buffer: buffer.name, cpu: buffer.cpu, level: digit, text };
            out.record(&row, |line| writeln!(line, "{name}{mark}{}", Printable(text)))?;
        }
    }
    Ok(())
}

fn safe_buffers(kernel: &Kernel, level: bool, out: &mut Output) -> Outcome {
    let (buffers, errors) = match kernel.printk_safe() {
        Err(Error::NoSuch { .. }) => {
            return Err(CommandError::missing(
                "this kernel has no such buffers: since 5.15 every message goes to the log",
            ));
        }
        buffers => buffers?,
    };
    let mut last = "";
    for buffer in &buffers {
        if buffer.name != last {
            out.line(format_args!("PRINTK_SAFE_SEQ_BUF: {}", buffer.name))?;
            last = buffer.name;
        }
        let row = BufferRow {
            buffer: buffer.name,
            cpu: buffer.cpu,
            address: Hex(buffer.address),
            size: buffer.len,
            messages_lost: buffer.messages_lost,
            lines: buffer.lines.iter().map(|(_, text)| text.as_str()).collect(),
        };
        out.record(&row, |line| {
            writeln!(
                line,
                "CPU: {}  ADDR: {} LEN: {}  MESSAGE_LOST: {}",
                row.cpu, row.address, row.size, row.messages_lost
            )?;
            if buffer.lines.is_empty() {
                writeln!(line, "  (empty)")?;
            }
            for (mark, text) in &buffer.lines {
                let mark = mark.filter(|_| level).map(|m| format!("<{m}>")).unwrap_or_default();
                writeln!(line, "  {mark}{}", Printable(text))?;
            }
            writeln!(line)
        })?;
    }
    for error in &errors {
        out.line(format_args!("log: {error}"))?;
    }
    Ok(())
}

fn audit(kernel: &Kernel, out: &mut Output) -> Outcome {
    let (messages, errors) = kernel.audit_log()?;
    for message in &messages {
        let row = AuditRow { kind: message.kind, text: &message.text };
        out.record(&row, |line| writeln!(line, "type={} {}", row.kind, Printable(row.text)))?;
    }
    if messages.is_empty() && errors.is_empty() {
        out.line("log: kernel audit log is empty")?;
    }
    for error in &errors {
        out.line(format_args!("log: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use necropsy_linux::printk::Caller;

    use super::*;

    fn written(style: &Style, record: &Record) -> String {
        let mut line = String::new();
        style.write(&mut line, record).unwrap();
        line
    }

    #[test]
    fn lines_as_crash_prints_them() {
        let record = Record {
            time_ns: Some(5_319_969_123),
            level: Some(4),
            caller: Some(Caller::Task(147)),
            text: "one\ntwo\u{1b}[2J".into(),
            device: Some("+pci:0000:00:01.0".into()),
            ..Record::default()
        };
        let plain = Style { times: Times::SinceBoot, level: false, caller: None, device: false };
        assert_eq!(written(&plain, &record), "[    5.319969] one\n               two.[2J\n");
        let all = Style { times: Times::None, level: true, caller: Some(6), device: true };
        assert_eq!(
            written(&all, &record),
            "[  T147] <4>one\n            two.[2J\n            DEVICE=+pci:0000:00:01.0\n"
        );
        assert_eq!(written(&plain, &Record { text: String::new(), ..record }), "\n");
    }
}
