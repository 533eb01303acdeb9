use necropsy_linux::{Kernel, Result};
use serde::Serialize;

use crate::{
    CommandError, Outcome, numbers,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{FaultRow, Hex, Output, Size},
    session::Session,
    wall,
};

pub(crate) static COMMAND: Command = Command {
    names: &["sys"],
    summary: "the machine, its kernel, and why it died",
    synopsis: "[-t | -i]\n-c [name | number]\nconfig",
    options: &[
        Opt { flag: "-t", value: None, help: "what taints the kernel" },
        Opt { flag: "-i", value: None, help: "the firmware's description of the machine (DMI)" },
        Opt { flag: "-c", value: None, help: "the system call table, or the calls that fit" },
    ],
    args: &[Arg::Text("config | name | number")],
    description: "\
Shows what an analysis begins with: which kernel, since when it was up, how busy it was, and the
line of its log that says why it died. DATE and UPTIME are the kernel's own clocks at the moment
of death. MEMORY is what the kernel had, rounded up to a gigabyte as crash does it when no more
than 64 MB are missing; --json has the bytes.

\"sys config\" shows the configuration the kernel was built with, where it carries one
(CONFIG_IKCONFIG).",
    examples: &[
        Example { about: "The machine at a glance.", line: "sys", output: "" },
        Example { about: "Taints and what they mean.", line: "sys -t", output: "" },
        Example { about: "System call 0.", line: "sys -c 0", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let wanted = parsed.arg(0);
    match parsed.one_of(&["-t", "-i", "-c"])? {
        Some("-c") => return system_calls(&kernel, wanted, out),
        None if wanted == Some("config") => return out.raw(kernel.config()?.as_bytes()),
        _ => {}
    }
    if let Some(word) = wanted {
        return Err(parsed.wrong(format_args!("{word:?} is not understood")));
    }
    match (parsed.has("-t"), parsed.has("-i")) {
        (true, _) => taints(&kernel, out),
        (_, true) => dmi(&kernel, out),
        _ => overview(&kernel, out),
    }
}

#[derive(Default, Serialize)]
struct Row {
    release: Option<String>,
    version: Option<String>,
    machine: Option<String>,
    mhz: Option<u32>,
    cpus: usize,
    cpus_offline: usize,
    memory_bytes: Option<u64>,
    tasks: usize,
    /// Whether no task is missing from that number.
    tasks_complete: bool,
    date: Option<String>,
    uptime_ns: Option<u64>,
    load: Option<[f64; 3]>,
    nodename: Option<String>,
    panic: Option<String>,
    pid: Option<u64>,
    comm: Option<String>,
    task: Option<Hex>,
    cpu: Option<u32>,
    dumpfile: Vec<String>,
    format: String,
    partial: bool,
    incomplete: bool,
    tainted: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultRow>,
    #[serde(skip)]
    errors: Vec<(&'static str, String)>,
    #[serde(skip)]
    seconds: Option<u64>,
    #[serde(skip)]
    loads: Option<[u64; 3]>,
}

impl Row {
    fn take<T>(&mut self, what: &'static str, value: Result<T>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                if let necropsy_linux::Error::Fault(fault) = &error {
                    self.faults.push(FaultRow {
                        address: Hex(fault.address),
                        reason: fault.reason.name(),
                        what: what.to_owned(),
                    });
                }
                self.errors.push((what, error.to_string()));
                None
            }
        }
    }

    fn new(kernel: &Kernel) -> Row {
        let mut row = Row::default();
        let dump = kernel.target().dump();
        let missing = dump.completeness();
        row.dumpfile = dump.files().iter().map(|f| f.path.display().to_string()).collect();
        row.format = dump.format().to_string();
        row.partial = missing.partial;
        row.incomplete = missing.is_damaged();
        if let Some(uts) = row.take("uts", kernel.uts()) {
            row.release = Some(uts.release);
            row.version = Some(uts.version);
            row.machine = Some(uts.machine);
            row.nodename = Some(uts.nodename);
        }
        if row.release.is_none() {
            let info = kernel.target().vmcoreinfo();
            row.release = info.and_then(|info| info.get("OSRELEASE")).map(str::to_owned);
        }
        let cpus = kernel.cpu_counts();
        row.cpus = cpus.present;
        row.cpus_offline = cpus.present.saturating_sub(cpus.online);
        row.mhz = row.take("MHz", kernel.cpu_khz()).map(|khz| khz / 1000);
        row.memory_bytes = row.take("memory", kernel.memory_bytes());
        (row.tasks, row.tasks_complete) = kernel.task_count();
        row.seconds = row.take("date", kernel.crash_time());
        row.date = row.seconds.and_then(wall::utc);
        row.uptime_ns = row.take("uptime", kernel.clocks()).map(|clocks| clocks.boot_ns);
        row.loads = row.take("load average", kernel.load_averages());
        row.load = row.loads.map(|loads| loads.map(|load| load as f64 / 100.0));
        row.tainted = row.take("taint", kernel.tainted_mask()).map(|mask| letters(kernel, mask));
        let log = row.take("log", kernel.log());
        row.panic = log.and_then(|log| log.panic_line().map(str::to_owned));
        row.cpu = kernel.panic_cpu();
        if let Some(task) = kernel.panic_task() {
            row.task = Some(Hex(task.address));
            row.pid = row.take("pid", task.pid());
            row.comm = row.take("comm", task.comm());
        }
        row
    }

    fn why(&self, what: &str) -> String {
        let error = self.errors.iter().find(|(field, _)| *field == what);
        error.map_or_else(|| "(unknown)".to_owned(), |(_, error)| format!("({error})"))
    }
}

