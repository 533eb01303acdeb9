//! A ring of `list_head`s in which waiters stand, with the lock's head among them or without one.

use necropsy_machine::Target;

use crate::{list, memory::Memory};

/// The most waiters that one lock is believed to have.
const MOST: usize = 100_000;

/// The links of a ring, told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ring {
    /// The links of waiters, in the order of the ring.
    pub(super) waiters: Vec<u64>,
    /// The head of the list; `None` where the ring is waiters only.
    pub(super) head: Option<u64>,
}

/// Whether the links beside `link` point back at it.
pub(super) fn is_linked<M: Memory>(memory: &M, link: u64) -> bool {
    let Ok(next) = memory.word(link.wrapping_add(list::NEXT)) else { return false };
    let Ok(previous) = memory.word(link.wrapping_add(list::prev(memory))) else { return false };
    next % 8 == 0
        && previous % 8 == 0
        && memory.word(next.wrapping_add(list::prev(memory))) == Ok(link)
        && memory.word(previous.wrapping_add(list::NEXT)) == Ok(link)
}

impl Ring {
    /// The ring through `link`, a waiter's. `None` if it is none: it does not close, links do not
    /// point back, or more than one of them is no waiter.
    pub(super) fn through(
        target: &Target,
        link: u64,
        is_waiter: impl Fn(u64) -> bool,
    ) -> Option<Ring> {
        if !is_linked(target, link) {
            return None;
        }
        let mut ring = Ring { waiters: Vec::new(), head: None };
        // Where the walk found the head: what stands before it waits longer than what follows.
        let mut behind = None;
        for (count, node) in list::ring(target, link, list::NEXT).enumerate() {
            let node = node.ok()?;
            if count > MOST {
                return None;
            }
            if node == link || is_waiter(node) {
                ring.waiters.push(node);
            } else if ring.head.replace(node).is_some() {
                return None;
            } else {
                behind = Some(ring.waiters.len());
            }
        }
        // From the head on, as they queued.
        if let Some(behind) = behind {
            ring.waiters.rotate_left(behind);
        }
        Some(ring)
    }
}
