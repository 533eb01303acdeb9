//! Who waits for whom in the guests of `xtask/lab-modules/waits`: each wait named right, no deadlock
//! where there is none.

mod common;

use std::path::PathBuf;

use common::{dumps, lab, name, open, rows};
use necropsy_synth::Needs;
use serde_json::Value;

fn guests(kind: &str) -> Vec<PathBuf> {
    let Some(lab) = lab() else { return Vec::new() };
    let found = dumps(&lab).into_iter().filter(|dump| name(dump).contains(kind));
    let found: Vec<PathBuf> = found.collect();
    if found.is_empty() {
        eprintln!("SKIPPED: no dump *{kind}");
    }
    found
}

/// The lock that a task waits for.
fn lock_of<'a>(locks: &'a [Value], comm: &str) -> Option<&'a Value> {
    locks.iter().find(|row| {
        let waiters = row["waiters"].as_array();
        waiters.is_some_and(|waiters| waiters.iter().any(|waiter| waiter["comm"] == comm))
    })
}

/// Circles, each as the names of its tasks in order of the alphabet, with its certainty.
fn circles(locks: &[Value]) -> Vec<(Vec<String>, String)> {
    let cycles = locks.iter().filter(|row| row["cycle"].is_array());
    let mut found: Vec<(Vec<String>, String)> = cycles
        .map(|row| {
            let steps = row["cycle"].as_array().unwrap();
            let mut tasks: Vec<String> =
                steps.iter().map(|step| step["comm"].as_str().unwrap().to_owned()).collect();
            tasks.sort();
            (tasks, row["certainty"].as_str().unwrap().to_owned())
        })
        .collect();
    found.sort();
    found
}

