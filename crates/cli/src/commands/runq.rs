//! What each CPU runs and what waits for it.

use std::fmt::{self, Write};

use necropsy_linux::{
    Kernel,
    runq::{Item, Queue, Queued, RunQueue},
    task::Task,
};

use crate::rows::runq::{
    ClockRow, FlaggedRow, GroupRow, LagRow, MemberRow, QueueRow, QueuedTask, WaitingRow,
};
use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    cpus::cpu_list,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
};

const CLOCKS: Opt = Opt::flag("-t", "the clock of each queue, and when its task got the CPU (ns)");
const LAG: Opt = Opt::flag("-T", "how far each queue's clock lags behind the latest");
const RAN: Opt = Opt::flag("-m", "for how long each running task has had its CPU");
const GROUPS: Opt = Opt::flag("-g", "by task group, running tasks included");
const ON_QUEUES: Opt =
    Opt::flag("-d", "tasks whose own flag says that they are on a queue (on_rq)");
const CPUS: Opt = Opt::value("-c", "cpus", "only these CPUs: 1,3-5");

pub(crate) static COMMAND: Command = Command {
    names: &["runq"],
    summary: "run queues",
    synopsis: "[-t | -T | -m | -g | -d] [-c cpus]",
    options: &[CLOCKS, LAG, RAN, GROUPS, ON_QUEUES, CPUS],
    rows: &[
        QueueRow::TYPE,
        ClockRow::TYPE,
        LagRow::TYPE,
        GroupRow::TYPE,
        MemberRow::TYPE,
        FlaggedRow::TYPE,
    ],
    args: &[],
    description: "\
Shows the run queue of each CPU: the running task, the tasks that wait in the real-time class by
priority, and those of the fair class in the order of their virtual time. Tasks of the deadline
class are shown where there are any. The number in brackets is the priority: 0 to 99 real time,
100 to 139 the others. A CPU's stopper (migration/N) is shown where it waits.

(DELAYED) marks a task that sleeps already and stays queued to pay its debt of time (6.12).
A queue's clock is set as its CPU schedules: one that lags belongs to a CPU that hangs or idles.",
    examples: &[
        Example {
            about: "Which CPU stopped scheduling, and how long ago.",
            line: "runq -T",
            output: "",
        },
        Example { about: "The groups of one CPU.", line: "runq -g -c 1", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let cpus = match parsed.value(CPUS) {
        Some(cpus) => cpu_list(kernel, cpus)?,
        None => kernel.online_cpus(),
    };
    let mut problems = Problems::default();
    let flag = parsed.one_of(&[CLOCKS, LAG, RAN, GROUPS, ON_QUEUES])?;
    if flag == Some(ON_QUEUES) {
        on_queues(kernel, &cpus, &mut problems, out)?;
        return problems.report("task", out);
    }
    let queues = cpus
        .iter()
        .map(|cpu| Ok(RunQueue::of(kernel, *cpu)?))
        .collect::<Result<Vec<_>, CommandError>>()?;
    match flag {
        Some(LAG) => lag(&queues, &mut problems, out)?,
        Some(GROUPS) => {
            for (index, queue) in queues.iter().enumerate() {
                if index > 0 {
                    out.line("")?;
                }
                groups(queue, &mut problems, out)?;
            }
        }
        Some(flag) => {
            for queue in &queues {
                clocks(queue, flag == RAN, &mut problems, out)?;
            }
        }
        None => {
            for (index, queue) in queues.iter().enumerate() {
                if index > 0 {
                    out.line("")?;
                }
                plain(queue, &mut problems, out)?;
            }
        }
    }
    problems.report("run queue", out)
}

/// The tasks that say themselves that they are queued: where a queue is damaged, or to compare.
fn on_queues(kernel: &Kernel, cpus: &[u32], problems: &mut Problems, out: &mut Output) -> Outcome {
    let mut queued = Vec::new();
    for task in kernel.tasks().tasks {
        let on_rq = problems.keep(task.get(&kernel.shapes().task_entities.on_rq));
        if on_rq.is_some_and(|on_rq| on_rq != 0)
            && let Some(cpu) = problems.keep(task.cpu())
        {
            queued.push((cpu, task));
        }
    }
    for (index, &cpu) in cpus.iter().enumerate() {
        if index > 0 {
            out.title("")?;
        }
        out.title(&format!("CPU {cpu}"))?;
        for (_, task) in queued.iter().filter(|(of, _)| *of == cpu) {
            let prio = problems.keep(task.priority());
            let row = FlaggedRow { cpu, prio, task: QueuedTask::new(*task, problems) };
            out.record(&row, |line| {
                let prio = row.prio.map_or_else(|| "?".to_owned(), |prio| prio.to_string());
                writeln!(line, "     [{prio:>3}] {}", row.task)
            })?;
        }
    }
    Ok(())
}

impl QueuedTask {
    fn new(task: Task<'_>, problems: &mut Problems) -> Self {
        QueuedTask {
            pid: problems.keep(task.pid()),
            task: Hex(task.address),
            comm: problems.keep(task.comm()),
        }
    }
}

impl fmt::Display for QueuedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        let comm = self.comm.as_deref().unwrap_or("?");
        write!(f, "PID: {pid:<6} TASK: {:016x}  COMMAND: \"{comm}\"", self.task.0)
    }
}

