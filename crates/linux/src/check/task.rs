//! Tasks: what they say of themselves and of each other.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::{Area, Checker, Class, Confidence};
use crate::{
    Kernel,
    shape::Field,
    span::Numbers,
    task::{State, Task},
};

pub(super) static AREA: Area = Area {
    name: "task",
    about: "\
every task is an object in use, found again by its number; its group leader, parents, credentials, \
stack and address space are what they must be, and its state, priority, CPU and name can be; the end \
of its stack holds its mark, and the stack pointer lies within; thread groups have as many threads as \
they count; run queues agree with the tasks that are on them",
    run,
};

/// STACK_END_MAGIC (include/uapi/linux/magic.h).
const STACK_END: u64 = 0x57ac_6e9d;
/// The largest priority (MAX_PRIO - 1), and the largest policy (SCHED_EXT).
const MAX_PRIORITY: i64 = 139;
const MAX_POLICY: u64 = 7;
/// Threads of a group that are counted.
const MAX_THREADS: usize = 4_000_000;

fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let found = kernel.tasks();
    for error in &found.errors {
        checker.walk("pids", "tasks", "table of pids", 0, error);
    }
    let tasks = found.tasks.iter().map(|task| task.address).collect();
    let known = Known { tasks, whole: found.errors.is_empty() };
    let (look, set): (&Checker<'_>, &Known) = (checker, &known);
    let parts: Vec<Checker<'_>> = found
        .tasks
        .par_iter()
        .map(|task| {
            let mut part = look.part();
            one(&mut part, *task, set);
            part
        })
        .collect();
    parts.into_iter().for_each(|part| checker.take(part));
    checker.count("tasks", found.tasks.len() as u64);
    groups(checker, &found.tasks);
    queues(checker, &found.tasks, &known);
}

/// The tasks that were found.
struct Known {
    tasks: HashSet<u64>,
    /// These are all: the dump lacks none.
    whole: bool,
}

impl Known {
    /// Whether it is a task, or can be one that the dump lacks.
    fn contains(&self, task: &u64) -> bool {
        !self.whole || self.tasks.contains(task)
    }
}

fn title(task: Task<'_>) -> String {
    let pid = task.pid().map_or("?".into(), |pid| pid.to_string());
    let comm = task.comm().unwrap_or_else(|_| "?".into());
    format!("task {:x} ({comm}, pid {pid})", task.address)
}

/// A finding about a member of a task.
struct About<'a, 'k> {
    checker: &'a mut Checker<'k>,
    task: Task<'k>,
}

impl About<'_, '_> {
    fn wrong(&mut self, check: &'static str, field: &Field, found: u64, text: &str) {
        let at = field.address(self.task.address).unwrap_or(self.task.address);
        let name = title(self.task);
        self.checker
            .find(check, Class::Value, name, at, text)
            .start(self.task.address)
            .found(found);
    }

    fn differs(
        &mut self,
        check: &'static str,
        field: &Field,
        (expected, found): (u64, u64),
        text: &str,
    ) {
        if expected != found {
            let at = field.address(self.task.address).unwrap_or(self.task.address);
            let name = title(self.task);
            self.checker
                .find(check, Class::Value, name, at, text)
                .start(self.task.address)
                .values(expected, found);
        }
    }
}

fn one<'k>(checker: &mut Checker<'k>, task: Task<'k>, known: &Known) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    let shape = &shapes.task;
    let mut about = About { checker, task };
    let idle = task.pid() == Ok(0);
    if let Ok(Some(object)) = kernel.slab_object(task.address)
        && object.state.allocated() == Some(false)
    {
        about.wrong("freed", &shape.pid, task.address, "the task is a free object");
    }
    if let (Ok(number), Some(nr), false) = (task.pid(), number_of(kernel, task), idle) {
        let text = "its number is not that of its struct pid";
        about.differs("pid", &shape.pid, (nr, number), text);
    }
    if let (Ok(leader), Ok(tgid)) = (task.group_leader(), task.tgid()) {
        if !known.contains(&leader.address) {
            about.wrong(
                "group_leader",
                &shape.group_leader,
                leader.address,
                "its group leader is no task",
            );
        } else if let Ok(pid) = leader.pid()
            // A leader whose own number is wrong is told above.
            && number_of(kernel, leader).is_none_or(|number| number == pid)
        {
            let text = "the number of its group is not that of its group leader";
            about.differs("tgid", &shape.tgid, (pid, tgid), text);
        }
    }
    for (field, text) in [
        (&shape.parent, "its parent is no task"),
        (&shape.real_parent, "its real parent is no task"),
    ] {
        if let Ok(parent) = task.get(field)
            && !known.contains(&parent)
        {
            about.wrong("parent", field, parent, text);
        }
    }
    values(&mut about, idle);
    pointers(&mut about);
    stack(&mut about);
}