fn each_wait_is_named() {
    for dump in guests("waits-stuck") {
        let name = name(&dump);
        let locks = rows(&mut open(std::slice::from_ref(&dump)), "locks");
        let realtime = name.starts_with("rt-");
        for (waiter, kind, held_by, certainty) in [
            ("rw3_first", "rwsem", Some("rw3_second"), "known"),
            ("rw3_second", "rwsem", Some("rw3_third"), "known"),
            ("rw3_third", "rwsem", Some("rw3_first"), "known"),
            ("no_giver", "completion", None, "not_recorded"),
            ("heir", "mutex", None, "known"),
            ("rcu_waiter", "completion", Some("rcu_reader"), "known"),
            ("spinner/2", "spinlock", None, "candidate"),
            ("spinner/3", "spinlock", None, "candidate"),
            ("plain-ab", "futex", Some("plain-ba"), "inferred"),
            ("plain-ba", "futex", Some("plain-ab"), "inferred"),
            ("pi-ab", "rt_mutex", Some("pi-ba"), "known"),
            ("rob-waiter", "futex", Some("rob-holder"), "inferred"),
            ("flusher", "completion", Some("kworker/"), "known"),
            ("stopper", "completion", Some("stopped"), "known"),
            ("stopped", "mutex", Some("stopper"), "known"),
            ("inode-ab", "rwsem", Some("inode-ba"), "known"),
            ("rt-ab", "rt_mutex", Some("rt-ba"), "known"),
            ("pcpu_late", "percpu_rwsem", Some("pcpu_writer"), "known"),
        ] {
            // With PREEMPT_RT a spinlock is a mutex that knows its holder, and who has it is a reader of
            // RCU, which nobody then gets past.
            if realtime && matches!(waiter, "rcu_waiter" | "pcpu_late") {
                continue;
            }
            let (kind, held_by, certainty) = match kind {
                "spinlock" if realtime => ("rt_spinlock", Some("spin_holder"), "known"),
                _ => (kind, held_by, certainty),
            };
            let lock = lock_of(&locks, waiter).unwrap_or_else(|| panic!("{name}: {waiter}"));
            let lock_name = lock["name"].as_str().unwrap_or_default();
            // A kernel whose readers cannot be preempted knows of none that sleeps.
            if waiter == "rcu_waiter" && !lock_name.contains("reader") {
                assert!(lock_name.contains("held up by CPU"), "{name}: {lock}");
                continue;
            }
            assert_eq!(lock["type"], kind, "{name}: {waiter}: {lock}");
            // The owner exited; where its memory is a later task's by now, that is younger than the wait.
            if waiter == "heir" {
                let gone = lock["holder"]["state"] == "gone";
                let certainty = if gone { "known" } else { "hint" };
                assert_eq!(lock["holder"]["certainty"], certainty, "{name}: {waiter}: {lock}");
                continue;
            }
            assert_eq!(lock["holder"]["certainty"], certainty, "{name}: {waiter}: {lock}");
            let holder = lock["holder"]["comm"].as_str();
            assert_eq!(holder.is_some(), held_by.is_some(), "{name}: {waiter}: {lock}");
            let same = holder.zip(held_by).is_none_or(|(is, wanted)| is.starts_with(wanted));
            assert!(same, "{name}: {waiter}: {lock}");
        }
        let lock = lock_of(&locks, "spinner/2").unwrap();
        let candidates = lock["candidates"].to_string();
        assert!(realtime || candidates.contains("spin_holder"), "{name}: {lock}");
        let spinners = lock["waiters"].as_array().map(Vec::len);
        assert!(spinners >= Some(2), "{name}: {lock}");
        let frozen = locks.iter().any(|lock| {
            lock["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("superblock of ") && name.contains("frozen"))
        });
        assert!(frozen, "{name}: the frozen superblock");
        assert!(lock_of(&locks, "cond-waiter").is_none(), "{name}: nobody holds it");
        let circles = circles(&locks);
        let has = |tasks: &[&str], certainty: &str| {
            circles.iter().any(|(own, how)| own.as_slice() == tasks && how == certainty)
        };
        assert!(has(&["rw3_first", "rw3_second", "rw3_third"], "known"), "{name}: {circles:?}");
        assert!(has(&["plain-ab", "plain-ba"], "inferred"), "{name}: {circles:?}");
        assert!(has(&["pi-ab", "pi-ba"], "inferred"), "{name}: {circles:?}");
        assert!(has(&["stopped", "stopper"], "known"), "{name}: {circles:?}");
        assert!(has(&["inode-ab", "inode-ba"], "known"), "{name}: {circles:?}");
        assert!(has(&["rt-ab", "rt-ba"], "known"), "{name}: {circles:?}");
        let begin = |name: &str| circles.iter().filter(|(own, _)| own[0].starts_with(name)).count();
        assert_eq!((begin("kworker"), begin("flusher")), (2, 1), "{name}: {circles:?}");
        // Kernels that note who took a semaphore last tell of one more, and how sure they are.
        let sems = circles.iter().filter(|(own, _)| own[0] == "sem-ab");
        assert!(sems.clone().all(|(_, how)| how == "hint"), "{name}: {circles:?}");
        assert_eq!(circles.len() - sems.count(), 9, "{name}: {circles:?}");
    }
}

fn slow_is_no_deadlock() {
    for dump in guests("waits-slow") {
        let mut session = open(std::slice::from_ref(&dump));
        let locks = rows(&mut session, "locks");
        // Those of the process that has nothing to do with the module are there in both.
        let circles: Vec<_> = circles(&locks)
            .into_iter()
            .filter(|(tasks, _)| !tasks[0].starts_with("pi-") && !tasks[0].starts_with("plain-"))
            .collect();
        assert!(circles.is_empty(), "{}: {circles:?}", name(&dump));
        assert!(locks.iter().any(|row| row["waiters"].is_array()), "{}: some wait", name(&dump));
    }
}

necropsy_synth::data_tests! {
    each_wait_is_named: [Needs::Lab("out")],
    slow_is_no_deadlock: [Needs::Lab("out")],
}
