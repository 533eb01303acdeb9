//! `ps` by task: family, times, arguments, limits.

use necropsy_linux::{Kernel, task::Task, uapi::LIMITS};
use rayon::prelude::*;

use super::{ARGUMENTS, CHILDREN, GROUPS, LIMITS as RESOURCES, PARENTS, TIMES};
use crate::rows::tasks::{ArgumentsRow, LastRunRow, LimitRow, LimitsRow, RelativeRow, TimesRow};
use crate::{
    CommandError, Outcome,
    command::Opt,
    cpus::cpu_list,
    render::{Faults, Output},
    tasks::Header,
};

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
    let mut rows: Vec<LastRunRow> = tasks
        .par_iter()
        .map(|task| {
            let mut faults = Faults::default();
            let header = Header::new(*task, &mut faults);
            let last = faults.keep(task.last_run_ns());
            let clock = header.cpu.and_then(|cpu| clocks.get(cpu as usize).copied().flatten());
            LastRunRow {
                state: faults.keep(task.state()).map(|s| s.letters()),
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

fn last_run_line(row: &LastRunRow, ago: bool, width: usize, out: &mut Output) -> Outcome {
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

pub(super) fn show(kernel: &Kernel, tasks: &[Task<'_>], flag: Opt, out: &mut Output) -> Outcome {
    let all = match flag {
        CHILDREN | GROUPS => kernel.tasks().tasks,
        _ => Vec::new(),
    };
    let mut groups_done = std::collections::HashSet::new();
    for task in tasks {
        out.check_interrupt()?;
        match flag {
            PARENTS => ancestors(*task, out)?,
            CHILDREN => children(*task, &all, out)?,
            GROUPS => {
                let tgid = task.tgid()?;
                if tgid != 0 && !groups_done.insert(tgid) {
                    continue;
                }
                group(*task, &all, out)?;
            }
            TIMES => times(kernel, *task, out)?,
            ARGUMENTS => arguments(*task, out)?,
            RESOURCES => limits(*task, out)?,
            _ => return Err(CommandError::usage(format!("unknown option {}", flag.flag))),
        }
        out.line("")?;
    }
    Ok(())
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
    let row = RelativeRow { header, relation, of, depth, faults };
    out.record(&row, |line| writeln!(line, "{:depth$}{}", "", row.header))
}

fn ancestors(task: Task<'_>, out: &mut Output) -> Outcome {
    let chain = task.ancestors();
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
    let children = task.children(all);
    for child in &children {
        member(*child, "child", of, 2, out)?;
    }
    if children.is_empty() { out.line("  (no children)") } else { Ok(()) }
}

fn group(task: Task<'_>, all: &[Task<'_>], out: &mut Output) -> Outcome {
    let of = Some(task.tgid()?);
    let (leader, others) = task.thread_group(all)?;
    member(leader, "leader", of, 0, out)?;
    others.iter().try_for_each(|thread| member(*thread, "thread", of, 2, out))?;
    if others.is_empty() { out.line("  (no threads)") } else { Ok(()) }
}

fn times(kernel: &Kernel, task: Task<'_>, out: &mut Output) -> Outcome {
    let mut faults = Faults::default();
    let shape = &kernel.shapes().task;
    let header = Header::new(task, &mut faults);
    let start_time_ns = faults.keep(task.get(&shape.start_time));
    let row = TimesRow {
        run_time_ns: kernel
            .clocks()
            .map(|clocks| clocks.monotonic_ns)
            .ok()
            .zip(start_time_ns)
            .map(|(now, start)| now.saturating_sub(start)),
        start_time_ns,
        utime_ns: faults.keep(task.get(&shape.utime)),
        stime_ns: faults.keep(task.get(&shape.stime)),
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
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let mm = faults.keep(task.mm()).flatten();
    let mut take =
        |what, environment| faults.keep_as(what, task.strings(environment)).unwrap_or_default();
    let (arguments, environment) = match mm {
        Some(_) => (take("arguments", false), take("environment", true)),
        None => Default::default(),
    };
    let row = ArgumentsRow { header, arguments, environment, kernel_thread: mm.is_none(), faults };
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

fn limits(task: Task<'_>, out: &mut Output) -> Outcome {
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let values = faults.keep(task.limits()).unwrap_or_default();
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let limits = LIMITS
        .into_iter()
        .zip(values)
        .map(|(limit, (current, maximum))| LimitRow {
            limit,
            current: finite(current),
            maximum: finite(maximum),
        })
        .collect();
    let row = LimitsRow { header, limits, faults };
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
