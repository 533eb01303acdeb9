//! Circles of tasks that wait for each other, and who holds up the rest.
//!
//! A task waits for one lock at a time, and at most one task is named as its holder. So no task has
//! more than one edge, and the strongly connected components of more than one task are plain
//! circles.

use std::collections::{HashMap, HashSet};

use necropsy_linux::locks::{Certainty, Lock, Mode};

use super::graph::Contended;

/// One task of a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its `task_struct`.
    pub task: u64,
    /// What it waits for.
    pub waits_for: Lock,
    /// The task that holds that: the next of the circle.
    pub held_by: u64,
}

/// Tasks that wait for each other; a task that waits for what it holds itself is a circle of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The tasks, each before the one that it waits for, the lowest address first.
    pub steps: Vec<Step>,
    /// Every lock names its holder. Otherwise see `certainty`.
    pub certain: bool,
    /// The weakest of what is known of the holders: `Known`; `Inferred` from user memory;
    /// `Hint`: the holder is only the one that came last.
    pub certainty: Certainty,
}

/// A task that holds others up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its `task_struct`, which may be gone.
    pub task: u64,
    /// What it holds and others wait for.
    pub locks: Vec<Lock>,
    /// How many tasks wait for it, directly or through others.
    pub waiting: usize,
    /// Every lock on the way names its holder.
    pub certain: bool,
    /// The weakest of what is known on the way, as [`Cycle::certainty`].
    pub certainty: Certainty,
}

/// Who a task waits for.
#[derive(Clone, Copy)]
struct Edge {
    lock: Lock,
    holder: u64,
    certain: bool,
    certainty: Certainty,
}

/// The edge of each task that sleeps, by its address.
fn edges(locks: &[Contended]) -> HashMap<u64, Edge> {
    let mut edges = HashMap::new();
    for contended in locks {
        let Some(holder) = contended.held_by() else { continue };
        let certainty = contended.holder.certainty;
        let certain = certainty == Certainty::Known;
        for waiter in contended.waiters.iter().filter(|waiter| waiter.asleep) {
            // A reader that is only remembered, and waits itself, has given the lock back.
            if waiter.task == holder && certainty == Certainty::Hint {
                continue;
            }
            // Its readers are not recorded; the lock names the one that waits for them.
            if waiter.mode == Mode::Drain {
                continue;
            }
            edges.insert(waiter.task, Edge { lock: contended.lock, holder, certain, certainty });
        }
    }
    edges
}

pub(super) fn cycles(locks: &[Contended]) -> Vec<Cycle> {
    let edges = edges(locks);
    let mut starts: Vec<u64> = edges.keys().copied().collect();
    starts.sort_unstable();
    let mut done = HashSet::new();
    let mut cycles = Vec::new();
    for start in starts {
        let mut path: Vec<u64> = Vec::new();
        let mut at = start;
        // Ends: every step adds a task to `done`.
        while done.insert(at) {
            path.push(at);
            match edges.get(&at) {
                Some(edge) => at = edge.holder,
                None => break,
            }
        }
        // Where the path came back to itself, not to one walked before.
        let Some(first) = path.iter().position(|task| *task == at) else { continue };
        if !edges.contains_key(&at) {
            continue;
        }
        let mut circle = path.split_off(first);
        let lowest = circle.iter().enumerate().min_by_key(|(_, task)| **task).map(|(at, _)| at);
        circle.rotate_left(lowest.unwrap_or(0));
        let found: Vec<(u64, Edge)> =
            circle.iter().filter_map(|task| Some((*task, *edges.get(task)?))).collect();
        cycles.push(Cycle {
            certain: found.iter().all(|(_, edge)| edge.certain),
            certainty: found
                .iter()
                .map(|(_, edge)| edge.certainty)
                .max()
                .unwrap_or(Certainty::NotRecorded),
            steps: found
                .iter()
                .map(|(task, edge)| Step {
                    task: *task,
                    waits_for: edge.lock,
                    held_by: edge.holder,
                })
                .collect(),
        });
    }
    cycles
}

pub(super) fn roots(locks: &[Contended]) -> Vec<Root> {
    let edges = edges(locks);
    let mut roots: HashMap<u64, Root> = HashMap::new();
    for start in edges.keys() {
        let (mut at, mut certain, mut certainty) = (*start, true, Certainty::Known);
        let mut seen = HashSet::new();
        while let Some(edge) = edges.get(&at).filter(|_| seen.insert(at)) {
            (at, certain) = (edge.holder, certain && edge.certain);
            certainty = certainty.max(edge.certainty);
        }
        // In or behind a circle there is no root.
        if edges.contains_key(&at) {
            continue;
        }
        let root = roots.entry(at).or_insert_with(|| Root {
            task: at,
            locks: locks.iter().filter(|lock| lock.held_by() == Some(at)).map(|l| l.lock).collect(),
            waiting: 0,
            certain: true,
            certainty: Certainty::Known,
        });
        root.certainty = root.certainty.max(certainty);
        root.waiting += 1;
        root.certain &= certain;
    }
    let mut roots: Vec<Root> = roots.into_values().collect();
    roots.sort_by_key(|root| (std::cmp::Reverse(root.waiting), root.task));
    roots
}