/// A class's queue on a CPU, as the plain form shows it.
struct Section<'a, 'k> {
    title: &'static str,
    class: &'static str,
    queue: &'a Queue<'k>,
}

fn plain(rq: &RunQueue<'_>, problems: &mut Problems, out: &mut Output) -> Outcome {
    let current = problems.keep(rq.current()).map(|task| QueuedTask::new(task, problems));
    let realtime = problems.keep(rq.realtime());
    let fair = problems.keep(rq.fair());
    let deadline = rq.deadline().ok().filter(|queue| !queue.items.is_empty());
    let mut sections = Vec::new();
    let all = [
        ("RT PRIO_ARRAY", "rt", &realtime),
        ("CFS RB_ROOT", "fair", &fair),
        ("DL RB_ROOT", "deadline", &deadline),
    ];
    for (title, class, queue) in all {
        if let Some(queue) = queue {
            problems.extend(queue.all_errors().into_iter().cloned());
            sections.push(Section { title, class, queue });
        }
    }
    let mut row = QueueRow { cpu: rq.cpu, runqueue: Hex(rq.address), current, waiting: Vec::new() };
    let mut text = String::new();
    if let Some(stopper) = problems.keep(rq.waiting_stopper()).flatten() {
        let task = QueuedTask::new(stopper, problems);
        let _ = writeln!(text, "  STOPPER WAITS: {task}");
        row.waiting.push(WaitingRow { class: "stop", prio: None, delayed: false, task });
    }
    for section in &sections {
        let _ = writeln!(text, "  {}: {:016x}", section.title, section.queue.root);
        // The running task is not in the tree of its class, or need not be told again.
        let tasks: Vec<&Queued<'_>> =
            section.queue.tasks().into_iter().filter(|task| !task.current).collect();
        if tasks.is_empty() {
            let _ = writeln!(text, "     [no tasks queued]");
        }
        for queued in tasks {
            let waiting = WaitingRow {
                class: section.class,
                prio: problems.keep(queued.prio.clone()),
                delayed: queued.delayed,
                task: QueuedTask::new(queued.task, problems),
            };
            let _ = writeln!(text, "     {} {}{}", prio(waiting.prio), waiting.task, mark(queued));
            row.waiting.push(waiting);
        }
    }
    out.record(&row, |line| {
        writeln!(line, "CPU {} RUNQUEUE: {:016x}", row.cpu, row.runqueue.0)?;
        match &row.current {
            Some(current) => writeln!(line, "  CURRENT: {current}")?,
            None => writeln!(line, "  CURRENT: ?")?,
        }
        line.write_str(&text)
    })
}

fn prio(prio: Option<u64>) -> String {
    prio.map_or_else(|| "[  ?]".to_owned(), |prio| format!("[{prio:3}]"))
}

