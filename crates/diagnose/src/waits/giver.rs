//! Who must complete a completion. It does not say so itself: some are known by what they are.

use std::{cell::OnceCell, collections::HashMap};

use necropsy_linux::{
    Kernel, list,
    locks::{Certainty, Holder, Seeker},
    rcu::Rcu,
    task::Task,
    workqueue::{Work, WorkState, Workqueues},
};

/// Completions that tasks are known to complete.
#[derive(Debug)]
pub(super) struct Givers<'k> {
    kernel: &'k Kernel,
    /// Work queues; `None` where they cannot be had.
    queues: OnceCell<Option<Workqueues>>,
    /// The state of RCU; likewise.
    rcu: OnceCell<Option<Rcu>>,
    /// The task, and what of it is waited for, by the completion's address.
    by_address: HashMap<u64, (u64, &'static str)>,
}

/// Who must complete something, and what to call it where that says more than where it lies.
pub(super) type Given = (Holder, Option<String>);

fn given_by(task: Option<u64>) -> Holder {
    let certainty = if task.is_some() { Certainty::Known } else { Certainty::NotRecorded };
    Holder { task, certainty }
}

/// More notes than that in a queue of work are not looked at.
const MOST_WORK: usize = 10_000;

impl<'k> Givers<'k> {
    /// What the tasks themselves say: a child of vfork lets its parent go on when it leaves its
    /// address space, a kernel thread says when it has parked or stopped.
    pub(super) fn of(kernel: &'k Kernel, tasks: &[Task<'k>]) -> Givers<'k> {
        let shapes = kernel.shapes();
        let mut by_address = HashMap::new();
        for task in tasks {
            if let Ok(done) = task.get(&shapes.blocked.vfork_done)
                && done != 0
            {
                by_address.insert(done, (task.address, "exec or end of"));
            }
            if task.is_kernel_thread() == Ok(true)
                && let Ok(kthread) = task.get(&shapes.blocked.worker_private)
                && kthread != 0
            {
                let (exited, parked) = (&shapes.kthread.exited, &shapes.kthread.parked);
                for (member, what) in [(exited, "end of thread"), (parked, "parking of thread")] {
                    if let Ok(address) = member.address(kthread) {
                        by_address.insert(address, (task.address, what));
                    }
                }
            }
        }
        Givers { kernel, by_address, queues: OnceCell::new(), rcu: OnceCell::new() }
    }

    /// Who must complete the completion at `address`.
    pub(super) fn of_completion(&self, address: u64, seeker: &Seeker<'k>) -> Given {
        if let Some((task, what)) = self.by_address.get(&address) {
            let who = self.kernel.task_at(*task);
            let who = who.pid().ok().zip(who.comm().ok());
            let name = who.map(|(pid, comm)| format!("{what} {pid} {comm}"));
            return (given_by(Some(*task)), name);
        }
        if let Some(worker) = self.flushed(address, seeker) {
            return (given_by(Some(worker)), self.work_of(worker));
        }
        match self.flushed_queue(address) {
            Some(queue) => {
                let name = self.kernel.workqueue_name(queue).ok();
                let name = name.map(|name| format!("flush of work queue {name}"));
                (given_by(self.worker_of_flush(queue, address)), name)
            }
            None => (given_by(None), None),
        }
    }

    /// What a worker does, as what waits for its end is called.
    fn work_of(&self, worker: u64) -> Option<String> {
        let mut work = self.queues()?.work.iter();
        let runs = |work: &&Work| work.state == WorkState::Running && work.worker == Some(worker);
        let found = self.kernel.target().locate(work.find(runs)?.function)?;
        Some(match found.module() {
            Some(module) => format!("end of work {} [{module}]", found.symbol.name),
            None => format!("end of work {}", found.symbol.name),
        })
    }

    /// The worker whose work is flushed: the completion lies in a note that stands behind the
    /// work, in the worker's own list.
    fn flushed(&self, completion: u64, seeker: &Seeker<'k>) -> Option<u64> {
        let (shapes, target) = (self.kernel.shapes(), self.kernel.target());
        let barrier = completion.checked_sub(shapes.wq_barrier.done.offset().ok()?)?;
        let link = shapes.wq_barrier.link.address(barrier).ok()?;
        if !self.kernel.is_linked(link) {
            return None;
        }
        let mut nodes = list::ring(target, link, list::NEXT).map_while(Result::ok).take(MOST_WORK);
        nodes.find_map(|node| {
            let worker = node.checked_sub(shapes.worker.scheduled.offset().ok()?)?;
            let task = shapes.worker.task.read(target, worker).ok()?;
            let its_own = self.kernel.task_at(task).get(&shapes.blocked.worker_private).ok();
            // A worker is what its thread was made for: its kthread's data.
            let kthread = its_own.filter(|_| seeker.is_task(task))?;
            (shapes.kthread.data.read(target, kthread).ok()? == worker).then_some(task)
        })
    }

    fn queues(&self) -> Option<&Workqueues> {
        self.queues.get_or_init(|| self.kernel.workqueues().ok()).as_ref()
    }

    /// The queue of which a completion is a flusher's.
    fn flushed_queue(&self, completion: u64) -> Option<u64> {
        let (shapes, target) = (self.kernel.shapes(), self.kernel.target());
        let flusher = completion.checked_sub(shapes.wq_flusher.done.offset().ok()?)?;
        let head = shapes.workqueue_variables.all.address().ok()?;
        let link = shapes.workqueue.list.offset().ok()?;
        list::list(target, head)
            .map_while(Result::ok)
            .map(|entry| entry.wrapping_sub(link))
            .take(MOST_WORK)
            .find(|queue| shapes.wq_flushing.first.read(target, *queue) == Ok(flusher))
    }

    /// The worker whose work a queue must finish before its flush is over. It is the one that flushes
    /// its own queue; else the only one that works for it, if no other work waits: of several nobody
    /// tells whose was there before the flush.
    fn worker_of_flush(&self, queue: u64, completion: u64) -> Option<u64> {
        let found = self.queues()?;
        let work = found.work.iter().filter(|work| work.queue_at == Some(queue));
        let stack = |task: u64| self.kernel.task_at(task).own_stack().ok();
        let flushes = |work: &&Work| {
            let stack = work.worker.and_then(stack);
            stack.is_some_and(|stack| (stack.start..stack.end).contains(&completion))
        };
        if let Some(own) = work.clone().find(flushes) {
            return own.worker;
        }
        // What cannot be read may be work of this queue.
        let all_known = found.errors.is_empty();
        let mut rest = work.filter(|work| work.state != WorkState::Delayed);
        let only = rest.next().filter(|work| work.state == WorkState::Running && all_known)?;
        let alone = rest.all(|work| work.state == WorkState::Taken && work.worker == only.worker);
        only.worker.filter(|_| alone)
    }

    /// Who holds up the grace period that a task waits for, if it waits for one: a reader that does
    /// not run, else what runs on the CPU that RCU waits for. And what to call that. Only the normal
    /// grace period is waited for by a completion, and that of tasks is another thing.
    pub(super) fn of_grace_period(&self, task: Task<'k>) -> Option<Given> {
        let target = self.kernel.target();
        let trace = task.trace().ok()?;
        let located = trace.frames.iter().filter_map(|frame| target.locate(frame.lookup_pc()));
        waits_for_readers(located.map(|found| found.symbol.name)).then_some(())?;
        let rcu = self.rcu.get_or_init(|| self.kernel.rcu().ok()).as_ref()?;
        let running = |cpu: &u32| {
            let task = self.kernel.current_task(*cpu).ok()?;
            // An idle CPU is asked when it next does something; the one that panicked is in nobody's way
            // but for that.
            let panicked = self.kernel.panic_cpu() == Some(*cpu);
            task.pid().is_ok_and(|pid| pid != 0 && !panicked).then_some(task.address)
        };
        let (task, by) = match (rcu.readers.as_slice(), rcu.cpus.as_slice()) {
            ([reader], _) => (Some(*reader), ", held up by a reader".to_owned()),
            ([reader, rest @ ..], _) => (
                Some(*reader),
                format!(", held up by {} readers, of which the first", rest.len() + 1),
            ),
            ([], [cpu]) => (running(cpu), format!(", held up by CPU {cpu}")),
            ([], []) => (None, String::new()),
            ([], cpus) => {
                let cpus: Vec<String> = cpus.iter().map(u32::to_string).collect();
                (None, format!(", held up by CPUs {}", cpus.join(", ")))
            }
        };
        Some((given_by(task), Some(format!("grace period of RCU{by}"))))
    }
}

/// Whether a task with these functions on its stack waits for RCU's readers.
fn waits_for_readers<'n>(functions: impl Iterator<Item = &'n str>) -> bool {
    let mut waits = false;
    for name in functions {
        if name.contains("rcu_tasks") {
            return false;
        }
        waits |= name.starts_with("synchronize_rcu") || name.starts_with("__wait_rcu_gp");
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_tell_who_waits_for_readers() {
        let waits = |names: &[&str]| waits_for_readers(names.iter().copied());
        assert!(waits(&["__wait_for_common", "__wait_rcu_gp", "synchronize_rcu_normal"]));
        assert!(waits(&["__wait_for_common", "synchronize_rcu_normal.part.0"]));
        assert!(!waits(&["__wait_for_common", "__wait_rcu_gp", "synchronize_rcu_tasks_generic"]));
        assert!(!waits(&["__wait_for_common", "__wait_rcu_gp", "synchronize_rcu_tasks_rude"]));
        assert!(!waits(&["__wait_for_common", "__synchronize_srcu"]));
    }
}
