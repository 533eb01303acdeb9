//! The wait-for graph of a stopped kernel.

use std::collections::{BTreeMap, HashMap, HashSet};

use necropsy_linux::{
    Error, Kernel,
    identify::Identity,
    locks::{Blocked, Certainty, FoundBy, Holder, Lock, LockKind, Mode, Seeker},
    task::{State, Task},
};
use rayon::prelude::*;

use super::{
    cycles::{self, Cycle, Root},
    giver::Givers,
    requests::Requests,
};

/// A task that waits for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// Its `task_struct`.
    pub task: u64,
    /// How it wants to have the lock.
    pub mode: Mode,
    /// How that was found.
    pub found_by: FoundBy,
    /// Nanoseconds since it last got a CPU, which it gave up to wait.
    pub since_ns: Option<u64>,
    /// It sleeps, or spins: it was not woken to take the lock.
    pub asleep: bool,
}

/// A lock that tasks wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contended {
    /// The lock.
    pub lock: Lock,
    /// The symbol or the object that it lies in.
    pub name: Option<String>,
    /// Who holds it; of a completion, who must complete it.
    pub holder: Holder,
    /// Where the lock does not say who holds it: tasks on whose stacks its address lies, and which
    /// do not wait for it.
    pub candidates: Vec<u64>,
    /// Who waits: in the order of its queue where that is known.
    pub waiters: Vec<Waiter>,
}

impl Contended {
    /// How the lock was found: by the strongest evidence of all that wait.
    pub fn found_by(&self) -> Option<FoundBy> {
        self.waiters.iter().map(|waiter| waiter.found_by).min()
    }

    /// The task that must act before the lock can be had, known or named by the lock.
    pub fn held_by(&self) -> Option<u64> {
        self.holder.task
    }
}

/// Who waits for whom.
#[derive(Debug)]
pub struct Graph<'k> {
    /// The kernel.
    pub kernel: &'k Kernel,
    /// What is waited for: most waiters first.
    pub locks: Vec<Contended>,
    /// What could not be read on the way.
    pub errors: Vec<Error>,
    /// Every task's address.
    known: HashSet<u64>,
}

