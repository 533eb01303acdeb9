mod header;

use necropsy_dump::PhysicalMemory;
use necropsy_linux::{Kernel, stacks::Origin};

use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    parsed::Parsed,
    render::{Output, Size},
    rows::{
        dump::HeaderRow,
        machine::{FactRow, FileRow, InfoRow, RegistersRow},
    },
    session::Session,
};

const RANGES: Opt = Opt::flag("-m", "every range of memory, and an ELF dump's segments");
const REGISTERS: Opt = Opt::flag("-r", "the registers that the dump's notes have of each CPU");
const NOTES: Opt = Opt::flag("-n", "every note with its bytes");
const VMCOREINFO: Opt = Opt::flag("-v", "the text of VMCOREINFO");

pub(crate) static COMMAND: Command = Command {
    names: &["info"],
    summary: "the dump: its format, what it lacks, and how the kernel was found in it",
    synopsis: "[-m] [-r] [-n] [-v]",
    options: &[RANGES, REGISTERS, NOTES, VMCOREINFO],
    rows: &[InfoRow::TYPE],
    args: &[],
    description: "\
Shows the dump's files and format, what is missing from it, and every fact about the machine that
was needed to find the kernel, with the rule that gave it. It works on dumps in which no kernel was
recognised, for every format and architecture, and says why none was. Options show one thing in
full instead; JSON always has everything.

REGISTERS tells of each CPU where the registers come from that its stack trace begins with: the
note that the CPU wrote when it stopped (crash_notes), or a note of the dump.",
    examples: &[Example { about: "What is known of the dump.", line: "info", output: "" }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel.clone().ok_or_else(|| {
        CommandError::Missing("no dump is open: start with `necropsy info DUMP`".into())
    })?;
    let row = InfoRow::new(&kernel);
    let header = &row.header;
    let parts = [RANGES, REGISTERS, NOTES, VMCOREINFO];
    out.record(&row, |text| {
        if !parts.iter().any(|part| parsed.has(*part)) {
            return row.write(text);
        }
        if parsed.has(RANGES) {
            header.write_ranges(text)?;
        }
        if parsed.has(REGISTERS) {
            header.write_registers(text)?;
        }
        if parsed.has(NOTES) {
            header.write_notes(text)?;
        }
        if parsed.has(VMCOREINFO) {
            let none = "(neither the dump's header nor its memory has one)";
            writeln!(text, "{}", header.vmcoreinfo.as_deref().unwrap_or(none).trim_end())?;
        }
        Ok(())
    })?;
    match row.pages_stored {
        0 => Err(CommandError::missing("the dump holds no page: nothing can be read from it")),
        _ => Ok(()),
    }
}

impl InfoRow {
    fn new(kernel: &Kernel) -> InfoRow {
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
        InfoRow {
            format: dump.format().to_string(),
            files: dump
                .files()
                .iter()
                .map(|file| FileRow {
                    path: file.path.display().to_string(),
                    bytes: file.size,
                    truncated: file.truncated,
                    first_pfn: file.pfns.0,
                    end_pfn: file.pfns.1,
                    unpacked: file.unpacked.as_ref().map(|path| path.display().to_string()),
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
                .map(|fact| FactRow {
                    name: fact.name,
                    value: fact.value.clone(),
                    rule: fact.rule.clone(),
                })
                .collect(),
            symbols: target.kernel().symbols.len(),
            types: target.btf_base().map_or(0, necropsy_debuginfo::btf::BtfBase::len),
            unwind_entries: target.kernel().orc_tables.map_or(0, |tables| tables.count),
            frame_pointers: recognised && target.frame_pointers(),
            modules: if recognised { kernel.modules().0.len() } else { 0 },
            registers: cpus.into_iter().map(|cpu| registers(kernel, cpu)).collect(),
            problem: target.problem().map(str::to_owned),
            unusable: if recognised { unusable(kernel) } else { Vec::new() },
            header: HeaderRow::new(dump, info),
        }
    }

    fn write(&self, text: &mut dyn std::fmt::Write) -> std::fmt::Result {
        let mut line = |label: &str, value: &str| writeln!(text, "{label:>12}: {value}");
        for file in &self.files {
            let cut = if file.truncated { "  [TRUNCATED]" } else { "" };
            line("FILE", &format!("{} ({}){cut}", file.path, Size(file.bytes)))?;
            if let Some(copy) = &file.unpacked {
                line("UNPACKED", &format!("{copy} (see necropsy cache)"))?;
            }
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
        self.header.write(text)?;
        let mut line = |label: &str, value: &str| writeln!(text, "{label:>12}: {value}");
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
        let unwinder = match self.frame_pointers {
            true => "frame pointers".to_owned(),
            false => some(self.unwind_entries, "ORC entries"),
        };
        line("UNWIND", &unwinder)?;
        line("MODULES", &self.modules.to_string())?;
        for problem in &self.unusable {
            line("UNUSABLE", problem)?;
        }
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

/// The kernel's tables that are damaged or not in the dump.
fn unusable(kernel: &Kernel) -> Vec<String> {
    let target = kernel.target();
    let types = target.types_problem().map(|problem| format!("types (BTF): {problem}"));
    let orc = target.kernel().orc_problem(target);
    let orc = orc.map(|problem| format!("unwind table (ORC), frames are guessed: {problem}"));
    let online = kernel.online_problem();
    let online = online.map(|error| format!("online CPUs, all possible ones are shown: {error}"));
    types.into_iter().chain(orc).chain(online).collect()
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

fn registers(kernel: &Kernel, cpu: u32) -> RegistersRow {
    match kernel.cpu_regs(cpu) {
        Ok((_, origin)) => RegistersRow { cpu, from: Some(source(origin)), missing: None },
        Err(error) => RegistersRow { cpu, from: None, missing: Some(error.to_string()) },
    }
}

fn source(origin: Origin) -> &'static str {
    match origin {
        Origin::CrashNotes => "its own note in memory (crash_notes)",
        Origin::DumpNotes => "a note of the dump",
        Origin::Switched => "saved when it was switched out",
    }
}
