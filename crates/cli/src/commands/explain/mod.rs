//! Why a register has the value it has.

mod row;

use necropsy_diagnose::{Case, diagnose_kernel, explain, waits::Graph};
use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::debug::FrameNumber;

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::{Faults, Output},
    rows::explain::{Explained, ExplanationRow},
    session::Session,
    tasks::{self, Header},
};

const TASK: Opt =
    Opt::value("-t", "task", "of this task: pid, task_struct address or command name");

pub(crate) static COMMAND: Command = Command {
    names: &["explain"],
    summary: "why a register has the value it has",
    synopsis: "[-t task] [frame]\n[task] [frame]",
    options: &[TASK],
    rows: &[ExplanationRow::TYPE],
    args: &[Arg::Number],
    description: "\
Follows the value that made an instruction fail back to where it came from: through the function's
code to its arguments, and on into its callers. Without arguments: the innermost exception of the task
that was set, at first the one that panicked, whatever frame is selected. A number is a frame of bt:
of an interrupted one its instruction is explained, of any other the arguments of its function. What
is no frame of the task is another task: its pid, its address or its name.

For an access to memory the address is judged, and the registers that it was made of are followed;
for a BUG or WARN the conditions that lead to it, and what they compared; for a division the
divisor. Where several ways lead to a trap, those that the registers contradict are marked.

Each step names a value as the source would (`sfd->id`), from the types in the dump, and says how
its value is known: in a register, on the stack, a constant of the code, computed from such values,
or recomputed from memory as it is in the dump now, which may be another than the code saw; where a
register still holds what was read, memory is compared with it. What is lost is said to be lost,
and why. What is likely and not proved is marked as inferred.",
    examples: &[
        Example { about: "The exception that ended it all.", line: "explain", output: "" },
        Example { about: "The arguments of the second function.", line: "explain 1", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let number = |text: &str| text.parse::<FrameNumber>().ok();
    // A word that is no frame of the task is a task, as in every other command.
    let context = session.context(kernel);
    let count = context.as_ref().ok().and_then(|task| task.trace().ok());
    let count = count.map_or(0, |trace| trace.number(trace.frames.len()));
    let is_frame = |text: &str| number(text).is_some_and(|number| number.index < count);
    let (word, frame) = match (parsed.value(TASK), parsed.arg(0), parsed.arg(1)) {
        (Some(task), frame, _) => (Some(task), frame),
        (None, Some(first), None) if is_frame(first) => (None, Some(first)),
        (None, task, frame) => (task, frame),
    };
    let mut task = match word {
        Some(word) => {
            let chosen = tasks::select(kernel, &[word.to_owned()])?;
            *chosen.first().ok_or_else(|| CommandError::failed(format!("{word}: no such task")))?
        }
        None => context?,
    };
    let wanted = match frame {
        Some(text) => Some(number(text).ok_or_else(|| {
            CommandError::usage(format!("{text}: not a frame's number, as bt shows them"))
        })?),
        None => None,
    };
    let panicked = kernel.panic_task().is_some_and(|panicked| panicked.address == task.address);
    let whole = panicked && wanted.is_none();
    let verdict = whole.then(|| diagnose_kernel(kernel).verdict).flatten();
    // The watchdog that panics is not what hangs.
    if let (Some(other), None) = (verdict.as_ref().and_then(|verdict| verdict.task), word) {
        task = kernel.task_at(other);
    }
    let mut trace = task.trace()?;
    let count = trace.number(trace.frames.len());
    let wanted = wanted.map(|number| number.index);
    if wanted.is_some_and(|index| index >= count) {
        return Err(CommandError::failed(format!("the task has {count} frames: see bt")));
    }
    if wanted.is_some_and(|index| index < trace.number(0)) {
        // One of those by which the kernel left.
        trace.frames = trace.all();
        trace.above.clear();
    }
    let first = trace.number(0);
    let wanted = wanted.map(|index| index - first);
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let case = Case::with_trace(kernel, task, trace);
    // What the processor says of the instruction that failed needs no analysis.
    let told = wanted.is_none() && case.exception().is_some();
    if !told && !necropsy_disasm::has_effects(kernel.target().isa()) {
        let machine = kernel.target().abi().arch;
        return Err(CommandError::missing(format!(
            "what instructions of {machine} do is not known here: bt, dis -r and rd show the rest"
        )));
    }
    let mut explanation = explain::explain(&case, wanted);
    explanation.renumber(&|on_stack| first + on_stack);
    if wanted.is_none_or(|wanted| wanted == 0) {
        explanation.story.extend(waits_for(kernel, task));
    }
    if let Some(verdict) = verdict {
        explanation.story.insert(0, format!("{}: {}.", verdict.title, verdict.statement));
    }
    let row = Explained { header, explanation, faults };
    out.record(&ExplanationRow(&row), |line| row.write(line))
}

/// What a task that sleeps waits for, and who has that.
fn waits_for(kernel: &Kernel, task: Task<'_>) -> Option<String> {
    if kernel.running_on(task).is_some() {
        return None;
    }
    let graph = Graph::of(kernel);
    let (contended, _) = graph.waits_for(task.address)?;
    let lock = contended.lock;
    let name = contended.name.clone().unwrap_or_else(|| format!("{:x}", lock.address));
    let who = |task: u64| {
        let task = kernel.task_at(task);
        match (task.comm(), task.pid()) {
            (Ok(comm), Ok(pid)) => format!("{comm} (pid {pid})"),
            _ => format!("the task at {:x}", task.address),
        }
    };
    let holder = match contended.held_by() {
        Some(holder) => format!(
            ", which {} has ({})",
            who(holder),
            contended.holder.certainty.name().replace('_', " ")
        ),
        None => String::new(),
    };
    Some(format!(
        "It sleeps, and waits for the {} {name} at {:x}{holder}.",
        lock.kind.name(),
        lock.address
    ))
}