impl<'k> Graph<'k> {
    /// Looks at every task.
    pub fn of(kernel: &'k Kernel) -> Graph<'k> {
        let mut found = kernel.tasks();
        found.tasks.sort_by_key(|task| task.address);
        found.tasks.dedup_by_key(|task| task.address);
        Graph::among(kernel, &found.tasks, found.errors)
    }

    /// Looks at these tasks, which should be all.
    pub fn among(kernel: &'k Kernel, tasks: &[Task<'k>], mut errors: Vec<Error>) -> Graph<'k> {
        let seeker = Seeker::new(kernel, tasks);
        let blocked: Vec<Blocked> =
            tasks.par_iter().filter_map(|task| seeker.seek(*task)).collect();
        let now = now(kernel);
        let mut queues: BTreeMap<Lock, Vec<Blocked>> = BTreeMap::new();
        let spinners = kernel.spinners();
        for blocked in blocked.into_iter().chain(spinners.iter().map(|spinner| spinner.blocked)) {
            queues.entry(blocked.lock).or_default().push(blocked);
        }
        let givers = queues
            .keys()
            .any(|lock| lock.kind == LockKind::Completion)
            .then(|| Givers::of(kernel, tasks));
        let moves = |lock: &Lock| matches!(lock.kind, LockKind::Completion | LockKind::Folio);
        let requests = match queues.keys().any(moves) {
            true => Requests::of(kernel),
            false => Requests::default(),
        };
        let mut locks = Vec::new();
        for (lock, mut queue) in queues {
            queue.sort_by_key(|blocked| blocked.place);
            let (holder, told) = match (lock.kind, &givers) {
                (LockKind::Completion, Some(givers)) => givers.of_completion(lock.address, &seeker),
                _ => {
                    let holder = kernel.lock_holder(lock).unwrap_or_else(|error| {
                        errors.push(error);
                        Holder { task: None, certainty: Certainty::NotRecorded }
                    });
                    (holder, None)
                }
            };
            // Who only waits for readers to leave is the one that the lock names.
            let holder = match queue.iter().all(|blocked| blocked.mode == Mode::Drain) {
                true => Holder { task: None, certainty: Certainty::NotRecorded },
                false => no_younger(kernel, lock.kind, holder, &queue),
            };
            let waiters: Vec<Waiter> =
                queue.iter().map(|blocked| waiter(kernel, blocked, now)).collect();
            let first = queue.first().map(|blocked| kernel.task_at(blocked.task));
            let mut contended = Contended {
                lock,
                name: told.or_else(|| name(kernel, lock, first)),
                holder,
                candidates: Vec::new(),
                waiters,
            };
            if let (LockKind::Completion, Some(givers), None, Some(first)) =
                (lock.kind, &givers, contended.holder.task, first)
                && let Some((holder, name)) = givers.of_grace_period(first)
            {
                (contended.holder, contended.name) = (holder, name);
            }
            if contended.holder.task.is_none()
                && let Some(request) = requests.at(lock.address).filter(|_| moves(&lock))
            {
                contended.name = Some(request.to_owned());
            }
            locks.push(contended);
        }
        candidates(&seeker, tasks, &mut locks);
        for lock in locks
            .iter_mut()
            .filter(|lock| matches!(lock.lock.kind, LockKind::Spinlock | LockKind::RwSpinlock))
        {
            lock.candidates = kernel.spin_candidates(lock.lock, &spinners);
            if !lock.candidates.is_empty() {
                lock.holder.certainty = Certainty::Candidate;
            }
        }
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.waiters.len()));
        let known = tasks.iter().map(|task| task.address).collect();
        Graph { kernel, locks, errors, known }
    }

    /// Whether the task that a lock names still exists.
    pub fn exists(&self, task: u64) -> bool {
        self.known.contains(&task)
    }

    /// The lock that a task waits for, and how it waits.
    pub fn waits_for(&self, task: u64) -> Option<(&Contended, &Waiter)> {
        self.locks
            .iter()
            .find_map(|lock| Some((lock, lock.waiters.iter().find(|waiter| waiter.task == task)?)))
    }

    /// The locks that a task holds and others wait for.
    pub fn holds(&self, task: u64) -> impl Iterator<Item = &Contended> {
        self.locks.iter().filter(move |lock| lock.held_by() == Some(task))
    }

    /// Tasks that wait for each other in a circle: none of them can ever go on.
    pub fn cycles(&self) -> Vec<Cycle> {
        cycles::cycles(&self.locks)
    }

    /// Tasks that others wait for, and that wait for no lock themselves: most waiters first.
    pub fn roots(&self) -> Vec<Root> {
        cycles::roots(&self.locks)
    }
}

/// What a lock is called: by the object that it lies in, a symbol, or for a futex its process.
fn name(kernel: &Kernel, lock: Lock, waiter: Option<Task<'_>>) -> Option<String> {
    match (lock.kind, waiter) {
        (LockKind::Futex, Some(waiter)) => {
            let process = waiter.group_leader().ok()?;
            Some(format!("of process {} {}", process.pid().ok()?, process.comm().ok()?))
        }
        (LockKind::RtMutex, Some(waiter)) if waiter.is_kernel_thread() == Ok(false) => {
            let Some(call) = waiter.futex_call() else {
                let known = kernel.identify(lock.address, std::slice::from_ref(&waiter));
                return known.map(|identity| identity.to_string());
            };
            Some(match waiter.tgid() {
                Ok(process) => format!("futex {:x} of process {process}", call.word),
                Err(_) => format!("futex {:x}", call.word),
            })
        }
        _ => kernel.lock_within(lock).or_else(|| {
            let known = kernel.identify(lock.address, waiter.as_slice());
            // That it lies somewhere is no name.
            let known = known.filter(|identity| !matches!(identity, Identity::Vmalloc(None)));
            known.map(|identity| identity.to_string())
        }),
    }
}

