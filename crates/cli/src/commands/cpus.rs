//! What each CPU does.

use necropsy_diagnose::{
    Case,
    waits::{Graph, Root},
};
use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::unwind::{Frame, StackKind};

use crate::{
    Outcome,
    command::{Command, Example, Opt},
    cpus::cpu_list,
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    rows::locks::{CpuActivityRow, TaskRef},
    session::Session,
    waits::age,
};

const CPUS: Opt = Opt::value("-c", "cpus", "only these CPUs: 1,3-5");

pub(crate) static COMMAND: Command = Command {
    names: &["cpus"],
    summary: "what each CPU does, and who waits for it",
    synopsis: "[-c cpus]",
    options: &[CPUS],
    rows: &[CpuActivityRow::TYPE],
    args: &[],
    description: "\
Shows of each CPU the task that it runs, the function it was in before the dying kernel stopped it,
and in which context: idle, user, task, softirq, hardirq or nmi. IRQS says whether interrupts were
on there; SINCE how long the task has had the CPU; QUEUED how many tasks could run there and do not;
HOLDS UP how many tasks wait for locks that its task holds, directly or through others.",
    examples: &[Example { about: "All CPUs.", line: "cpus", output: "" }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let cpus = match parsed.value(CPUS) {
        Some(cpus) => cpu_list(kernel, cpus)?,
        None => kernel.online_cpus(),
    };
    let mut graph = Graph::of(kernel);
    let mut problems = Problems::default();
    problems.extend(std::mem::take(&mut graph.errors));
    let roots = graph.roots();
    out.title(&format!(
        "CPU {:<8} {:<4} {:>10} {:>6} {:>8}  {:<28} TASK",
        "CONTEXT", "IRQS", "SINCE", "QUEUED", "HOLDS UP", "FUNCTION"
    ))?;
    for cpu in cpus {
        let row = activity(kernel, cpu, &roots);
        out.record(&row, |line| {
            let count = |count: Option<u64>| count.map_or_else(|| "?".into(), |n| n.to_string());
            let irqs = match row.irqs_off {
                Some(true) => "off",
                Some(false) => "on",
                None => "?",
            };
            writeln!(
                line,
                "{cpu:>3} {:<8} {irqs:<4} {:>10} {:>6} {:>8}  {:<28} {}",
                row.context.unwrap_or("?"),
                age(row.since_ns),
                count(row.queued),
                row.holds_up,
                row.function.as_deref().unwrap_or("?"),
                row.task.as_ref().map_or_else(|| "?".to_owned(), TaskRef::to_string)
            )?;
            match &row.problem {
                Some(problem) => writeln!(line, "    ({problem})"),
                None => Ok(()),
            }
        })?;
    }
    problems.report("task", out)
}

fn activity(kernel: &Kernel, cpu: u32, roots: &[Root]) -> CpuActivityRow {
    let mut faults = Faults::default();
    let mut row = CpuActivityRow {
        cpu,
        task: None,
        context: None,
        function: None,
        pc: None,
        irqs_off: None,
        preempt_count: preempt_count(kernel, cpu).map(Hex),
        since_ns: None,
        queued: None,
        holds_up: 0,
        problem: None,
        faults: Faults::default(),
    };
    if let Some(task) = faults.keep(kernel.current_task(cpu)) {
        row.task = Some(TaskRef::new(task));
        let idle = kernel.idle_task(cpu).is_ok_and(|idle| idle.address == task.address);
        let clock = faults.keep(kernel.rq_clock(cpu));
        let began = task.last_run_ns().ok();
        row.since_ns = clock.zip(began).and_then(|(now, began)| now.checked_sub(began));
        let running = faults
            .keep(kernel.runqueue(cpu))
            .and_then(|rq| faults.keep(kernel.shapes().rq.nr_running.read(kernel.target(), rq)));
        row.queued = running.map(|count| count.saturating_sub(u64::from(!idle)));
        let root = roots.iter().find(|root| root.task == task.address);
        row.holds_up = root.map_or(0, |root| root.waiting);
        where_it_was(kernel, task, idle, &mut row);
    }
    row.faults = faults;
    row
}

/// The per-CPU count, in its own variable or among the hot ones.
fn preempt_count(kernel: &Kernel, cpu: u32) -> Option<u64> {
    let target = kernel.target();
    if let Ok(address) = kernel.per_cpu("__preempt_count", cpu) {
        return target.read_u32(address).ok().map(u64::from);
    }
    let hot = kernel.per_cpu("pcpu_hot", cpu).ok()?;
    kernel.shapes().pcpu_hot.preempt_count.read(target, hot).ok()
}

/// The frame before the kernel left, and the context that its stacks show.
fn where_it_was(kernel: &Kernel, task: Task<'_>, idle: bool, row: &mut CpuActivityRow) {
    let case = match Case::of(kernel, task) {
        Ok(case) => case,
        Err(error) => {
            row.problem = Some(error.to_string());
            return;
        }
    };
    let frames = &case.trace().frames;
    let number = case.exception().or_else(|| case.panic_caller().map(|(number, _)| number));
    let number = number.unwrap_or(0);
    let Some(frame) = frames.get(number) else {
        let user = case.trace().user.is_some();
        row.context = user.then_some("user");
        return;
    };
    row.function = case.function(number).map(str::to_owned);
    row.pc = Some(Hex(frame.pc));
    let off = kernel.target().architecture().interrupts_off(&frame.regs);
    row.irqs_off = off.filter(|_| frame.saved_regs);
    row.context = Some(context(frame, case_functions(&case, number), idle));
}

/// The functions from a frame outwards.
fn case_functions<'c>(case: &'c Case<'_>, from: usize) -> impl Iterator<Item = &'c str> {
    (from..case.trace().frames.len()).filter_map(|number| case.function(number))
}

fn context<'c>(
    frame: &Frame,
    mut functions: impl Iterator<Item = &'c str>,
    idle: bool,
) -> &'static str {
    let softirq = |name: &str| matches!(name, "handle_softirqs" | "__do_softirq");
    let hardirq = |name: &str| {
        name.starts_with("sysvec_")
            || matches!(name, "common_interrupt" | "__common_interrupt" | "do_IRQ")
    };
    match frame.stack {
        Some(StackKind::Nmi) => return "nmi",
        Some(StackKind::SoftIrq) => return "softirq",
        _ => {}
    }
    // The innermost of both tells what it was in.
    let found = functions.find_map(|name| match name {
        name if softirq(name) => Some("softirq"),
        name if hardirq(name) => Some("hardirq"),
        _ => None,
    });
    match found {
        Some(context) => context,
        None if frame.regs.user_mode() => "user",
        None if frame.stack == Some(StackKind::Irq) => "hardirq",
        None if idle => "idle",
        None => "task",
    }
}