fn letters(kernel: &Kernel, mask: u64) -> String {
    kernel.taints(mask).iter().map(|taint| taint.letter).collect()
}

fn overview(kernel: &Kernel, out: &mut Output) -> Outcome {
    let row = Row::new(kernel);
    let uts = |value: &Option<String>| value.clone().unwrap_or_else(|| row.why("uts"));
    out.record(&row, |text| {
        let mut line = |label: &str, value: &str| writeln!(text, "{label:>12}: {value}");
        let tainted = row.tainted.as_ref().is_some_and(|letters| !letters.is_empty());
        let tainted = if tainted { "  [TAINTED]" } else { "" };
        line("KERNEL", &format!("in the dump{tainted}"))?;
        let mut file = row.dumpfile.join(" ");
        for (is, mark) in [(row.partial, "  [PARTIAL DUMP]"), (row.incomplete, "  [INCOMPLETE]")] {
            if is {
                file += mark;
            }
        }
        line(if row.dumpfile.len() > 1 { "DUMPFILES" } else { "DUMPFILE" }, &file)?;
        let offline = match row.cpus_offline {
            0 => String::new(),
            count => format!(" [OFFLINE: {count}]"),
        };
        line("CPUS", &format!("{}{offline}", row.cpus))?;
        line("DATE", &row.seconds.map_or_else(|| row.why("date"), wall::local))?;
        line("UPTIME", &row.uptime_ns.map_or_else(|| row.why("uptime"), wall::uptime))?;
        let load = row
            .loads
            .map(|loads| loads.map(|load| format!("{}.{:02}", load / 100, load % 100)).join(", "));
        line("LOAD AVERAGE", &load.unwrap_or_else(|| row.why("load average")))?;
        let more = if row.tasks_complete { "" } else { "  (others cannot be read)" };
        line("TASKS", &format!("{}{more}", row.tasks))?;
        line("NODENAME", &uts(&row.nodename))?;
        line("RELEASE", &uts(&row.release))?;
        line("VERSION", &uts(&row.version))?;
        let mhz = row.mhz.map_or_else(|| "unknown".to_owned(), |mhz| mhz.to_string());
        line("MACHINE", &format!("{}  ({mhz} Mhz)", uts(&row.machine)))?;
        line("MEMORY", &row.memory_bytes.map_or_else(|| row.why("memory"), memory))?;
        let details = row.panic.as_ref().is_some_and(|panic| panic.contains("Oops: "));
        let details = if details { " (check log for details)" } else { "" };
        line("PANIC", &format!("\"{}\"{details}", row.panic.as_deref().unwrap_or("")))
    })
}

/// The last 64 MB of a gigabyte are firmware's and the kernel's own: crash counts them in.
pub(super) fn memory(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    let next = bytes.div_ceil(GIB).saturating_mul(GIB);
    let bytes = if next - bytes <= 64 << 20 { next } else { bytes };
    // crash rounds to the nearest tenth.
    let (unit, name) = match bytes {
        GIB.. => (GIB, "GB"),
        0x10_0000.. => (1 << 20, "MB"),
        _ => return Size(bytes).to_string(),
    };
    let tenths = format!("{:.1}", bytes as f64 / unit as f64);
    format!("{} {name}", tenths.strip_suffix(".0").unwrap_or(&tenths))
}

#[derive(Serialize)]
struct TaintRow {
    bit: u32,
    letter: char,
    meaning: &'static str,
}

fn taints(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mask = kernel.tainted_mask()?;
    out.line(format_args!("TAINTED_MASK: {mask:x}  {}", letters(kernel, mask)))?;
    for taint in kernel.taints(mask) {
        let row = TaintRow { bit: taint.bit, letter: taint.letter, meaning: taint.meaning };
        out.record(&row, |line| writeln!(line, "  {}  {}", row.letter, row.meaning))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct DmiRow {
    field: String,
    text: String,
}

fn dmi(kernel: &Kernel, out: &mut Output) -> Outcome {
    let fields = kernel.dmi()?;
    // As wide as the longest name, shown or not: so it is in crash.
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (field, text) in fields {
        let Some(text) = text else { continue };
        let row = DmiRow { field, text };
        out.record(&row, |line| writeln!(line, "  {:>width$}: {}", row.field, row.text))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct CallRow {
    number: usize,
    name: String,
    address: Hex,
}

fn system_calls(kernel: &Kernel, wanted: Option<&str>, out: &mut Output) -> Outcome {
    let calls = kernel.system_calls()?;
    let number = wanted.and_then(|word| numbers::evaluate(word, &|_| None).ok());
    out.title("NUM  SYSTEM CALL                FILE AND LINE NUMBER")?;
    let mut found = false;
    for call in calls {
        let name = call.name.unwrap_or_else(|| format!("({:x}: no function)", call.address));
        let fits = match (wanted, number) {
            (None, _) => true,
            (Some(_), Some(number)) => call.number as u64 == number,
            (Some(word), None) => name.contains(word),
        };
        if fits {
            found = true;
            let row = CallRow { number: call.number, name, address: Hex(call.address) };
            out.record(&row, |line| writeln!(line, "{:3}  {:<26} ", row.number, row.name))?;
        }
    }
    match wanted {
        Some(word) if !found => Err(CommandError::failed(format!("{word}: no such system call"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_as_crash_prints_it() {
        assert_eq!(memory(536_338_432), "511.5 MB");
        assert_eq!(memory((6 << 30) - (1 << 20)), "6 GB");
        assert_eq!(memory((6 << 30) + (512 << 20)), "6.5 GB");
        assert_eq!(memory(0), "0 bytes");
    }
}
