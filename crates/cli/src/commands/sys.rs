use necropsy_linux::{Kernel, Result};

use crate::rows::machine::{CallRow, ConfigRow, DmiRow, SystemRow, TaintRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    memory, numbers,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    wall,
};

const TAINTS: Opt = Opt::flag("-t", "what taints the kernel");
const DMI: Opt = Opt::flag("-i", "the firmware's description of the machine (DMI)");
const CALLS: Opt = Opt::flag("-c", "the system call table, or the calls that fit");

pub(crate) static COMMAND: Command = Command {
    names: &["sys"],
    summary: "the machine, its kernel, and why it died",
    synopsis: "[-t | -i]\n-c [name | number]\nconfig",
    options: &[TAINTS, DMI, CALLS],
    rows: &[SystemRow::TYPE, TaintRow::TYPE, DmiRow::TYPE, CallRow::TYPE, ConfigRow::TYPE],
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
    match parsed.one_of(&[TAINTS, DMI, CALLS])? {
        Some(CALLS) => return system_calls(&kernel, wanted, out),
        None if wanted == Some("config") => return config(&kernel, out),
        _ => {}
    }
    if let Some(word) = wanted {
        return Err(parsed.wrong(format_args!("{word:?} is not understood")));
    }
    match (parsed.has(TAINTS), parsed.has(DMI)) {
        (true, _) => taints(&kernel, out),
        (_, true) => dmi(&kernel, out),
        _ => overview(&kernel, out),
    }
}

impl SystemRow {
    fn take<T>(&mut self, what: &'static str, value: Result<T>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                if let Some(fault) = error.fault() {
                    self.faults.push(what, fault);
                }
                self.errors.push((what, error.to_string()));
                None
            }
        }
    }

    fn new(kernel: &Kernel) -> SystemRow {
        let mut row = SystemRow::default();
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
        row.mhz = match kernel.cpu_khz() {
            // Not every kernel measures it.
            Err(necropsy_linux::Error::NoSuch { .. }) => None,
            khz => row.take("MHz", khz).map(|khz| khz / 1000),
        };
        row.memory_bytes = row.take("memory", kernel.memory_bytes());
        let (tasks, lacking) = kernel.task_count();
        row.tasks = tasks;
        row.tasks_complete = lacking.is_none();
        row.take("tasks", lacking.map_or(Ok(()), Err));
        row.seconds = row.take("date", kernel.crash_time());
        row.date = row.seconds.and_then(wall::utc);
        row.uptime_ns = row.take("uptime", kernel.clocks()).map(|clocks| clocks.boot_ns);
        row.loads = row.take("load average", kernel.load_averages());
        row.load = row.loads.map(|loads| loads.map(|load| load as f64 / 100.0));
        row.tainted = row.take("taint", kernel.tainted_mask()).map(|mask| letters(kernel, mask));
        let patches = kernel.modules().0.iter().filter(|module| module.is_livepatch());
        row.livepatches = patches.map(|module| module.name.clone()).collect();
        if let Some(log) = row.take("panic", kernel.log()) {
            row.panic = log.panic_line().map(str::to_owned);
            if let Some(error) = log.panic_doubt() {
                row.take::<()>("panic", Err(error.clone()));
            }
        }
        row.cpu = kernel.panic_cpu();
        if let Some(task) = kernel.panic_task() {
            row.task = Some(Hex(task.address));
            row.pid = row.take("pid", task.pid());
            row.comm = row.take("comm", task.comm());
        }
        row
    }

    fn lacks(&self, what: &str) -> bool {
        self.errors.iter().any(|(field, _)| *field == what)
    }

    fn why(&self, what: &str) -> String {
        let error = self.errors.iter().find(|(field, _)| *field == what);
        error.map_or_else(|| "(unknown)".to_owned(), |(_, error)| format!("({error})"))
    }
}

/// What the kernel was built with: the file as it is, or its options.
fn config(kernel: &Kernel, out: &mut Output) -> Outcome {
    let text = kernel.config()?;
    if out.is_text() {
        return out.raw(text.as_bytes());
    }
    for line in text.lines() {
        let unset = line.strip_prefix("# ").and_then(|line| line.strip_suffix(" is not set"));
        let row = match (unset, line.split_once('=')) {
            (Some(option), _) => ConfigRow { option, value: None },
            (None, Some((option, value))) if option.starts_with("CONFIG_") => {
                ConfigRow { option, value: Some(value.trim_matches('"')) }
            }
            _ => continue,
        };
        out.record(&row, |_| Ok(()))?;
    }
    Ok(())
}

fn letters(kernel: &Kernel, mask: u64) -> String {
    kernel.taints(mask).iter().map(|taint| taint.letter).collect()
}

fn overview(kernel: &Kernel, out: &mut Output) -> Outcome {
    let row = SystemRow::new(kernel);
    let uts = |value: &Option<String>| value.clone().unwrap_or_else(|| row.why("uts"));
    out.record(&row, |text| {
        let mut line = |label: &str, value: &str| writeln!(text, "{label:>12}: {value}");
        let tainted = match row.tainted.as_deref() {
            Some("") => String::new(),
            Some(_) => "  [TAINTED]".to_owned(),
            None if row.lacks("taint") => format!("  {}", row.why("taint")),
            None => String::new(),
        };
        // crash's mark; which module it is stands behind it.
        let patched = match row.livepatches.as_slice() {
            [] => String::new(),
            names => format!("  [LIVEPATCH: {}]", names.join(" ")),
        };
        line("KERNEL", &format!("in the dump{tainted}{patched}"))?;
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
        let more = match row.tasks_complete {
            true => String::new(),
            false => format!("  (others cannot be read) {}", row.why("tasks")),
        };
        line("TASKS", &format!("{}{more}", row.tasks))?;
        line("NODENAME", &uts(&row.nodename))?;
        line("RELEASE", &uts(&row.release))?;
        line("VERSION", &uts(&row.version))?;
        let mhz = match row.mhz {
            Some(mhz) => format!("  ({mhz} Mhz)"),
            None if row.lacks("MHz") => format!("  ({} Mhz)", row.why("MHz")),
            None => String::new(),
        };
        line("MACHINE", &format!("{}{mhz}", uts(&row.machine)))?;
        line("MEMORY", &row.memory_bytes.map_or_else(|| row.why("memory"), memory::installed))?;
        let details = row.panic.as_ref().is_some_and(|panic| panic.contains("Oops: "));
        let details = if details { " (check log for details)" } else { "" };
        let why = match row.lacks("panic") {
            true => format!(" {}", row.why("panic")),
            false => String::new(),
        };
        line("PANIC", &format!("\"{}\"{details}{why}", row.panic.as_deref().unwrap_or("")))
    })
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