/// The number of a task as its `struct pid` has it.
fn number_of(kernel: &Kernel, task: Task<'_>) -> Option<u64> {
    let shapes = kernel.shapes();
    let pid = task.get(&shapes.task_links.thread_pid).ok().filter(|pid| *pid != 0)?;
    shapes.upid.nr.read(kernel.target(), shapes.pid.numbers.address(pid).ok()?).ok()
}

/// Values that can only be so many.
fn values(about: &mut About<'_, '_>, idle: bool) {
    let task = about.task;
    let kernel = about.checker.kernel;
    let shape = &kernel.shapes().task;
    if let Ok(cpu) = task.cpu()
        && !kernel.possible_cpus().contains(&cpu)
    {
        about.wrong("cpu", &shape.cpu, cpu.into(), "there is no such CPU");
    }
    if let Ok(prio) = task.priority()
        && !(-1..=MAX_PRIORITY).contains(&prio)
    {
        about.wrong("priority", &shape.prio, prio as u64, "there is no such priority");
    }
    if let Ok(prio) = task.get(&shape.static_prio)
        && prio > MAX_PRIORITY as u64
    {
        about.wrong("priority", &shape.static_prio, prio, "there is no such priority");
    }
    if let Ok(policy) = task.policy()
        && policy > MAX_POLICY
    {
        about.wrong("policy", &shape.policy, policy, "there is no such scheduling policy");
    }
    if let (Ok(State::Unknown), Ok(state)) = (task.state(), task.get(&shape.state)) {
        about.wrong("state", &shape.state, state, "there is no such state");
    }
    if let Ok(at) = shape.comm.address(task.address)
        && let Ok(bytes) = kernel.target().read_bytes(at, 16)
    {
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = bytes.get(..end.unwrap_or(0)).unwrap_or_default();
        if end.is_none() || (!idle && text.iter().any(|byte| !(0x20..0x7f).contains(byte))) {
            let first = Numbers::of(kernel.target()).number(&bytes, 0, 8);
            about.wrong("comm", &shape.comm, first, "its name is no text");
        }
    }
}

/// Pointers to objects of known caches.
fn pointers(about: &mut About<'_, '_>) {
    let task = about.task;
    let kernel = about.checker.kernel;
    let shapes = kernel.shapes();
    for (field, text) in [
        (&shapes.task.cred, "its credentials are no object in use"),
        (&shapes.task_links.real_cred, "its credentials are no object in use"),
        (&shapes.task.mm, "its address space is no object in use"),
        (&shapes.task.signal, "its signals are no object in use"),
        (&shapes.task.files, "its files are no object in use"),
        (&shapes.task.fs, "its directories are no object in use"),
    ] {
        let Ok(pointer) = task.get(field) else { continue };
        if pointer != 0 && !in_use(kernel, pointer) {
            about.wrong("pointer", field, pointer, text);
        }
    }
    if let Ok(cred) = task.get(&shapes.task.cred)
        && let Ok(usage) = shapes.cred.usage.read_signed(kernel.target(), cred)
        && usage <= 0
        && cred != 0
    {
        let at = shapes.cred.usage.address(cred).unwrap_or(cred);
        about
            .checker
            .find(
                "cred_usage",
                Class::Counter,
                format!("credentials {cred:x}"),
                at,
                "credentials in use are counted as used by nobody",
            )
            .start(cred)
            .found(usage as u64);
    }
}

/// Whether an address is the start of an object in use, or lies in an image; of what the dump lacks,
/// nobody knows.
pub(super) fn in_use(kernel: &Kernel, address: u64) -> bool {
    super::is_object(kernel, address, |object| object.offset == 0)
}

