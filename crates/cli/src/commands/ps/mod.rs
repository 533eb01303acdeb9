//! The list of tasks, and what a task's structures say of it.

mod details;
mod list;

use std::collections::BTreeMap;

use necropsy_linux::{Kernel, task::Task};
use rayon::prelude::*;

use crate::rows::tasks::{
    ArgumentsRow, LastRunRow, LimitsRow, RelativeRow, StateRow, TaskRow, TimesRow,
};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::Output,
    session::Session,
    tasks,
};

pub(super) const KERNEL: Opt = Opt::flag("-k", "only kernel threads");
pub(super) const USER: Opt = Opt::flag("-u", "only user tasks");
pub(super) const LEADERS: Opt = Opt::flag("-G", "only leaders of thread groups");
pub(super) const ACTIVE: Opt = Opt::flag("-A", "only tasks that run on a CPU");
pub(super) const NO_IDLE: Opt = Opt::flag("-I", "without idle tasks");
pub(super) const POLICIES: Opt = Opt::value(
    "-y",
    "policy",
    "only these policies: NORMAL,FIFO,RR,BATCH,IDLE,DEADLINE or numbers",
);
pub(super) const STACK_POINTER: Opt =
    Opt::flag("-s", "the kernel stack pointer in place of the task");
pub(super) const SCHEDULING: Opt = Opt::flag("-Y", "scheduling policy and priority as well");
pub(super) const NO_HEADING: Opt = Opt::flag("-H", "no heading");
pub(super) const PARENTS: Opt = Opt::flag("-p", "each task's ancestors");
pub(super) const CHILDREN: Opt = Opt::flag("-c", "each task's children");
pub(super) const TIMES: Opt = Opt::flag("-t", "run time, start time, user and system time");
pub(super) const LAST_RUN: Opt = Opt::flag("-l", "when each last got a CPU, latest first (ns)");
pub(super) const AGO: Opt = Opt::flag("-m", "how long ago that was, as days and h:m:s");
pub(super) const CPUS: Opt = Opt::value("-C", "cpus", "with -l or -m: by CPU");
pub(super) const ARGUMENTS: Opt = Opt::flag("-a", "arguments and environment");
pub(super) const GROUPS: Opt = Opt::flag("-g", "by thread group");
pub(super) const LIMITS: Opt = Opt::flag("-r", "resource limits");
pub(super) const STATES: Opt = Opt::flag("-S", "how many tasks are in which state");

pub(crate) static COMMAND: Command = Command {
    names: &["ps"],
    summary: "processes and threads",
    synopsis: "[-k | -u | -G | -A | -I] [-y policy] [-s] [-Y] [-H] [task] ...\n\
               [-p | -c | -t | -l | -m | -a | -g | -r | -S] [-C cpus] [task] ...",
    options: &[
        KERNEL,
        USER,
        LEADERS,
        ACTIVE,
        NO_IDLE,
        POLICIES,
        STACK_POINTER,
        SCHEDULING,
        NO_HEADING,
        PARENTS,
        CHILDREN,
        TIMES,
        LAST_RUN,
        AGO,
        CPUS,
        ARGUMENTS,
        GROUPS,
        LIMITS,
        STATES,
    ],
    rows: &[
        TaskRow::TYPE,
        RelativeRow::TYPE,
        TimesRow::TYPE,
        LastRunRow::TYPE,
        ArgumentsRow::TYPE,
        LimitsRow::TYPE,
        StateRow::TYPE,
    ],
    args: &[Arg::Task],
    description: "\
Lists tasks: all, or those given by pid, task_struct address, command name or 'regular expression'.
A \">\" marks the task that runs on its CPU; kernel threads stand in brackets.

Tasks come from the table of pids, and where that is damaged, from the list of processes and
threads as well; what could not be read is reported at the end.

ST is the state: RU running or runnable, IN interruptible, UN uninterruptible, ZO zombie, ST
stopped, TR traced, DE dead, ID idle, PA parked, NE new, WA waking. %MEM and RSS count resident
pages, RSS and VSZ in kilobytes.",
    examples: &[
        Example {
            about: "Tasks that block uninterruptibly, longest first.",
            line: "ps -m | grep UN | tail",
            output: "",
        },
        Example { about: "States in numbers.", line: "ps -S", output: "" },
        Example { about: "What a task was started with.", line: "ps -a 1", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut errors = Vec::new();
    let mut chosen = if parsed.args.is_empty() {
        let all = kernel.tasks();
        errors = all.errors;
        all.tasks
    } else {
        tasks::select(kernel, &parsed.args)?
    };
    filter(kernel, parsed, &mut chosen)?;
    let detail = parsed
        .one_of(&[PARENTS, CHILDREN, TIMES, LAST_RUN, AGO, ARGUMENTS, GROUPS, LIMITS, STATES])?;
    match detail {
        None => list::show(kernel, parsed, &chosen, out)?,
        Some(STATES) => states(&chosen, out)?,
        Some(flag @ (LAST_RUN | AGO)) => {
            details::last_run(kernel, &chosen, flag == AGO, parsed.value(CPUS), out)?;
        }
        Some(flag) => details::show(kernel, &chosen, flag, out)?,
    }
    let mut problems = Problems::default();
    problems.extend(errors);
    problems.report("task", out)
}

fn filter(
    kernel: &Kernel,
    parsed: &Parsed,
    chosen: &mut Vec<Task<'_>>,
) -> Result<(), CommandError> {
    if parsed.has(KERNEL) {
        chosen.retain(|t| t.is_kernel_thread().unwrap_or(true));
    } else if parsed.has(USER) {
        chosen.retain(|t| !t.is_kernel_thread().unwrap_or(false) && t.pid() != Ok(0));
    }
    if parsed.has(LEADERS) {
        chosen.retain(|t| match (t.pid(), t.tgid()) {
            (Ok(pid), Ok(tgid)) => pid == tgid,
            _ => true,
        });
    }
    if parsed.has(ACTIVE) {
        chosen.retain(|t| kernel.running_on(*t).is_some());
    }
    if parsed.has(NO_IDLE) {
        chosen.retain(|t| t.pid() != Ok(0));
    }
    if let Some(policies) = parsed.value(POLICIES) {
        let wanted = policies
            .split(',')
            .map(|name| {
                necropsy_linux::uapi::policy_number(name)
                    .ok_or_else(|| CommandError::usage(format!("{name}: not a scheduling policy")))
            })
            .collect::<Result<Vec<u64>, _>>()?;
        chosen.retain(|t| t.policy().is_ok_and(|p| wanted.contains(&p)));
    }
    Ok(())
}

fn states(chosen: &[Task<'_>], out: &mut Output) -> Outcome {
    let letters: Vec<&'static str> =
        chosen.par_iter().map(|t| t.state().map_or("??", |s| s.letters())).collect();
    let mut counts: BTreeMap<usize, (&'static str, usize)> = BTreeMap::new();
    // In the order in which they first occur, as crash.
    let mut order: Vec<&'static str> = Vec::new();
    for state in letters {
        let place = order.iter().position(|s| *s == state).unwrap_or_else(|| {
            order.push(state);
            order.len() - 1
        });
        counts.entry(place).or_insert((state, 0)).1 += 1;
    }
    for (state, tasks) in counts.into_values() {
        out.record(&StateRow { state, tasks }, |line| writeln!(line, "  {state}: {tasks}"))?;
    }
    Ok(())
}
