//! Control groups.

use necropsy_linux::{
    Error,
    cgroup::{Cgroup, Limit, MemoryCount},
};
use necropsy_rows::{NONE, Perhaps, Row};

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    near,
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    rows::work::CgroupRow,
    session::Session,
};

const MEMORY: Opt = Opt::flag("-m", "those with most memory first");

pub(crate) static COMMAND: Command = Command {
    names: &["cgroups"],
    summary: "control groups: tasks, memory with limits and peaks, pressure",
    synopsis: "[-m] [path ...]",
    options: &[MEMORY],
    rows: &[CgroupRow::TYPE],
    args: &[Arg::Text("path")],
    description: "\
Shows every control group of every tree: its tasks, what it has in memory with all below it, its
limits, the most that it ever had and how often it met its limit, and the share of the last ten
seconds in which some of its tasks waited for memory (PSI). --json has swap, numbers of tasks and
their limits, and pressure of I/O and CPU too. Paths leave only these groups and those below them.
The kernel counts no memory of the group at the top of a tree (-); max: there is no limit.",
    examples: &[
        Example { about: "The tree.", line: "cgroups", output: "" },
        Example { about: "The largest first.", line: "cgroups -m", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let (mut groups, errors) = kernel.cgroups()?;
    let mut problems = Problems::default();
    problems.extend(errors);
    let is = |group: &Cgroup, path: &str| group.path == *path;
    let unknown = parsed.args.iter().find(|path| !groups.iter().any(|group| is(group, path)));
    // One of those that cannot be read may be it.
    if let Some(path) = unknown.filter(|_| problems.is_empty()) {
        let hint = near::hint(path, groups.iter().map(|group| group.path.as_str()));
        return Err(CommandError::failed(format!("there is no control group {path}{hint}")));
    }
    groups.retain(|group| {
        parsed.args.is_empty()
            || parsed.args.iter().any(|path| {
                is(group, path)
                    || group.path.starts_with(&format!("{}/", path.trim_end_matches('/')))
            })
    });
    if parsed.has(MEMORY) {
        let memory = |group: &Cgroup| {
            group.memory.as_ref().and_then(|memory| Some(memory.as_ref().ok()?.usage))
        };
        groups.sort_by_key(|group| std::cmp::Reverse(memory(group)));
    }
    let columns = CgroupRow::columns();
    out.heading(&columns)?;
    let kb = kernel.target().page_size() / 1024;
    for group in groups {
        out.row(&columns, &row(group, kb))?;
    }
    problems.report("control group", out)
}

fn row(group: Cgroup, page_kb: u64) -> CgroupRow {
    let mut faults = Faults::default();
    let of_pages = |pages: u64| pages.saturating_mul(page_kb);
    let counted = group.memory.is_some();
    let memory = group.memory.and_then(|memory| faults.keep(memory));
    let mut limit = |limit: Result<Limit, Error>, of: &dyn Fn(u64) -> u64| match faults.keep(limit)
    {
        Some(Limit::Of(most)) => Perhaps::Is(of(most)),
        Some(Limit::Max) => Perhaps::Not("max"),
        None => Perhaps::Unknown,
    };
    // Of a group whose memory nobody counts there is nothing to know.
    let absent = if counted { Perhaps::Unknown } else { Perhaps::Not(NONE) };
    let of = |value: Option<u64>| value.map_or(absent, Perhaps::Is);
    let (max_kb, high_kb) = match &memory {
        Some(memory) => {
            (limit(memory.max.clone(), &of_pages), limit(memory.high.clone(), &of_pages))
        }
        None => (absent, absent),
    };
    let (pids, pids_max) = match group.pids {
        Some((pids, most)) => (Some(pids), limit(most, &|most| most)),
        None => (None, Perhaps::Not(NONE)),
    };
    let pids = pids.and_then(|pids| faults.keep(pids));
    let swap = group.swap.and_then(|swap| faults.keep(swap));
    let mut noted = |of: fn(&MemoryCount) -> &Option<Result<u64, Error>>| {
        faults.keep(of(memory.as_ref()?).clone()?)
    };
    let (peak, failures) = (noted(|memory| &memory.peak), noted(|memory| &memory.failures));
    let pressure = group.pressure.and_then(|shares| faults.keep(shares));
    let pressure = |index: usize| pressure.map(|shares| shares[index]);
    let memory = memory.as_ref();
    CgroupRow {
        cgroup: Hex(group.address),
        tasks: group.tasks,
        memory_kb: of(memory.map(|memory| of_pages(memory.usage))),
        max_kb,
        high_kb,
        peak_kb: of(peak.map(of_pages)),
        failures: of(failures),
        swap_kb: swap.map(of_pages),
        pids,
        pids_max,
        memory_some: match group.tree.is_empty() {
            true => Perhaps::or_unknown(pressure(2)),
            false => Perhaps::Not(NONE),
        },
        memory_full: pressure(3),
        io_some: pressure(0),
        io_full: pressure(1),
        cpu_some: pressure(4),
        tree: group.tree,
        path: group.path,
        faults,
    }
}
