//! Signals of tasks.

use necropsy_linux::{
    Kernel, signal,
    signal::{Action, Pending},
    task::Task,
};

use crate::rows::ipc::SignalRow;
use crate::{
    Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    tasks::{self, Header},
};

const LIST: Opt = Opt::flag("-l", "numbers and names of all signals");
const SET: Opt = Opt::value("-s", "set", "the signals of this set, a hexadecimal number");
const GROUP: Opt = Opt::flag("-g", "the process, then each of its threads");

pub(crate) static COMMAND: Command = Command {
    names: &["sig"],
    summary: "signals of tasks: handlers, blocked, pending",
    synopsis: "[-g] [pid | task | name] ...\n-l | -s set",
    options: &[LIST, SET, GROUP],
    rows: &[SignalRow::TYPE],
    args: &[Arg::Task],
    description: "\
Shows what a process does about each signal, what the thread blocks, and what waits for the thread
(private) and for its process (shared). Without a task, the current one.",
    examples: &[
        Example { about: "Of the first process.", line: "sig 1", output: "" },
        Example {
            about: "The signals of a set.",
            line: "sig -s 4200",
            output: "SIGUSR1 SIGTERM\n",
        },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has(LIST) {
        for number in 1..=signal::LAST {
            let name = signal::name(number).unwrap_or_default();
            out.line(format_args!("{:>4} {name}", format!("[{number}]")))?;
        }
        return Ok(());
    }
    if let Some(word) = parsed.value(SET) {
        // Names of one signal in two spellings: the first.
        let name = |signal| signal::name(signal).unwrap_or_default();
        let short = |name: String| name.split('/').next().unwrap_or_default().to_owned();
        let names: Vec<String> =
            signal::members(session.address(word)?).map(|s| short(name(s))).collect();
        return out.line(names.join(" "));
    }
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut problems = Problems::default();
    for (index, task) in
        tasks::select_or_context(session, kernel, &parsed.args)?.into_iter().enumerate()
    {
        if index > 0 {
            out.line("")?;
        }
        out.check_interrupt()?;
        if parsed.has(GROUP) {
            let (leader, others) = task.thread_group(&kernel.tasks().tasks)?;
            process(kernel, leader, true, &mut problems, out)?;
            for thread in std::iter::once(leader).chain(others) {
                out.line("")?;
                out.line(format_args!("  {}", Header::new(thread, &mut Faults::default())))?;
                private(thread, "  ", &mut problems, out)?;
            }
        } else {
            process(kernel, task, false, &mut problems, out)?;
        }
    }
    problems.report("signal", out)
}

/// What a process does, and what its thread has pending; with `group` what all its threads have.
fn process(
    kernel: &Kernel,
    task: Task<'_>,
    group: bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let header = Header::new(task, &mut Faults::default());
    out.line(&header)?;
    let shapes = kernel.shapes();
    if let Some(at) = problems.keep(task.get(&shapes.task_signals.signal)) {
        let threads = problems.keep(shapes.process_signals.at(kernel.target(), at).threads());
        let threads = threads.map_or_else(|| "?".to_owned(), |threads| threads.to_string());
        out.line(format_args!("SIGNAL_STRUCT: {at:016x}  NR_THREADS: {threads}"))?;
    }
    let blocked = problems.keep(task.blocked_signals());
    let private_set = problems.keep(task.pending_signals());
    let shared_set = problems.keep(task.shared_pending_signals());
    let pending = private_set.as_ref().zip(shared_set.as_ref()).map(|(a, b)| a.set | b.set);
    out.title(" SIG    SIGACTION        HANDLER       MASK       FLAGS")?;
    if let Some((actions, errors)) = problems.keep(task.signal_actions()) {
        problems.extend(errors);
        for action in actions {
            show(&action, header.pid, blocked, pending, out)?;
        }
    }
    if !group {
        private(task, "", problems, out)?;
    }
    if let Some(shared) = shared_set {
        out.line("SHARED_PENDING")?;
        queue(&shared, "", out)?;
        problems.extend(shared.errors);
    }
    Ok(())
}

fn show(
    action: &Action,
    pid: Option<u64>,
    blocked: Option<u64>,
    pending: Option<u64>,
    out: &mut Output,
) -> Outcome {
    let holds = |set: u64| set >> (action.signal - 1) & 1 == 1;
    let handler = match action.handler {
        0 => "SIG_DFL".to_owned(),
        1 => "SIG_IGN".to_owned(),
        address => format!("{address:x}"),
    };
    let row = SignalRow {
        pid,
        signal: action.signal,
        name: signal::name(action.signal),
        handler,
        sigaction: Hex(action.address),
        flags: Hex(action.flags),
        mask: Hex(action.mask),
        blocked: blocked.map(holds),
        pending: pending.map(holds),
    };
    out.record(&row, |line| {
        write!(line, "{:>4} {:016x}", format!("[{}]", row.signal), row.sigaction.0)?;
        write!(line, " {:>10} {:016x} {:x} ", row.handler, row.mask.0, row.flags.0)?;
        let set = signal::ACTION_FLAGS.iter().filter(|(bit, _)| action.flags & bit != 0);
        let names: Vec<&str> = set.map(|(_, name)| *name).collect();
        if names.is_empty() { writeln!(line) } else { writeln!(line, "({})", names.join("|")) }
    })
}

/// What a thread blocks, and what waits for it.
fn private(task: Task<'_>, indent: &str, problems: &mut Problems, out: &mut Output) -> Outcome {
    let waits = problems.keep(task.signal_is_pending()).flatten();
    let waits = waits.map_or("?", |waits| if waits { "yes" } else { "no" });
    out.line(format_args!("{indent}SIGPENDING: {waits}"))?;
    if let Some(blocked) = problems.keep(task.blocked_signals()) {
        out.line(format_args!("{indent}   BLOCKED: {blocked:016x}"))?;
    }
    if let Some(pending) = problems.keep(task.pending_signals()) {
        out.line(format_args!("{indent}PRIVATE_PENDING"))?;
        queue(&pending, indent, out)?;
        problems.extend(pending.errors);
    }
    Ok(())
}

fn queue(pending: &Pending, indent: &str, out: &mut Output) -> Outcome {
    out.line(format_args!("{indent}    SIGNAL: {:016x}", pending.set))?;
    if pending.queue.is_empty() {
        return out.line(format_args!("{indent}  SIGQUEUE: (empty)"));
    }
    out.line(format_args!("{indent}  SIGQUEUE:  SIG      SIGINFO"))?;
    for (signal, info) in &pending.queue {
        out.line(format_args!("{indent}             {signal:>3}  {info:016x}"))?;
    }
    Ok(())
}
