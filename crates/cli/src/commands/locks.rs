//! Locks: who holds whom up.

use necropsy_diagnose::waits::{Contended, Cycle, Graph, Root, dot};
use necropsy_linux::locks::{Certainty, Holder, LockKind};

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    numbers,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::locks::{CycleRow, HolderRow, LockRow, RootRow, StepRow, TaskRef, WaiterRow},
    session::Session,
    tasks,
    waits::{age, lock_name, lock_text, verb},
};

const DOT: Opt = Opt::flag("--dot", "the graph in the language of Graphviz");

pub(crate) static COMMAND: Command = Command {
    names: &["locks"],
    summary: "locks that tasks wait for, who holds them, deadlocks",
    synopsis: "[--dot] [task | address | type] ...",
    options: &[DOT],
    rows: &[LockRow::TYPE, CycleRow::TYPE, RootRow::TYPE],
    args: &[Arg::Text("task|address|type")],
    description: "\
Shows every lock that a sleeping task waits for: who holds it, who waits, in which order and for how
long; then tasks that wait for each other in a circle, which is a deadlock; then tasks that hold
others up and wait for no lock themselves.

A waiter is found on its task's own stack and believed if the links of its queue agree; the lock is
where the head of the queue lies. A holder is what the lock names. A lock held by readers names only
who took it last, who may have given it back (hint). Semaphores, bits, folios and completions name
nobody: then tasks on whose stack the lock's address lies are told as candidates. Of a completion
the holder is who must complete it, where that is known: the child of a vfork, a kernel thread that
is to stop or park, the worker whose work or queue is flushed, who holds up RCU's grace period.

CPUs that spin are found by their registers and stacks, and the queue of the lock; who may hold it is
among the tasks that run and have its address. Of a futex with priority inheritance the kernel keeps
an rt_mutex, which names its holder; any other is shown where its word, or what glibc keeps beside it,
names one (inferred: it is memory of the process, and could be something else).

Arguments leave only locks that these tasks hold or wait for, at these addresses, or of these types:
mutex, ww_mutex, rwsem, percpu_rwsem, semaphore, rt_mutex, rt_spinlock, completion, bit, folio,
swait_queue, wait_queue, spinlock, rwlock, futex.",
    examples: &[
        Example { about: "Everything.", line: "locks", output: "" },
        Example { about: "Only mutexes.", line: "locks mutex", output: "" },
        Example { about: "A picture.", line: "locks --dot", output: "" },
    ],
    run,
};

/// What the arguments leave.
#[derive(Default)]
struct Filter {
    kinds: Vec<LockKind>,
    locks: Vec<u64>,
    tasks: Vec<u64>,
}

impl Filter {
    fn new(graph: &Graph<'_>, words: &[String]) -> Result<Filter, CommandError> {
        let mut filter = Filter::default();
        for word in words {
            if let Some(kind) = LockKind::ALL.into_iter().find(|kind| kind.name() == word) {
                filter.kinds.push(kind);
                continue;
            }
            let target = graph.kernel.target();
            let address = numbers::parse_hex(word).filter(|at| target.is_kernel_address(*at));
            match address.filter(|address| !graph.exists(*address)) {
                Some(address) => filter.locks.push(address),
                None => {
                    let found = tasks::select(graph.kernel, std::slice::from_ref(word))?;
                    filter.tasks.extend(found.into_iter().map(|task| task.address));
                }
            }
        }
        Ok(filter)
    }

    fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.locks.is_empty() && self.tasks.is_empty()
    }

    fn task(&self, task: u64) -> bool {
        self.is_empty() || self.tasks.contains(&task)
    }

    fn lock(&self, lock: &Contended) -> bool {
        self.is_empty()
            || self.kinds.contains(&lock.lock.kind)
            || self.locks.contains(&lock.lock.address)
            || lock.held_by().is_some_and(|task| self.tasks.contains(&task))
            || lock.waiters.iter().any(|waiter| self.tasks.contains(&waiter.task))
    }

    fn cycle(&self, cycle: &Cycle) -> bool {
        cycle.steps.iter().any(|step| {
            self.task(step.task)
                || self.kinds.contains(&step.waits_for.kind)
                || self.locks.contains(&step.waits_for.address)
        })
    }
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let mut graph = Graph::of(&kernel);
    let mut problems = Problems::default();
    problems.extend(std::mem::take(&mut graph.errors));
    let filter = Filter::new(&graph, &parsed.args)?;
    let locks: Vec<&Contended> = graph.locks.iter().filter(|lock| filter.lock(lock)).collect();
    if parsed.has(DOT) {
        out.raw(dot(&graph, locks).as_bytes())?;
        return problems.report("task", out);
    }
    for (index, lock) in locks.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        show_lock(&graph, lock, out)?;
    }
    let cycles: Vec<Cycle> =
        graph.cycles().into_iter().filter(|cycle| filter.cycle(cycle)).collect();
    for cycle in &cycles {
        show_cycle(&graph, cycle, out)?;
    }
    let roots = graph.roots().into_iter().filter(|root| {
        filter.task(root.task) || locks.iter().any(|lock| lock.held_by() == Some(root.task))
    });
    for root in roots {
        show_root(&graph, &root, out)?;
    }
    if locks.is_empty() {
        let any = parsed.args.is_empty();
        out.line(if any { "no task waits for a lock" } else { "no task waits for such a lock" })?;
    } else if cycles.is_empty() {
        out.line("\nno tasks wait for each other")?;
    }
    problems.report("task", out)
}

