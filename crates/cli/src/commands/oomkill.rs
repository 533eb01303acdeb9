//! Who has the memory.

use std::collections::BTreeMap;

use necropsy_linux::{
    Kernel,
    usage::{Usage, Use},
};
use necropsy_rows::{NONE, Perhaps, Row};

use crate::{
    CommandError, Outcome, addresses,
    command::{Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::{
        locks::TaskRef,
        usage::{MemoryAreaRow, MemoryFileRow, MemorySlabRow, MemoryTaskRow, UsageRow},
    },
    session::Session,
};

const MOST: Opt = Opt::value("-n", "count", "so many tasks, caches, files and callers; else 10");
const ONLY: Opt = Opt::flag("-u", "only the table of uses");

pub(crate) static COMMAND: Command = Command {
    names: &["oomkill"],
    summary: "who has the memory: all of RAM by use; top tasks, slabs, files, callers of vmalloc",
    synopsis: "[-u] [-n count]",
    options: &[MOST, ONLY],
    rows: &[
        UsageRow::TYPE,
        MemoryTaskRow::TYPE,
        MemorySlabRow::TYPE,
        MemoryFileRow::TYPE,
        MemoryAreaRow::TYPE,
    ],
    args: &[],
    description: "\
Looks at every page frame of RAM once and counts it by what it is used for. Free memory, slabs,
page tables, and memory of processes and files are told by the struct page; areas of vmalloc, stacks,
per-CPU memory, the memory map, rings of ftrace and the free pages that CPUs keep by those who have
them. What is left was given out by the page allocator, and nobody tells for what: unknown. RAM is
what the tree of resources calls System RAM; the crash kernel's part of it, the kernel's image and
what was taken at boot are shown as such.

COUNTER is what the kernel itself counts (- where it has no counter). It lags behind by what CPUs
have not handed in.

Then come those who have most: tasks (their resident memory, shared pages counted for each), slab
caches, files with their paths within their file system, and who asked for vmalloc areas.",
    examples: &[
        Example { about: "The whole account.", line: "oomkill", output: "" },
        Example { about: "Only the table.", line: "oomkill -u", output: "" },
    ],
    run,
};

/// So many of each kind are shown.
const USUAL: usize = 10;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let most = match parsed.value(MOST) {
        Some(text) => usize::try_from(addresses::count(text)?)
            .map_err(|_| CommandError::usage(format!("{text} is too many")))?,
        None => USUAL,
    };
    let mut usage = kernel.usage()?;
    let mut problems = Problems::default();
    problems.extend(std::mem::take(&mut usage.errors));
    table(&kernel, &usage, out)?;
    if !parsed.has(ONLY) {
        tasks(&kernel, most, &mut problems, out)?;
        slabs(&kernel, most, &mut problems, out)?;
        files(&kernel, &usage, most, out)?;
        areas(&kernel, most, &mut problems, out)?;
    }
    problems.report("part of memory", out)
}

fn table(kernel: &Kernel, usage: &Usage, out: &mut Output) -> Outcome {
    let columns = UsageRow::columns();
    out.heading(&columns)?;
    let counters = kernel.usage_counters();
    let page_kb = kernel.target().page_size() / 1024;
    let row = |used: &'static str, frames: u64, counter: Perhaps<u64>| UsageRow {
        used,
        frames,
        kb: frames.saturating_mul(page_kb),
        percent: (frames as f64 * 10_000.0 / usage.total.max(1) as f64).round() / 100.0,
        counter,
    };
    for used in Use::ALL {
        let counter = counters.iter().find(|counted| counted.used == used);
        let frames = usage.of(used);
        let counter = match counter {
            Some(counted) => Perhaps::or_unknown(counted.pages),
            None => Perhaps::Not(NONE),
        };
        if frames > 0 || counter.known().is_some_and(|pages| pages > 0) {
            out.row(&columns, &row(used.name(), frames, counter))?;
        }
    }
    out.row(&columns, &row("total", usage.total, Perhaps::Not(NONE)))
}