fn stack(about: &mut About<'_, '_>) {
    let task = about.task;
    let kernel = about.checker.kernel;
    let Ok(stack) = task.own_stack() else { return };
    if stack.start == 0 {
        return;
    }
    match kernel.target().read_pointer(stack.start) {
        Ok(STACK_END) => {}
        Ok(found) => {
            about
                .checker
                .find(
                    "stack_end",
                    Class::Overrun,
                    title(task),
                    stack.start,
                    "the end of its stack was overwritten",
                )
                .start(stack.start)
                .values(STACK_END, found);
        }
        Err(fault) => about.checker.unread("ends of stacks", 1, Some(&fault.into())),
    }
    let sp = &kernel.shapes().task.thread_sp;
    if kernel.running_on(task).is_none()
        && let Ok(pointer) = task.get(sp)
        && !(stack.start..stack.end).contains(&pointer)
        && task.state() != Ok(State::Dead)
    {
        about.wrong("stack_pointer", sp, pointer, "its stack pointer is not on its stack");
    }
}

/// Threads of each group, counted.
fn groups(checker: &mut Checker<'_>, tasks: &[Task<'_>]) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    let mut groups: HashMap<u64, u64> = HashMap::new();
    for task in tasks.iter().filter(|task| task.pid().is_ok_and(|pid| pid != 0)) {
        if let Ok(signal) = task.get(&shapes.task.signal)
            && signal != 0
        {
            *groups.entry(signal).or_default() += 1;
        }
    }
    for (signal, found) in groups {
        let Ok(counted) = shapes.signal.nr_threads.read(kernel.target(), signal) else { continue };
        let Ok(head) = shapes.signal.thread_head.address(signal) else { continue };
        let walk = crate::list::list(kernel.target(), head).take(MAX_THREADS);
        let Ok(listed) = walk.collect::<crate::Result<Vec<u64>>>() else {
            checker.unread("lists of threads", 1, None);
            continue;
        };
        let listed = listed.len() as u64;
        let at = shapes.signal.nr_threads.address(signal).unwrap_or(signal);
        let name = format!("signal_struct {signal:x}");
        if counted != listed {
            let text = "the counter of threads is not their number on the list";
            checker
                .find("nr_threads", Class::Counter, name, at, text)
                .start(signal)
                .values(listed, counted)
                .neighbours(format!("{found} tasks have it"))
                .confidence(Confidence::Likely);
        }
    }
}

/// Run queues, and the tasks that say that they are on one.
fn queues(checker: &mut Checker<'_>, tasks: &[Task<'_>], known: &Known) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    for cpu in kernel.online_cpus() {
        let Ok(rq) = kernel.runqueue(cpu) else { continue };
        let name = format!("run queue of CPU {cpu}");
        for (field, text) in [
            (&shapes.rq.curr, "what runs is no task"),
            (&shapes.rq.idle, "the idle task is no task"),
        ] {
            let Ok(task) = field.read(kernel.target(), rq) else { continue };
            if !known.contains(&task) {
                checker
                    .find(
                        "run_queue",
                        Class::Pointer,
                        name.clone(),
                        field.address(rq).unwrap_or(rq),
                        text,
                    )
                    .start(rq)
                    .found(task);
            }
        }
        if let Ok(queue) = crate::runq::RunQueue::of(kernel, cpu) {
            for queue in [queue.fair(), queue.realtime(), queue.deadline()].into_iter().flatten() {
                for error in queue.all_errors() {
                    checker.walk("run_queue", "run queues", name.clone(), rq, error);
                }
            }
        }
        checker.count("run queues", 1);
    }
    for task in tasks {
        let Ok(on_rq) = shapes.task_entities.on_rq.read(kernel.target(), task.address) else {
            continue;
        };
        if on_rq > 2 {
            let field = &shapes.task_entities.on_rq;
            let at = field.address(task.address).unwrap_or(task.address);
            let text = "it is neither on a run queue nor off it";
            checker
                .find("on_rq", Class::Value, title(*task), at, text)
                .start(task.address)
                .found(on_rq);
        }
    }
}
