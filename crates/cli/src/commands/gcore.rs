//! Core files of processes.

use std::{fs::File, io::BufWriter, io::Write};

use necropsy_linux::user_core::UserCore;

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::{
        core::{CoreRow, GapRow},
        locks::TaskRef,
    },
    session::Session,
    tasks,
};

const FILE: Opt = Opt::value("-o", "file", "write to this file, not to core.PID.COMMAND");

pub(crate) static COMMAND: Command = Command {
    names: &["gcore"],
    summary: "writes a core file of a process for gdb: threads, registers, memory",
    synopsis: "[-o file] [task]",
    options: &[FILE],
    rows: &[CoreRow::TYPE],
    args: &[Arg::Task],
    description: "\
Writes the core file that the process would have left had it dumped core when the machine stopped: all
of its threads with their registers (the given one first), its memory, the files that it has mapped.
Pages of files that are not mapped are taken from the page cache. gdb PROGRAM FILE opens it.

What the dump has not is left out and told, with the reason: then gdb says that it cannot access it.
At dump level 31 all memory of processes is. Memory that the process never touched is zeros.",
    examples: &[],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let selected = match parsed.args.is_empty() {
        true => vec![session.context(&kernel)?],
        false => tasks::select(&kernel, &parsed.args)?,
    };
    let [task] = selected.as_slice() else {
        return Err(CommandError::usage("one task at a time"));
    };
    let mut core = UserCore::of(&kernel, *task)?;
    let file = match parsed.value(FILE) {
        Some(file) => file.to_owned(),
        None => {
            let comm = task.comm().unwrap_or_default().replace('/', "_");
            format!("core.{}.{comm}", task.pid()?)
        }
    };
    let cannot = |error: std::io::Error| CommandError::failed(format!("{file}: {error}"));
    let mut writer = BufWriter::new(File::create(&file).map_err(cannot)?);
    core.write(&mut writer).map_err(cannot)?;
    writer.flush().map_err(cannot)?;
    let gaps = core.gaps.iter().map(|gap| GapRow {
        start: Hex(gap.start),
        end: Hex(gap.end),
        reason: gap.reason,
    });
    let row = CoreRow {
        process: TaskRef::new(*task),
        file: file.clone(),
        threads: core.threads.len(),
        gaps: gaps.collect(),
    };
    out.record(&row, |line| {
        writeln!(line, "{}: {}, {} threads", row.file, row.process, row.threads)?;
        let mut reasons: Vec<&str> = row.gaps.iter().map(|gap| gap.reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            let gaps = row.gaps.iter().filter(|gap| gap.reason == reason);
            let bytes: u64 = gaps.map(|gap| gap.end.0 - gap.start.0).sum();
            writeln!(line, "  not in it: {} KB ({reason})", bytes / 1024)?;
        }
        Ok(())
    })?;
    let mut problems = Problems::default();
    problems.extend(core.errors);
    problems.report("thread", out)
}
