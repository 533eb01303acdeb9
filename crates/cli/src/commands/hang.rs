//! Tasks that hang, and what for.

use std::collections::{BTreeMap, HashMap, HashSet};

use necropsy_diagnose::waits::{Contended, Graph, Waiter};
use necropsy_linux::{
    locks::{Certainty, FoundBy, Lock, Mode},
    task::State,
};
use rayon::prelude::*;

use crate::{
    Outcome, addresses,
    command::{Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::locks::{HangRow, HolderRow, WaiterRow},
    session::Session,
    waits::{age, functions, lock_text, verb},
};

const LEAST: Opt = Opt::value("-t", "seconds", "only tasks that have waited at least so long");

pub(crate) static COMMAND: Command = Command {
    names: &["hang"],
    summary: "tasks that sleep uninterruptibly, what they wait for, what its holder does",
    synopsis: "[-t seconds]",
    options: &[LEAST],
    rows: &[HangRow::TYPE],
    args: &[],
    description: "\
Shows tasks in state UN, and others that wait for a lock, grouped by stack and by what they wait
for; the group that has waited longest comes first. Kernel threads that only wait for work are in
state ID or IN and are not shown. See locks for all that is known of a lock, stacks for all tasks.",
    examples: &[Example {
        about: "What the hung-task detector would have told after two minutes.",
        line: "hang -t 120",
        output: "",
    }],
    run,
};

/// The most tasks that are named in text.
const NAMED: usize = 10;
/// The most frames of a holder's stack in text.
const HOLDER_FRAMES: usize = 12;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let least = match parsed.value(LEAST) {
        Some(seconds) => addresses::count(seconds)?.saturating_mul(1_000_000_000),
        None => 0,
    };
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut graph = Graph::of(kernel);
    let mut problems = Problems::default();
    problems.extend(std::mem::take(&mut graph.errors));
    let mut waiting: Vec<(Waiter, Option<&Contended>)> = graph
        .locks
        .iter()
        .flat_map(|lock| lock.waiters.iter().map(move |waiter| (*waiter, Some(lock))))
        .collect();
    let known: HashSet<u64> = waiting.iter().map(|(waiter, _)| waiter.task).collect();
    let now = kernel.online_cpus().into_iter().filter_map(|cpu| kernel.rq_clock(cpu).ok()).max();
    for task in kernel.tasks().tasks {
        if task.state() == Ok(State::Uninterruptible) && !known.contains(&task.address) {
            let began = task.last_run_ns().ok();
            let since_ns = now.zip(began).and_then(|(now, began)| now.checked_sub(began));
            let (mode, found_by) = (Mode::Event, FoundBy::StackWord);
            let waiter = Waiter { task: task.address, mode, found_by, since_ns, asleep: true };
            waiting.push((waiter, None));
        }
    }
    waiting.retain(|(waiter, _)| least == 0 || waiter.since_ns.is_some_and(|ns| ns >= least));
    let stuck = stuck(&graph);
    let stacks: Vec<Vec<String>> =
        waiting.par_iter().map(|(waiter, _)| functions(kernel.task_at(waiter.task)).0).collect();
    let mut groups: BTreeMap<(Option<Lock>, Vec<String>), Group<'_>> = BTreeMap::new();
    for ((waiter, lock), stack) in waiting.into_iter().zip(stacks) {
        let group = groups.entry((lock.map(|lock| lock.lock), stack)).or_default();
        group.waiters.push(waiter);
        group.lock = lock;
    }
    let mut groups: Vec<(Vec<String>, Group<'_>)> =
        groups.into_iter().map(|((_, stack), group)| (stack, group)).collect();
    for (_, group) in &mut groups {
        group.waiters.sort_by_key(|waiter| std::cmp::Reverse(waiter.since_ns));
    }
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.longest()));
    if groups.is_empty() {
        out.line("no task hangs")?;
    }
    for (index, (stack, group)) in groups.into_iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        show(&graph, stack, &group, &stuck, out)?;
    }
    problems.report("task", out)
}

