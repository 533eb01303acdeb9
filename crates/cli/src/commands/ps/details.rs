//! `ps` by task: family, times, arguments, limits.

use necropsy_linux::{Kernel, task::Task};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    commands::bt::cpu_list,
    render::{Faults, Output},
    tasks::Header,
};

#[derive(Serialize)]
struct LastRun {
    #[serde(flatten)]
    header: Header,
    state: Option<&'static str>,
    last_run_ns: Option<u64>,
    /// Time since then, by the clock of the task's run queue.
    ago_ns: Option<u64>,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
}

/// `-l` and `-m`: latest first.
pub(super) fn last_run(
    kernel: &Kernel,
    tasks: &[Task<'_>],
    ago: bool,
    cpus: Option<&str>,
    out: &mut Output,
) -> Outcome {
    let clocks: Vec<Option<u64>> =
        (0..kernel.per_cpu_offsets().len() as u32).map(|cpu| kernel.rq_clock(cpu).ok()).collect();
    let mut rows: Vec<LastRun> = tasks
        .par_iter()
        .map(|task| {
            let mut faults = Faults::default();
            let header = Header::new(*task, &mut faults);
            let last = faults.keep("sched_info.last_arrival", task.last_run_ns());
            let clock = header.cpu.and_then(|cpu| clocks.get(cpu as usize).copied().flatten());
            LastRun {
                state: faults.keep("task_struct.state", task.state()).map(|s| s.letters()),
                last_run_ns: last,
                ago_ns: clock.zip(last).map(|(clock, last)| clock.saturating_sub(last)),
                header,
                faults,
            }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.last_run_ns));
    // The latest is first, and so the widest.
    let width = rows.iter().find_map(|r| r.last_run_ns).map_or(0, |ns| ns.to_string().len());
    let Some(cpus) = cpus else {
        return rows.iter().try_for_each(|row| last_run_line(row, ago, width, out));
    };
    for (index, cpu) in cpu_list(kernel, cpus)?.into_iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        out.line(format_args!("CPU: {cpu}"))?;
        let mut mine = rows.iter().filter(|row| row.header.cpu == Some(cpu));
        mine.try_for_each(|row| last_run_line(row, ago, width, out))?;
    }
    Ok(())
}

fn last_run_line(row: &LastRun, ago: bool, width: usize, out: &mut Output) -> Outcome {
    out.record(row, |line| {
        let text = match (ago, row.last_run_ns, row.ago_ns) {
            (false, Some(last), _) => format!("{last:>width$}"),
            (true, _, Some(ns)) => days(ns),
            _ => "?".into(),
        };
        writeln!(line, "[{text}] [{}]  {}", row.state.unwrap_or("??"), row.header)
    })
}

/// `1 02:03:04.005`: days, hours, minutes, seconds.
fn days(ns: u64) -> String {
    let ms = ns / 1_000_000;
    let s = ms / 1000;
    format!("{} {:02}:{:02}:{:02}.{:03}", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60, ms % 1000)
}

