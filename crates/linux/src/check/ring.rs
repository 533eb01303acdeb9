//! Rings of `list_head`s: which word of a broken one is wrong, and what it should be.

use std::collections::{HashMap, HashSet};

use necropsy_dump::Reason;

use super::{Checker, Class, Confidence};
use crate::list::{self, NEXT};

/// Entries that were found to be linked right.
pub(super) type Seen = HashSet<u64>;

/// Entries that a walk follows; more do not fit into memory.
const MAX_ENTRIES: usize = 50_000_000;
/// How far the right neighbour of an entry is looked for.
const MAX_SEARCH: usize = 200_000;

/// A word, and whether it is damage that it cannot be read: the dump may lack it.
enum Word {
    Is(u64),
    NoAddress,
    Lacking,
}

fn word(checker: &Checker<'_>, at: u64) -> Word {
    if !at.is_multiple_of(prev_at(checker)) {
        return Word::NoAddress;
    }
    match checker.kernel.target().read_pointer(at) {
        Ok(value) => Word::Is(value),
        Err(fault) => match fault.reason {
            Reason::BadAddress | Reason::NotMapped { .. } => Word::NoAddress,
            _ => Word::Lacking,
        },
    }
}

fn value(checker: &Checker<'_>, at: u64) -> Option<u64> {
    match word(checker, at) {
        Word::Is(value) => Some(value),
        _ => None,
    }
}

/// Offset of `prev` in `struct list_head`.
fn prev_at(checker: &Checker<'_>) -> u64 {
    list::prev(checker.kernel.target())
}

/// Whether a pointer means that there is no list: never set, or taken off it.
fn no_link(pointer: u64) -> bool {
    pointer == 0 || list::poison(pointer).is_some()
}

/// What an entry belongs to, for findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    /// `task_struct ffff… tasks`, `slab_caches`.
    pub(super) name: &'a str,
    /// First byte of the structure, if it is known.
    pub(super) start: Option<u64>,
}

/// Walks a ring from one of its entries, in both directions as far as they go.
pub(super) fn walk(checker: &mut Checker<'_>, head: u64, owner: Owner<'_>, seen: &mut Seen) {
    if seen.contains(&head) {
        return;
    }
    let (Some(first), Some(last)) =
        (value(checker, head), value(checker, head.wrapping_add(prev_at(checker))))
    else {
        return;
    };
    if no_link(first) && no_link(last) {
        return;
    }
    // An empty list leads to itself both ways.
    for (at, found, other) in
        [(head, first, last), (head.wrapping_add(prev_at(checker)), last, first)]
    {
        if other == head && found != head {
            let (which, good) = if at == head { ("next", "back") } else { ("back", "next") };
            let good = format!("its {good} pointer leads to itself");
            return report(checker, which, owner, head, at, (Some(head), found), &good);
        }
    }
    // Forwards: as long as the next one points back.
    let mut order: HashMap<u64, u64> = HashMap::from([(head, 0)]);
    let mut at = head;
    let (from, to) = loop {
        let Some(next) = value(checker, at.wrapping_add(NEXT)) else { break (at, None) };
        match word(checker, next.wrapping_add(prev_at(checker))) {
            Word::Is(back) if back == at => {}
            Word::Lacking => return checker.unread("lists", 1, None),
            _ => break (at, Some(next)),
        }
        if next == head {
            checker.count("lists", 1);
            checker.count("entries of lists", order.len() as u64);
            return seen.extend(order.into_keys());
        }
        if order.len() >= MAX_ENTRIES || order.insert(next, at).is_some() {
            // It points back, so that a second time is impossible.
            return;
        }
        at = next;
    };
    // Backwards, to the other side of the break.
    let mut back = head;
    let (far, before) = loop {
        let Some(prev) = value(checker, back.wrapping_add(prev_at(checker))) else {
            break (back, None);
        };
        match word(checker, prev.wrapping_add(NEXT)) {
            Word::Is(next) if next == back => {}
            Word::Lacking => return checker.unread("lists", 1, None),
            _ => break (back, Some(prev)),
        }
        if prev == head || order.contains_key(&prev) || order.len() >= MAX_ENTRIES {
            break (back, Some(prev));
        }
        order.insert(prev, back);
        back = prev;
    };
    // Nobody points back at an entry that was never linked, or was copied from one that is.
    if order.len() == 1 {
        return;
    }
    checker.count("lists", 1);
    let good = format!("{} entries of the list agree with each other", order.len());
    seen.extend(order.into_keys());
    let (Some(to), Some(before)) = (to, before) else { return };
    if to == far {
        // It is reached, and names somebody else as the one before it.
        report(
            checker,
            "back",
            owner,
            far,
            far.wrapping_add(prev_at(checker)),
            (Some(from), before),
            &good,
        );
    } else if before == from {
        report(checker, "next", owner, from, from.wrapping_add(NEXT), (Some(far), to), &good);
    } else {
        // Both: what lay between the two is lost, or overwritten.
        report(checker, "next", owner, from, from.wrapping_add(NEXT), (None, to), &good);
        report(
            checker,
            "back",
            owner,
            far,
            far.wrapping_add(prev_at(checker)),
            (None, before),
            &good,
        );
    }
}