#[derive(Default)]
struct Group<'g> {
    waiters: Vec<Waiter>,
    lock: Option<&'g Contended>,
}

impl Group<'_> {
    fn longest(&self) -> Option<u64> {
        self.waiters.first().and_then(|waiter| waiter.since_ns)
    }
}

/// Tasks that wait for each other, and all that wait for one of those: how well that is known.
type Stuck = HashMap<u64, Certainty>;

fn stuck(graph: &Graph<'_>) -> Stuck {
    let cycles = graph.cycles().into_iter();
    let steps = cycles.flat_map(|cycle| cycle.steps.into_iter().map(move |s| (s, cycle.certainty)));
    let mut stuck: Stuck = steps.map(|(step, certainty)| (step.task, certainty)).collect();
    // Each round adds a task or ends.
    loop {
        let before = stuck.len();
        for lock in &graph.locks {
            let holder = lock.held_by().and_then(|holder| stuck.get(&holder).copied());
            let Some(certainty) = holder else { continue };
            for waiter in &lock.waiters {
                stuck.entry(waiter.task).or_insert(certainty.max(lock.holder.certainty));
            }
        }
        if stuck.len() == before {
            return stuck;
        }
    }
}

fn show(
    graph: &Graph<'_>,
    stack: Vec<String>,
    group: &Group<'_>,
    stuck: &Stuck,
    out: &mut Output,
) -> Outcome {
    let kernel = graph.kernel;
    let holder = group.lock.map(|lock| HolderRow::new(graph, lock.holder));
    let task = group.lock.and_then(Contended::held_by).filter(|task| graph.exists(*task));
    let known = group.waiters.iter().filter_map(|waiter| stuck.get(&waiter.task).copied());
    let certainty = known.min();
    let row = HangRow {
        count: group.waiters.len(),
        longest_ns: group.longest(),
        tasks: group.waiters.iter().map(|waiter| WaiterRow::new(kernel, waiter)).collect(),
        waits_for: group.lock.map(|lock| Hex(lock.lock.address)),
        kind: group.lock.map(|lock| lock.lock.kind.name()),
        name: group.lock.and_then(|lock| lock.name.clone()),
        holder,
        holder_stack: task.map_or_else(Vec::new, |task| functions(kernel.task_at(task)).0),
        deadlock: certainty == Some(Certainty::Known),
        deadlock_certainty: certainty.map(Certainty::name),
        stack,
    };
    out.record(&row, |line| {
        let noun = if row.count == 1 { "task has" } else { "tasks have" };
        writeln!(line, "{} {noun} waited for up to {}:", row.count, age(row.longest_ns))?;
        for task in row.tasks.iter().take(NAMED) {
            let pid = task.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
            writeln!(
                line,
                "  {pid:>8} {:016x} {} {:>10}  {}",
                task.task.0,
                task.state.unwrap_or("??"),
                age(task.since_ns),
                task.comm.as_deref().unwrap_or("?")
            )?;
        }
        if row.count > NAMED {
            writeln!(line, "           and {} more", row.count - NAMED)?;
        }
        if let (Some(lock), Some(holder)) = (group.lock, &row.holder) {
            writeln!(line, "  for {}", lock_text(lock.lock, row.name.as_deref()))?;
            writeln!(line, "  {}: {holder}", verb(lock.lock))?;
        }
        match certainty {
            None => {}
            Some(Certainty::Known) => {
                writeln!(line, "  DEADLOCK: they can never go on, see locks")?;
            }
            Some(_) => writeln!(line, "  DEADLOCK, if all hold what they seem to: see locks")?,
        }
        for (index, function) in row.stack.iter().enumerate() {
            writeln!(line, "  {:>4} {function}", format!("#{index}"))?;
        }
        if !row.holder_stack.is_empty() && certainty.is_none() {
            writeln!(line, "  its holder:")?;
            for (index, function) in row.holder_stack.iter().take(HOLDER_FRAMES).enumerate() {
                writeln!(line, "  {:>4} {function}", format!("#{index}"))?;
            }
        }
        Ok(())
    })
}
