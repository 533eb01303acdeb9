//! The list of tasks, and what a task's structures say of it.

mod details;
mod list;

use std::collections::BTreeMap;

use necropsy_linux::{Kernel, task::Task};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::Output,
    session::Session,
    tasks,
};

pub(crate) static COMMAND: Command = Command {
    names: &["ps"],
    summary: "processes and threads",
    synopsis: "[-k | -u | -G | -A | -I] [-y policy] [-s] [-Y] [-H] [task] ...\n\
               [-p | -c | -t | -l | -m | -a | -g | -r | -S] [-C cpus] [task] ...",
    options: &[
        Opt { flag: "-k", value: None, help: "only kernel threads" },
        Opt { flag: "-u", value: None, help: "only user tasks" },
        Opt { flag: "-G", value: None, help: "only leaders of thread groups" },
        Opt { flag: "-A", value: None, help: "only tasks that run on a CPU" },
        Opt { flag: "-I", value: None, help: "without idle tasks" },
        Opt {
            flag: "-y",
            value: Some("policy"),
            help: "only these policies: NORMAL,FIFO,RR,BATCH,IDLE,DEADLINE or numbers",
        },
        Opt { flag: "-s", value: None, help: "the kernel stack pointer in place of the task" },
        Opt { flag: "-Y", value: None, help: "scheduling policy and priority as well" },
        Opt { flag: "-H", value: None, help: "no heading" },
        Opt { flag: "-p", value: None, help: "each task's ancestors" },
        Opt { flag: "-c", value: None, help: "each task's children" },
        Opt { flag: "-t", value: None, help: "run time, start time, user and system time" },
        Opt { flag: "-l", value: None, help: "when each last got a CPU, latest first (ns)" },
        Opt { flag: "-m", value: None, help: "how long ago that was, as days and h:m:s" },
        Opt { flag: "-C", value: Some("cpus"), help: "with -l or -m: by CPU" },
        Opt { flag: "-a", value: None, help: "arguments and environment" },
        Opt { flag: "-g", value: None, help: "by thread group" },
        Opt { flag: "-r", value: None, help: "resource limits" },
        Opt { flag: "-S", value: None, help: "how many tasks are in which state" },
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
    let detail = parsed.one_of(&["-p", "-c", "-t", "-l", "-m", "-a", "-g", "-r", "-S"])?;
    match detail {
        None => list::show(kernel, parsed, &chosen, out)?,
        Some("-S") => states(&chosen, out)?,
        Some(flag @ ("-l" | "-m")) => {
            details::last_run(kernel, &chosen, flag == "-m", parsed.value("-C"), out)?;
        }
        Some(flag) => details::show(kernel, &chosen, flag, out)?,
    }
    for error in errors {
        match error {
            necropsy_linux::Error::Fault(fault) => out.skipped("task", &fault),
            other => return Err(other.into()),
        }
    }
    Ok(())
}

fn filter(
    kernel: &Kernel,
    parsed: &Parsed,
    chosen: &mut Vec<Task<'_>>,
) -> Result<(), CommandError> {
    if parsed.has("-k") {
        chosen.retain(|t| t.is_kernel_thread().unwrap_or(true));
    } else if parsed.has("-u") {
        chosen.retain(|t| !t.is_kernel_thread().unwrap_or(false) && t.pid() != Ok(0));
    }
    if parsed.has("-G") {
        chosen.retain(|t| match (t.pid(), t.tgid()) {
            (Ok(pid), Ok(tgid)) => pid == tgid,
            _ => true,
        });
    }
    if parsed.has("-A") {
        chosen.retain(|t| kernel.running_on(*t).is_some());
    }
    if parsed.has("-I") {
        chosen.retain(|t| t.pid() != Ok(0));
    }
    if let Some(policies) = parsed.value("-y") {
        let wanted = policies
            .split(',')
            .map(|name| {
                list::policy_number(name)
                    .ok_or_else(|| CommandError::usage(format!("{name}: not a scheduling policy")))
            })
            .collect::<Result<Vec<u64>, _>>()?;
        chosen.retain(|t| t.policy().is_ok_and(|p| wanted.contains(&p)));
    }
    Ok(())
}

fn states(chosen: &[Task<'_>], out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct Row {
        state: &'static str,
        tasks: usize,
    }
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
        out.record(&Row { state, tasks }, |line| writeln!(line, "  {state}: {tasks}"))?;
    }
    Ok(())
}
