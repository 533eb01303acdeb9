//! Circles in graphs made by hand.

use necropsy_linux::locks::{Certainty, FoundBy, Holder, Lock, LockKind, Mode};

use super::{Contended, Waiter, cycles};

fn lock(address: u64, holder: (u64, Certainty), waiters: &[u64]) -> Contended {
    let waiter = |task: &u64| Waiter {
        task: *task,
        mode: Mode::Exclusive,
        found_by: FoundBy::Waiter,
        since_ns: None,
        asleep: true,
    };
    Contended {
        lock: Lock::new(LockKind::Mutex, address),
        name: None,
        holder: Holder { task: Some(holder.0).filter(|t| *t != 0), certainty: holder.1 },
        candidates: Vec::new(),
        waiters: waiters.iter().map(waiter).collect(),
    }
}

#[test]
fn a_circle_of_three_with_others_behind_it() {
    let locks = [
        lock(0x100, (1, Certainty::Known), &[3, 7, 8]),
        lock(0x200, (2, Certainty::Known), &[1]),
        lock(0x300, (3, Certainty::Hint), &[2]),
        lock(0x400, (8, Certainty::Known), &[9]),
    ];
    let found = cycles::cycles(&locks);
    assert_eq!(found.len(), 1, "{found:?}");
    let tasks: Vec<u64> = found[0].steps.iter().map(|step| step.task).collect();
    assert_eq!(tasks, [1, 2, 3]);
    assert!(!found[0].certain, "a reader is only a hint");
    assert_eq!(cycles::roots(&locks), [], "nobody who could end it");
}

#[test]
fn a_mutex_taken_twice_is_a_circle_of_one() {
    let found = cycles::cycles(&[lock(0x100, (1, Certainty::Known), &[1])]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].steps[0].held_by, 1);
    assert!(found[0].certain);
}

#[test]
fn a_reader_that_is_remembered_and_waits_has_given_the_lock_back() {
    assert_eq!(cycles::cycles(&[lock(0x100, (1, Certainty::Hint), &[1])]), []);
}

#[test]
fn a_chain_ends_at_who_holds_all_up() {
    let locks = [
        lock(0x100, (1, Certainty::Known), &[2, 3]),
        lock(0x200, (2, Certainty::Known), &[4]),
        lock(0x300, (0, Certainty::NotRecorded), &[5]),
    ];
    assert_eq!(cycles::cycles(&locks), []);
    let roots = cycles::roots(&locks);
    assert_eq!(roots.len(), 1);
    assert_eq!((roots[0].task, roots[0].waiting), (1, 3));
}

#[test]
fn who_was_woken_does_not_wait() {
    let mut locks =
        [lock(0x100, (1, Certainty::Known), &[2]), lock(0x200, (2, Certainty::Known), &[1])];
    locks[0].waiters[0].asleep = false;
    assert_eq!(cycles::cycles(&locks), []);
}

#[test]
fn who_waits_for_readers_does_not_wait_for_itself() {
    let mut drained = lock(0x100, (1, Certainty::Known), &[1, 2]);
    drained.waiters[0].mode = Mode::Drain;
    assert_eq!(cycles::cycles(&[drained.clone()]), []);
    let roots = cycles::roots(&[drained]);
    assert_eq!((roots.len(), roots[0].task, roots[0].waiting), (1, 1, 1));
}