fn report(
    checker: &mut Checker<'_>,
    which: &str,
    owner: Owner<'_>,
    entry: u64,
    at: u64,
    (expected, found): (Option<u64>, u64),
    good: &str,
) {
    let name = owner.name;
    let text = match expected {
        Some(expected) => {
            format!("entry {entry:x}: its {which} pointer is {found:x}, {expected:x} must be there")
        }
        None => {
            format!("entry {entry:x}: its {which} pointer {found:x} leads to no entry of the list")
        }
    };
    let finding = checker.find("list", Class::Link, format!("list {name}"), at, text);
    finding.start(entry).neighbours(good);
    match expected {
        Some(expected) => finding.values(expected, found),
        None => finding.found(found).confidence(Confidence::Likely),
    };
}

/// Looks at one entry of a ring that nobody walked. Only what one neighbour confirms and the other
/// contradicts is damage: an entry that was never linked, or taken off, has no neighbour.
pub(super) fn entry(checker: &mut Checker<'_>, at: u64, owner: Owner<'_>) {
    let (Some(next), Some(prev)) =
        (value(checker, at), value(checker, at.wrapping_add(prev_at(checker))))
    else {
        return;
    };
    if no_link(next) || no_link(prev) || (next == at && prev == at) {
        return;
    }
    checker.count("entries of lists", 1);
    let back_of_next = word(checker, next.wrapping_add(prev_at(checker)));
    let next_of_prev = word(checker, prev.wrapping_add(NEXT));
    let agrees = |word: &Word| matches!(word, Word::Is(value) if *value == at);
    let (ahead, behind) = (agrees(&back_of_next), agrees(&next_of_prev));
    if ahead == behind
        || matches!(back_of_next, Word::Lacking)
        || matches!(next_of_prev, Word::Lacking)
    {
        return;
    }
    // Going round on the good side leads to who should be on the other one.
    let (good, toward, against) =
        if ahead { (next, NEXT, prev_at(checker)) } else { (prev, prev_at(checker), NEXT) };
    let bad = if ahead { prev } else { next };
    let (which, reverse) = if ahead { ("back", "next") } else { ("next", "back") };
    let good_text = "the neighbour on the other side points back";
    match far_neighbour(checker, good, at, toward) {
        Some(found) if found == bad => {}
        Some(expected) => {
            let values = (Some(expected), bad);
            report(checker, which, owner, at, at.wrapping_add(against), values, good_text);
        }
        // The ring is broken elsewhere: in the neighbour that it names, if that is one.
        None => {
            let there = value(checker, bad.wrapping_add(toward));
            let other = value(checker, bad.wrapping_add(against));
            let is_entry =
                other.is_some_and(|other| value(checker, other.wrapping_add(toward)) == Some(bad));
            match there {
                Some(there) if is_entry || plausible(checker, bad) => {
                    let values = (Some(at), there);
                    let owner = Owner { name: owner.name, start: None };
                    report(
                        checker,
                        reverse,
                        owner,
                        bad,
                        bad.wrapping_add(toward),
                        values,
                        good_text,
                    );
                }
                _ => {
                    let values = (None, bad);
                    report(checker, which, owner, at, at.wrapping_add(against), values, good_text);
                }
            }
        }
    }
}

/// The entry from which `toward` leads to `at`, on the way from `from`.
fn far_neighbour(checker: &Checker<'_>, from: u64, at: u64, toward: u64) -> Option<u64> {
    let (mut entry, mut seen) = (from, HashSet::new());
    while seen.len() < MAX_SEARCH && seen.insert(entry) {
        let next = value(checker, entry.wrapping_add(toward))?;
        if next == at {
            return Some(entry);
        }
        entry = next;
    }
    None
}

/// Whether an address lies in an object that is in use, or in a variable.
fn plausible(checker: &Checker<'_>, at: u64) -> bool {
    let kernel = checker.kernel;
    kernel.target().image_at(at).is_some()
        || kernel
            .slab_object(at)
            .ok()
            .flatten()
            .is_some_and(|found| found.state.allocated() == Some(true) && found.offset >= 0)
}