fn mark(queued: &Queued<'_>) -> &'static str {
    match (queued.current, queued.delayed) {
        (true, _) => " [CURRENT]",
        (false, true) => " (DELAYED)",
        (false, false) => "",
    }
}

fn clocks(rq: &RunQueue<'_>, elapsed: bool, problems: &mut Problems, out: &mut Output) -> Outcome {
    let task = problems.keep(rq.current());
    let row = ClockRow {
        cpu: rq.cpu,
        clock_ns: problems.keep(rq.clock_ns()),
        last_run_ns: task.and_then(|task| problems.keep(task.last_run_ns())),
        ran_ns: problems.keep(rq.current_ran_ns()),
        task: task.map(|task| QueuedTask::new(task, problems)),
    };
    let number = |ns: Option<u64>| ns.map_or_else(|| "?".to_owned(), |ns| ns.to_string());
    let task = row.task.as_ref().map_or_else(|| "?".to_owned(), QueuedTask::to_string);
    out.record(&row, |line| {
        let head = format!(" CPU {}: ", row.cpu);
        if elapsed {
            let time = row.ran_ns.map_or_else(|| "?".to_owned(), days);
            return writeln!(line, "{head}[{time}]  {task}");
        }
        let clock = number(row.clock_ns);
        let width = clock.len();
        writeln!(line, "{head}{clock}")?;
        writeln!(
            line,
            "{:indent$}{:>width$}  {task}",
            "",
            number(row.last_run_ns),
            indent = head.len()
        )
    })
}

/// `0 00:00:00.234`: days, hours, minutes, seconds, milliseconds.
fn days(ns: u64) -> String {
    let ms = ns / 1_000_000;
    let (s, m, h) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    format!("{} {:02}:{:02}:{:02}.{:03}", h / 24, h % 24, m % 60, s % 60, ms % 1000)
}

fn lag(queues: &[RunQueue<'_>], problems: &mut Problems, out: &mut Output) -> Outcome {
    let mut clocks: Vec<(u64, u32)> =
        queues.iter().filter_map(|rq| Some((problems.keep(rq.clock_ns())?, rq.cpu))).collect();
    clocks.sort_by_key(|(clock, _)| std::cmp::Reverse(*clock));
    let latest = clocks.first().map_or(0, |first| first.0);
    for (clock, cpu) in clocks {
        let row = LagRow { cpu, lag_ns: latest - clock };
        out.record(&row, |line| {
            let hundredths = row.lag_ns.saturating_add(5_000_000) / 10_000_000;
            writeln!(line, "  CPU {cpu}: {}.{:02} secs", hundredths / 100, hundredths % 100)
        })?;
    }
    Ok(())
}

fn groups(rq: &RunQueue<'_>, problems: &mut Problems, out: &mut Output) -> Outcome {
    out.line(format_args!("CPU {}", rq.cpu))?;
    match problems.keep(rq.current()).map(|task| QueuedTask::new(task, problems)) {
        Some(current) => out.line(format_args!("  CURRENT: {current}"))?,
        None => out.line("  CURRENT: ?")?,
    }
    if let Some(queue) = problems.keep(rq.realtime())
        && (queue.group.is_some() || !queue.items.is_empty())
    {
        group(rq.cpu, "rt", &queue, None, 0, problems, out)?;
    }
    if let Some(queue) = problems.keep(rq.fair()) {
        group(rq.cpu, "fair", &queue, None, 0, problems, out)?;
    }
    Ok(())
}

fn group(
    cpu: u32,
    class: &'static str,
    queue: &Queue<'_>,
    at: Option<u64>,
    depth: usize,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    problems.extend(queue.errors.iter().cloned());
    let indent = 2 + depth * 3;
    let row = GroupRow {
        cpu,
        depth,
        task_group: queue.group.as_ref().map(|group| Hex(group.address)),
        name: queue.group.as_ref().and_then(|group| group.name.clone()),
        queue: Hex(queue.address),
        class,
        throttled: queue.throttled,
    };
    out.record(&row, |line| {
        write!(line, "{:indent$}", "")?;
        if let Some(at) = at {
            write!(line, "{} ", prio(Some(at)))?;
        }
        if let Some(group) = &queue.group {
            let root = if group.is_root { "ROOT_" } else { "" };
            write!(line, "{root}TASK_GROUP: {:016x}  ", group.address)?;
        }
        let kind = if class == "rt" { "RT_RQ" } else { "CFS_RQ" };
        write!(line, "{kind}: {:016x}", queue.address)?;
        if let Some(name) = &row.name {
            write!(line, "  <{name}>")?;
        }
        writeln!(line, "{}", if queue.throttled { " (THROTTLED)" } else { "" })
    })?;
    if queue.items.is_empty() {
        out.line(format_args!("{:indent$}   [no tasks queued]", ""))?;
    }
    for item in &queue.items {
        match item {
            Item::Group { prio, queue } => {
                group(cpu, class, queue, *prio, depth + 1, problems, out)?;
            }
            Item::Task(queued) => {
                let row = MemberRow {
                    cpu,
                    depth: depth + 1,
                    prio: problems.keep(queued.prio.clone()),
                    current: queued.current,
                    delayed: queued.delayed,
                    task: QueuedTask::new(queued.task, problems),
                };
                out.record(&row, |line| {
                    let prio = prio(row.prio);
                    writeln!(line, "{:indent$}   {prio} {}{}", "", row.task, mark(queued))
                })?;
            }
        }
    }
    Ok(())
}