/// What the clocks of the run queues show at most: those of idle CPUs stand still.
fn now(kernel: &Kernel) -> Option<u64> {
    kernel.online_cpus().into_iter().filter_map(|cpu| kernel.rq_clock(cpu).ok()).max()
}

fn waiter(kernel: &Kernel, blocked: &Blocked, now: Option<u64>) -> Waiter {
    let task = kernel.task_at(blocked.task);
    let began = task.last_run_ns().ok().filter(|ns| *ns > 0);
    Waiter {
        task: blocked.task,
        mode: blocked.mode,
        found_by: blocked.found_by,
        since_ns: now.zip(began).and_then(|(now, began)| now.checked_sub(began)),
        asleep: blocked.found_by == FoundBy::Spinning
            || task.state().is_ok_and(|state| state != State::Running && state != State::Waking),
    }
}

/// By how much the clocks of run queues and of start times may differ, in ns.
const CLOCKS_DIFFER: u64 = 2_000_000_000;

/// A holder that began only after others waited may have taken the lock from under them; or the lock's
/// owner is gone, and its memory is another task's by now: the lock names it, and no more is known. Who
/// has to complete something is named by what it does, and may begin at any time.
fn no_younger(kernel: &Kernel, kind: LockKind, holder: Holder, queue: &[Blocked]) -> Holder {
    if kind == LockKind::Completion {
        return holder;
    }
    let waited = queue
        .iter()
        .filter_map(|blocked| kernel.task_at(blocked.task).last_run_ns().ok().filter(|ns| *ns > 0));
    let (Certainty::Known, Some(task), Some(waited)) =
        (holder.certainty, holder.task, waited.min())
    else {
        return holder;
    };
    let began = kernel.shapes().task.start_time.read(kernel.target(), task);
    match began.is_ok_and(|began| began > waited.saturating_add(CLOCKS_DIFFER)) {
        true => Holder { certainty: Certainty::Hint, ..holder },
        false => holder,
    }
}

/// The most candidates that are named.
const MOST_CANDIDATES: usize = 16;

/// Looks for the addresses of locks without a known holder on the stacks of all who do not wait
/// for them.
fn candidates(seeker: &Seeker<'_>, tasks: &[Task<'_>], locks: &mut [Contended]) {
    let open = |lock: &Contended| {
        let held = matches!(lock.holder.certainty, Certainty::NotRecorded);
        // Whoever completes something, or wakes a queue, need not have touched it yet.
        let owned = !matches!(
            lock.lock.kind,
            LockKind::Completion
                | LockKind::WaitQueue
                | LockKind::SimpleWaitQueue
                | LockKind::Spinlock
                | LockKind::RwSpinlock
                | LockKind::Futex
        );
        held && owned
    };
    let wanted: HashMap<u64, usize> = locks
        .iter()
        .enumerate()
        .filter(|(_, lock)| open(lock))
        .map(|(index, lock)| (lock.lock.address, index))
        .collect();
    if wanted.is_empty() {
        return;
    }
    let found: Vec<(usize, u64)> = tasks
        .par_iter()
        .flat_map_iter(|task| {
            let words = seeker.words(*task);
            let seen: HashSet<usize> =
                words.iter().filter_map(|(_, word)| wanted.get(word).copied()).collect();
            seen.into_iter().map(|index| (index, task.address)).collect::<Vec<_>>()
        })
        .collect();
    for (index, task) in found {
        let Some(lock) = locks.get_mut(index) else { continue };
        let waits = lock.waiters.iter().any(|waiter| waiter.task == task);
        if !waits && lock.candidates.len() < MOST_CANDIDATES {
            lock.candidates.push(task);
        }
    }
    for lock in locks.iter_mut().filter(|lock| !lock.candidates.is_empty()) {
        lock.holder.certainty = Certainty::Candidate;
    }
}
