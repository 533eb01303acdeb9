//! Tasks.

use necropsy_linux::{Kernel, shape::Field};

use super::{super::Random, Victim, victim};

fn task_field(
    kernel: &Kernel,
    random: &mut Random,
    kind: &'static str,
    field: &Field,
) -> Option<Victim> {
    let tasks = kernel.tasks().tasks;
    let tasks: Vec<_> = tasks.iter().filter(|task| task.pid().is_ok_and(|pid| pid > 1)).collect();
    let task = random.one_of(&tasks)?;
    let size = kernel.shapes().task.sizeof().ok()?;
    let comm = task.comm().unwrap_or_default();
    victim(kind, format!("task {comm}"), task.address, size, field)
}

pub(super) fn task_pid(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    task_field(kernel, random, "task_pid", &kernel.shapes().task.pid)
}

pub(super) fn task_leader(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    task_field(kernel, random, "task_leader", &kernel.shapes().task.group_leader)
}

pub(super) fn task_parent(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    task_field(kernel, random, "task_parent", &kernel.shapes().task.real_parent)
}

pub(super) fn task_pointer(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let shape = &kernel.shapes().task;
    let fields = [&shape.cred, &shape.signal, &shape.files];
    let field = *random.one_of(&fields)?;
    task_field(kernel, random, "task_pointer", field)
}

pub(super) fn task_stack_end(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let tasks = kernel.tasks().tasks;
    let task = random.one_of(&tasks)?;
    let stack = task.stack().ok().filter(|stack| *stack != 0)?;
    Some(Victim {
        kind: "task_stack_end",
        object: format!("stack of {}", task.comm().unwrap_or_default()),
        start: stack,
        extent: kernel.thread_size(),
        address: stack,
        size: 8,
        low_byte: 0,
        page: true,
        relatives: vec![task.address],
    })
}

pub(super) fn task_cpu(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    task_field(kernel, random, "task_cpu", &kernel.shapes().task.cpu)?.low(1)
}

pub(super) fn task_threads(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let tasks = kernel.tasks().tasks;
    let task = random.one_of(&tasks)?;
    let shape = &kernel.shapes().signal;
    let signal = task.get(&kernel.shapes().task.signal).ok()?;
    victim("task_threads", "signal_struct".into(), signal, shape.sizeof().ok()?, &shape.nr_threads)
}

pub(super) fn task_list(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let mut found = task_field(kernel, random, "task_list", &kernel.shapes().task.thread_node)?;
    found.size = 8;
    let next = kernel.target().read_u64(found.address).ok()?;
    found.with(&[next])
}