fn tasks(kernel: &Kernel, most: usize, problems: &mut Problems, out: &mut Output) -> Outcome {
    let all = kernel.tasks();
    problems.extend(all.errors);
    // Of a thread that cannot be told from a leader the memory is told all the same.
    let leaders = all.tasks.into_iter().filter(|task| match (task.pid(), task.tgid()) {
        (Ok(pid), Ok(process)) => pid == process,
        _ => true,
    });
    let mut found = Vec::new();
    for task in leaders {
        found
            .extend(problems.keep(task.rss_kb()).filter(|kb| *kb > 0).map(|kb| (kb, task.address)));
    }
    found.sort_unstable_by_key(|(kb, task)| (std::cmp::Reverse(*kb), *task));
    if !found.is_empty() {
        out.line("")?;
        out.title("        KB  TASK")?;
    }
    for (rss_kb, address) in found.into_iter().take(most) {
        let row = MemoryTaskRow { memory_of: TaskRef::new(kernel.task_at(address)), rss_kb };
        out.record(&row, |line| writeln!(line, "{:>10}  {}", row.rss_kb, row.memory_of))?;
    }
    Ok(())
}

fn slabs(kernel: &Kernel, most: usize, problems: &mut Problems, out: &mut Output) -> Outcome {
    let found = problems.keep(kernel.slabs()).zip(problems.keep(kernel.slab_caches()));
    let Some((slabs, (caches, errors))) = found else { return Ok(()) };
    problems.extend(errors);
    let page = kernel.target().page_size();
    let mut rows: Vec<MemorySlabRow> = caches
        .into_iter()
        .map(|cache| {
            let bytes: u64 = slabs
                .of(cache.address)
                .iter()
                .map(|slab| page << cache.order_of(slab.objects))
                .sum();
            MemorySlabRow { kmem_cache: Hex(cache.address), cache: cache.name, kb: bytes / 1024 }
        })
        .filter(|row| row.kb > 0)
        .collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.kb), row.kmem_cache.0));
    if !rows.is_empty() {
        out.line("")?;
        out.title("        KB  SLAB CACHE")?;
    }
    for row in rows.into_iter().take(most) {
        out.record(&row, |line| {
            let name = row.cache.as_deref().unwrap_or("?");
            writeln!(line, "{:>10}  {:016x} {name}", row.kb, row.kmem_cache.0)
        })?;
    }
    Ok(())
}

fn files(kernel: &Kernel, usage: &Usage, most: usize, out: &mut Output) -> Outcome {
    let files = kernel.files_in_memory(usage, most);
    if !files.is_empty() {
        out.line("")?;
        out.title("        KB  FILE")?;
    }
    for file in files {
        let row = MemoryFileRow {
            mapping: Hex(file.mapping),
            inode: Hex(file.inode),
            used: file.used.name(),
            file_system: file.file_system,
            path: file.path,
            kb: file.frames.saturating_mul(kernel.target().page_size() / 1024),
        };
        out.record(&row, |line| {
            let kind = row.file_system.as_deref().unwrap_or("?");
            let path = row.path.as_deref().unwrap_or("(no name)");
            writeln!(line, "{:>10}  {:016x} {kind} {path}", row.kb, row.inode.0)
        })?;
    }
    Ok(())
}

fn areas(kernel: &Kernel, most: usize, problems: &mut Problems, out: &mut Output) -> Outcome {
    let Some((areas, errors)) = problems.keep(kernel.vmalloc_areas()) else { return Ok(()) };
    problems.extend(errors.iter().cloned());
    let mut callers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for area in areas {
        let (Some(pages), Some(caller)) = (area.pages.filter(|pages| *pages > 0), area.caller)
        else {
            continue;
        };
        let name = match kernel.target().locate(caller) {
            Some(found) => match found.module() {
                Some(module) => format!("{} [{module}]", found.symbol.name),
                None => found.symbol.name.to_owned(),
            },
            None => format!("{caller:x}"),
        };
        let entry = callers.entry(name).or_default();
        entry.0 += 1;
        entry.1 = entry.1.saturating_add(pages.saturating_mul(kernel.target().page_size() / 1024));
    }
    let mut rows: Vec<MemoryAreaRow> = callers
        .into_iter()
        .map(|(caller, (areas, kb))| MemoryAreaRow { caller, areas, kb })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.kb));
    if !rows.is_empty() {
        out.line("")?;
        out.title("        KB    AREAS  CALLER OF VMALLOC")?;
    }
    for row in rows.into_iter().take(most) {
        out.record(&row, |line| writeln!(line, "{:>10} {:>8}  {}", row.kb, row.areas, row.caller))?;
    }
    Ok(())
}
