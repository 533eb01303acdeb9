use necropsy_dump::PhysicalMemory;
use necropsy_linux::{Kernel, stacks::Origin};
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Command, Example},
    render::{Output, Size},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["info"],
    summary: "the dump: its format, what it lacks, and how the kernel was found in it",
    synopsis: "",
    options: &[],
    args: &[],
    description: "\
Shows the dump's files and format, what is missing from it, and every fact about the machine that
was needed to find the kernel, with the rule that gave it. It works on dumps in which no kernel was
recognised, and says why.

REGISTERS tells of each CPU where the registers come from that its stack trace begins with: the
note that the CPU wrote when it stopped (crash_notes), or a note of the dump.",
    examples: &[Example { about: "What is known of the dump.", line: "info", output: "" }],
    run,
};

#[derive(Serialize)]
struct File {
    path: String,
    bytes: u64,
    truncated: bool,
}

#[derive(Serialize)]
struct Fact {
    name: &'static str,
    value: String,
    rule: String,
}

#[derive(Serialize)]
struct Registers {
    cpu: u32,
    from: Option<&'static str>,
    /// Why there are none.
    missing: Option<String>,
}

#[derive(Serialize)]
struct Row {
    format: String,
    files: Vec<File>,
    machine: Option<&'static str>,
    page_size: u64,
    /// Frames that the machine had, as far as the format tells.
    pages: u64,
    pages_stored: u64,
    dump_level: Option<u32>,
    partial: bool,
    incomplete: bool,
    missing: Vec<String>,
    release: Option<String>,
    version: Option<String>,
    build_id: Option<String>,
    facts: Vec<Fact>,
    symbols: usize,
    types: usize,
    unwind_entries: u64,
    modules: usize,
    registers: Vec<Registers>,
    problem: Option<String>,
}

fn run(session: &mut Session, _parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel.clone().ok_or_else(|| {
        CommandError::Missing("no dump is open: start with `necropsy info DUMP`".into())
    })?;
    let row = Row::new(&kernel);
    out.record(&row, |text| row.write(text))
}

impl Row {
    fn new(kernel: &Kernel) -> Row {
        let target = kernel.target();
        let dump = target.dump();
        let info = target.vmcoreinfo();
        let completeness = dump.completeness();
        let recognised = target.problem().is_none();
        let uts = kernel.uts().ok();
        let header = dump.header();
        let noted = |key: &str| info.and_then(|info| info.get(key)).map(str::to_owned);
        let release = uts
            .as_ref()
            .map(|uts| uts.release.clone())
            .or_else(|| noted("OSRELEASE"))
            .or_else(|| header.uts.as_ref().map(|uts| uts.release.clone()));
        let version = uts
            .map(|uts| uts.version)
            .or_else(|| header.uts.as_ref().map(|uts| uts.version.clone()));
        let cpus = if recognised { kernel.possible_cpus() } else { Vec::new() };
        let facts = target.facts().iter();
        Row {
            format: dump.format().to_string(),
            files: dump
                .files()
                .iter()
                .map(|file| File {
                    path: file.path.display().to_string(),
                    bytes: file.size,
                    truncated: file.truncated,
                })
                .collect(),
            machine: dump.arch().map(necropsy_dump::Arch::name),
            page_size: dump.page_size(),
            pages: count(|at| dump.memory_run(at)),
            pages_stored: count(|at| dump.stored_run(at)),
            dump_level: header.dump_level,
            partial: completeness.partial,
            incomplete: completeness.is_damaged(),
            missing: completeness.to_string().lines().map(str::to_owned).collect(),
            release,
            version,
            build_id: noted("BUILD-ID"),
            facts: facts
                .map(|fact| Fact {
                    name: fact.name,
                    value: fact.value.clone(),
                    rule: fact.rule.clone(),
                })
                .collect(),
            symbols: target.kernel().symbols.len(),
            types: target.btf_base().map_or(0, necropsy_debuginfo::btf::BtfBase::len),
            unwind_entries: target.kernel().orc_tables.map_or(0, |tables| tables.count),
            modules: if recognised { kernel.modules().0.len() } else { 0 },
            registers: cpus.into_iter().map(|cpu| registers(kernel, cpu)).collect(),
            problem: target.problem().map(str::to_owned),
        }
    }

    fn write(&self, text: &mut dyn std::fmt::Write) -> std::fmt::Result {
        let mut line = |label: &str, value: &str| writeln!(text, "{label:>12}: {value}");
        for file in &self.files {
            let cut = if file.truncated { "  [TRUNCATED]" } else { "" };
            line("FILE", &format!("{} ({}){cut}", file.path, Size(file.bytes)))?;
        }
        line("FORMAT", &self.format)?;
        line("MACHINE", self.machine.unwrap_or("(the dump does not say)"))?;
        let pages = format!(
            "{} of {} bytes each stored, of {} that the dump knows of",
            self.pages_stored, self.page_size, self.pages
        );
        line("PAGES", &pages)?;
        if let Some(level) = self.dump_level {
            line("DUMP LEVEL", &format!("{level} (makedumpfile -d)"))?;
        }
        for missing in &self.missing {
            line("MISSING", missing)?;
        }
        line("RELEASE", self.release.as_deref().unwrap_or("(unknown)"))?;
        line("VERSION", self.version.as_deref().unwrap_or("(unknown)"))?;
        line("BUILD ID", self.build_id.as_deref().unwrap_or("(VMCOREINFO has none)"))?;
        for fact in &self.facts {
            line(fact.name, &format!("{}  ({})", fact.value, fact.rule))?;
        }
        if let Some(problem) = &self.problem {
            return line("PROBLEM", problem);
        }
        line("TYPES", &some(self.types as u64, "from the kernel's BTF"))?;
        line("UNWIND", &some(self.unwind_entries, "ORC entries"))?;
        line("MODULES", &self.modules.to_string())?;
        for registers in &self.registers {
            let from = match (registers.from, &registers.missing) {
                (Some(from), _) => from,
                (None, Some(missing)) => missing,
                (None, None) => "none",
            };
            line("REGISTERS", &format!("CPU {}: {from}", registers.cpu))?;
        }
        Ok(())
    }
}

fn some(count: u64, what: &str) -> String {
    if count == 0 { "none".to_owned() } else { format!("{count} {what}") }
}

/// Frames in runs.
fn count(next: impl Fn(u64) -> Option<(u64, u64)>) -> u64 {
    let (mut at, mut frames) = (0, 0u64);
    while let Some((first, end)) = next(at) {
        frames += end - first;
        at = end;
    }
    frames
}

fn registers(kernel: &Kernel, cpu: u32) -> Registers {
    match kernel.cpu_regs(cpu) {
        Ok((_, origin)) => Registers { cpu, from: Some(source(origin)), missing: None },
        Err(error) => Registers { cpu, from: None, missing: Some(error.to_string()) },
    }
}

fn source(origin: Origin) -> &'static str {
    match origin {
        Origin::CrashNotes => "its own note in memory (crash_notes)",
        Origin::DumpNotes => "a note of the dump",
        Origin::Switched => "saved when it was switched out",
    }
}
