//! Tasks grouped by what their stacks have in common: everything.

use std::collections::HashMap;

use necropsy_linux::task::{State, Task};
use rayon::prelude::*;

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::Output,
    rows::locks::{SameStackRow, TaskRef},
    session::Session,
    tasks,
    waits::functions,
};

const STATE: Opt = Opt::value("-s", "state", "only tasks in this state: UN, IN, RU, …");
const FUNCTION: Opt = Opt::value("-f", "function", "only stacks with this function");
const MODULE: Opt = Opt::value("-m", "module", "only stacks with a function of this module");

pub(crate) static COMMAND: Command = Command {
    names: &["stacks"],
    summary: "tasks grouped by identical stacks",
    synopsis: "[-s state] [-f function] [-m module] [task] ...",
    options: &[STATE, FUNCTION, MODULE],
    rows: &[SameStackRow::TYPE],
    args: &[Arg::Task],
    description: "\
Groups tasks whose stacks hold the same functions, the largest group first. Tasks that run on a CPU
are traced from the registers that it saved.",
    examples: &[
        Example { about: "All tasks.", line: "stacks", output: "" },
        Example { about: "What those do that hang.", line: "stacks -s UN", output: "" },
    ],
    run,
};

/// What two tasks have in common: functions, and how the trace ends.
type Key = (Vec<String>, Option<String>);

/// The most tasks that are named in a line of text.
const NAMED: usize = 8;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut problems = Problems::default();
    let tasks = if parsed.args.is_empty() {
        let found = kernel.tasks();
        problems.extend(found.errors);
        found.tasks
    } else {
        tasks::select(kernel, &parsed.args)?
    };
    let state = parsed.value(STATE).map(str::to_uppercase);
    let wanted = |task: &&Task<'_>| {
        let letters = task.state().ok().map(State::letters);
        state.as_deref().is_none_or(|wanted| letters == Some(wanted))
    };
    let traced: Vec<(&Task<'_>, Key)> =
        tasks.par_iter().filter(wanted).map(|task| (task, functions(*task))).collect();
    let module = parsed.value(MODULE).map(|module| format!(" [{module}]"));
    let mut groups: HashMap<Key, Vec<&Task<'_>>> = HashMap::new();
    for (task, key) in traced {
        let has = |function: &str| {
            key.0.iter().any(|name| {
                name == function
                    || name.strip_prefix(function).is_some_and(|rest| rest.starts_with(" ["))
            })
        };
        let from = |module: &str| key.0.iter().any(|name| name.ends_with(module));
        if parsed.value(FUNCTION).is_none_or(has) && module.as_deref().is_none_or(from) {
            groups.entry(key).or_default().push(task);
        }
    }
    if groups.is_empty() {
        return Err(CommandError::failed("no task has such a stack"));
    }
    let mut groups: Vec<(Key, Vec<&Task<'_>>)> = groups.into_iter().collect();
    groups.sort_by(|(a, tasks), (b, others)| others.len().cmp(&tasks.len()).then_with(|| a.cmp(b)));
    for (index, ((stack, ended), tasks)) in groups.into_iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        show(stack, ended, &tasks, out)?;
    }
    problems.report("task", out)
}

fn show(
    stack: Vec<String>,
    ended: Option<String>,
    tasks: &[&Task<'_>],
    out: &mut Output,
) -> Outcome {
    let mut states: Vec<&'static str> =
        tasks.iter().filter_map(|task| task.state().ok()).map(State::letters).collect();
    states.sort_unstable();
    states.dedup();
    let row = SameStackRow {
        count: tasks.len(),
        states,
        tasks: tasks.iter().map(|task| TaskRef::new(**task)).collect(),
        stack,
        ended,
    };
    out.record(&row, |line| {
        let noun = if row.count == 1 { "task" } else { "tasks" };
        write!(line, "{} {noun} ({}):", row.count, row.states.join(" "))?;
        for (index, task) in row.tasks.iter().take(NAMED).enumerate() {
            write!(line, "{} {task}", if index > 0 { "," } else { "" })?;
        }
        if row.count > NAMED {
            write!(line, " and {} more", row.count - NAMED)?;
        }
        writeln!(line)?;
        for (index, function) in row.stack.iter().enumerate() {
            writeln!(line, "{:>4} {function}", format!("#{index}"))?;
        }
        match &row.ended {
            Some(ended) => writeln!(line, "    ({ended})"),
            None => Ok(()),
        }
    })
}