fn show_lock(graph: &Graph<'_>, lock: &Contended, out: &mut Output) -> Outcome {
    let kernel = graph.kernel;
    let candidates = lock.candidates.iter().map(|task| TaskRef::new(kernel.task_at(*task)));
    let row = LockRow {
        lock: Hex(lock.lock.address),
        kind: lock.lock.kind.name(),
        bit: lock.lock.bit,
        name: lock.name.clone(),
        holder: HolderRow::new(graph, lock.holder),
        candidates: candidates.collect(),
        waiters: lock.waiters.iter().map(|waiter| WaiterRow::new(kernel, waiter)).collect(),
        found_by: lock.found_by().map(|found_by| found_by.name()),
    };
    out.record(&row, |line| {
        writeln!(line, "{}", lock_text(lock.lock, lock.name.as_deref()))?;
        let verb = verb(lock.lock);
        match row.holder.certainty {
            "candidate" => {
                write!(line, "  {verb}: not recorded; its address is known to")?;
                for task in &row.candidates {
                    write!(line, " {task},")?;
                }
                let verb = if row.candidates.len() == 1 { "does" } else { "do" };
                writeln!(line, " who {verb} not wait for it")?;
            }
            _ => writeln!(line, "  {verb}: {}", row.holder)?,
        }
        for waiter in &row.waiters {
            let pid = waiter.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
            writeln!(
                line,
                "  {:>8} {:016x} {} {:<9} {:>10}  {}",
                pid,
                waiter.task.0,
                waiter.state.unwrap_or("??"),
                waiter.mode,
                age(waiter.since_ns),
                waiter.comm.as_deref().unwrap_or("?")
            )?;
        }
        Ok(())
    })
}

fn show_cycle(graph: &Graph<'_>, cycle: &Cycle, out: &mut Output) -> Outcome {
    let kernel = graph.kernel;
    let steps = cycle.steps.iter().map(|step| {
        let task = TaskRef::new(kernel.task_at(step.task));
        StepRow {
            pid: task.pid,
            task: task.task,
            comm: task.comm,
            waits_for: Hex(step.waits_for.address),
            kind: step.waits_for.kind.name(),
            name: lock_name(graph, step.waits_for),
            held_by: kernel.task_at(step.held_by).pid().ok(),
        }
    });
    let row = CycleRow { cycle: steps.collect(), certainty: cycle.certainty.name() };
    out.record(&row, |line| {
        let how = match cycle.certainty {
            Certainty::Known => "",
            Certainty::Inferred => ", by what glibc's mutexes in user memory say",
            _ => " if those who took the locks last still hold them",
        };
        match row.cycle.len() {
            1 => writeln!(line, "\nDEADLOCK{how}: a task waits for what it holds itself")?,
            count => writeln!(line, "\nDEADLOCK{how}: {count} tasks wait for each other")?,
        }
        for step in &cycle.steps {
            let name = lock_name(graph, step.waits_for);
            writeln!(
                line,
                "  {} waits for {} {} {}",
                TaskRef::new(kernel.task_at(step.task)),
                lock_text(step.waits_for, name.as_deref()),
                verb(step.waits_for),
                TaskRef::new(kernel.task_at(step.held_by))
            )?;
        }
        Ok(())
    })
}

fn show_root(graph: &Graph<'_>, root: &Root, out: &mut Output) -> Outcome {
    let certainty = root.certainty;
    let row = RootRow {
        root: HolderRow::new(graph, Holder { task: Some(root.task), certainty }),
        holds: root.locks.iter().map(|lock| Hex(lock.address)).collect(),
        waiting: root.waiting,
    };
    out.record(&row, |line| {
        let tasks = if row.waiting == 1 { "task" } else { "tasks" };
        writeln!(line, "\n{} {tasks} held up by {}", row.waiting, row.root)?;
        for lock in &root.locks {
            writeln!(line, "  {}", lock_text(*lock, lock_name(graph, *lock).as_deref()))?;
        }
        Ok(())
    })
}