pub(super) fn show(kernel: &Kernel, tasks: &[Task<'_>], flag: &str, out: &mut Output) -> Outcome {
    let all = match flag {
        "-c" | "-g" => kernel.tasks().tasks,
        _ => Vec::new(),
    };
    let mut groups_done = std::collections::HashSet::new();
    for task in tasks {
        out.check_interrupt()?;
        match flag {
            "-p" => ancestors(*task, out)?,
            "-c" => children(*task, &all, out)?,
            "-g" => {
                let tgid = task.tgid()?;
                if tgid != 0 && !groups_done.insert(tgid) {
                    continue;
                }
                group(*task, &all, out)?;
            }
            "-t" => times(kernel, *task, out)?,
            "-a" => arguments(*task, out)?,
            "-r" => limits(*task, out)?,
            _ => return Err(CommandError::usage(format!("unknown option {flag}"))),
        }
        out.line("")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Family {
    #[serde(flatten)]
    header: Header,
    relation: &'static str,
    of: Option<u64>,
    depth: usize,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
}

fn member(
    task: Task<'_>,
    relation: &'static str,
    of: Option<u64>,
    depth: usize,
    out: &mut Output,
) -> Outcome {
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let row = Family { header, relation, of, depth, faults };
    out.record(&row, |line| writeln!(line, "{:depth$}{}", "", row.header))
}

/// A chain of parents is never longer: each has an id of its own.
const MAX_ANCESTORS: usize = 4096;

fn ancestors(task: Task<'_>, out: &mut Output) -> Outcome {
    let mut chain = vec![task];
    let mut at = task;
    while chain.len() < MAX_ANCESTORS {
        let Ok(parent) = at.parent() else { break };
        if parent.address == at.address || chain.iter().any(|t| t.address == parent.address) {
            break;
        }
        chain.push(parent);
        at = parent;
    }
    let of = task.pid().ok();
    for (depth, ancestor) in chain.iter().rev().enumerate() {
        member(
            *ancestor,
            if ancestor.address == task.address { "self" } else { "ancestor" },
            of,
            depth,
            out,
        )?;
    }
    Ok(())
}

fn children(task: Task<'_>, all: &[Task<'_>], out: &mut Output) -> Outcome {
    let of = task.pid().ok();
    member(task, "self", of, 0, out)?;
    let mut none = true;
    for child in all {
        let parent = child.parent().map(|p| p.address);
        if parent == Ok(task.address) && child.address != task.address {
            none = false;
            member(*child, "child", of, 2, out)?;
        }
    }
    if none { out.line("  (no children)") } else { Ok(()) }
}

fn group(task: Task<'_>, all: &[Task<'_>], out: &mut Output) -> Outcome {
    let tgid = task.tgid()?;
    let leader = task.group_leader()?;
    let of = Some(tgid);
    member(leader, "leader", of, 0, out)?;
    if tgid == 0 {
        return Ok(());
    }
    for thread in all {
        if thread.tgid() == Ok(tgid) && thread.address != leader.address {
            member(*thread, "thread", of, 2, out)?;
        }
    }
    Ok(())
}

fn times(kernel: &Kernel, task: Task<'_>, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct Row {
        #[serde(flatten)]
        header: Header,
        run_time_ns: Option<u64>,
        start_time_ns: Option<u64>,
        utime_ns: Option<u64>,
        stime_ns: Option<u64>,
        #[serde(skip_serializing_if = "Faults::is_empty")]
        faults: Faults,
    }
    let mut faults = Faults::default();
    let shape = &kernel.shapes().task;
    let header = Header::new(task, &mut faults);
    let start_time_ns = faults.keep("task_struct.start_time", task.get(&shape.start_time));
    let row = Row {
        run_time_ns: kernel
            .clocks()
            .map(|clocks| clocks.monotonic_ns)
            .ok()
            .zip(start_time_ns)
            .map(|(now, start)| now.saturating_sub(start)),
        start_time_ns,
        utime_ns: faults.keep("task_struct.utime", task.get(&shape.utime)),
        stime_ns: faults.keep("task_struct.stime", task.get(&shape.stime)),
        header,
        faults,
    };
    out.record(&row, |line| {
        writeln!(line, "{}", row.header)?;
        let run = row.run_time_ns.map_or("?".into(), |ns| {
            let s = ns / 1_000_000_000;
            let days = s / 86400;
            let clock = format!("{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60);
            if days > 0 { format!("{days} days, {clock}") } else { clock }
        });
        let number = |n: Option<u64>| n.map_or("?".into(), |n| n.to_string());
        writeln!(line, "    RUN TIME: {run}")?;
        writeln!(line, "  START TIME: {}", number(row.start_time_ns))?;
        writeln!(line, "       UTIME: {}", number(row.utime_ns))?;
        writeln!(line, "       STIME: {}", number(row.stime_ns))
    })
}

fn arguments(task: Task<'_>, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct Row {
        #[serde(flatten)]
        header: Header,
        arguments: Vec<String>,
        environment: Vec<String>,
        kernel_thread: bool,
        faults: Faults,
    }
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let mm = faults.keep("task_struct.mm", task.mm()).flatten();
    let mut take =
        |what, environment| faults.keep(what, task.strings(environment)).unwrap_or_default();
    let (arguments, environment) = match mm {
        Some(_) => (take("arguments", false), take("environment", true)),
        None => Default::default(),
    };
    let row = Row { header, arguments, environment, kernel_thread: mm.is_none(), faults };
    out.record(&row, |line| {
        writeln!(line, "{}", row.header)?;
        if row.kernel_thread {
            return writeln!(line, "(no user stack)");
        }
        if let Some(fault) = row.faults.iter().next() {
            writeln!(line, "({}: {} at {})", fault.what, fault.reason, fault.address)?;
        }
        let arguments: String = row.arguments.iter().map(|a| format!("{a} ")).collect();
        writeln!(line, "ARG: {arguments}")?;
        for (index, text) in row.environment.iter().enumerate() {
            writeln!(line, "{} {text}", if index == 0 { "ENV:" } else { "    " })?;
        }
        Ok(())
    })
}

/// Resource limits by number (include/uapi/asm-generic/resource.h).
const LIMITS: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

fn limits(task: Task<'_>, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct Limit {
        limit: &'static str,
        current: Option<u64>,
        maximum: Option<u64>,
    }
    #[derive(Serialize)]
    struct Row {
        #[serde(flatten)]
        header: Header,
        /// `null` is unlimited.
        limits: Vec<Limit>,
        #[serde(skip_serializing_if = "Faults::is_empty")]
        faults: Faults,
    }
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let values = faults.keep("signal_struct.rlim", task.limits()).unwrap_or_default();
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let limits = LIMITS
        .into_iter()
        .zip(values)
        .map(|(limit, (current, maximum))| Limit {
            limit,
            current: finite(current),
            maximum: finite(maximum),
        })
        .collect();
    let row = Row { header, limits, faults };
    out.record(&row, |line| {
        writeln!(line, "{}", row.header)?;
        writeln!(line, "      RLIMIT     CURRENT       MAXIMUM  ")?;
        for limit in &row.limits {
            let text =
                |value: Option<u64>| value.map_or("(unlimited)".to_owned(), |v| format!("{v:^11}"));
            writeln!(
                line,
                "{:>12}   {:^11}   {:^11}",
                limit.limit,
                text(limit.current),
                text(limit.maximum)
            )?;
        }
        Ok(())
    })
}
