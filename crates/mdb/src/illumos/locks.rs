//! Locks, and who waits for what.

use necropsy_illumos::{sync::Mutex, thread::sobj_name};
use serde_json::json;

use crate::{Dcmd, Mdb, Options, Outcome, failure::fail};

use super::kernel;

pub(super) const MUTEX: Dcmd = Dcmd::new(
    &["mutex"],
    ": [-f]",
    "dump out an adaptive or spin mutex",
    |mdb, call| {
        let at = call.needs_address()?;
        let force = Options::take(&call.args, "f")?.has('f');
        let kernel = kernel(mdb)?;
        let (mutex, valid) = kernel.mutex(at)?;
        if !valid && !force {
            return fail(match mutex {
                Mutex::Spin { .. } => format!("{at:x}: invalid spin lock (-f to dump anyway)"),
                Mutex::Adaptive { .. } => {
                    format!("{at:x}: invalid adaptive mutex (-f to dump anyway)")
                }
            });
        }
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:>5} {:>16} {:>6} {:>6} {:>7}",
                "ADDR", "TYPE", "HELD", "MINSPL", "OLDSPL", "WAITERS"
            ))?;
        }
        let (text, object) = match mutex {
            Mutex::Adaptive { owner, waiters } => {
                let held = owner.map_or("no".to_owned(), |owner| format!("{owner:x}"));
                let waits = if waiters { "yes" } else { "no" };
                (
                    format!("{at:016x} {:>5} {held:>16} {:>6} {:>6} {waits:>7}", "adapt", "-", "-"),
                    json!({ "type": "adaptive", "owner": owner.map(|o| format!("{o:#x}")), "waiters": waiters }),
                )
            }
            Mutex::Spin { minspl, oldspl, held } => {
                let word = if held { "yes" } else { "no" };
                (
                    format!(
                        "{at:016x} {:>5} {word:>16} {minspl:>6} {oldspl:>6} {:>7}",
                        "spin", "-"
                    ),
                    json!({ "type": "spin", "held": held, "minspl": minspl, "oldspl": oldspl }),
                )
            }
        };
        mdb.row(&text, object)
    },
);

pub(super) const RWLOCK: Dcmd =
    Dcmd::new(&["rwlock"], ":", "dump out a readers/writer lock", |mdb, call| {
        let at = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let lock = kernel.rwlock(at)?;
        let waiters = kernel.waiters(at);
        let object = json!({
            "address": format!("{at:#x}"), "owner": lock.owner.map(|o| format!("{o:#x}")),
            "readers": lock.readers, "write_locked": lock.write_locked,
            "write_wanted": lock.write_wanted, "has_waiters": lock.has_waiters,
            "destroyed": lock.destroyed,
            "waiters": waiters.iter().map(|t| format!("{t:#x}")).collect::<Vec<_>>(),
        });
        if mdb.out.json {
            return mdb.row("", object);
        }
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:>16} {:>5} {:>16}",
                "ADDR", "OWNER/COUNT", "FLAGS", "WAITERS"
            ))?;
        }
        let who = match lock.owner {
            Some(owner) => format!("{owner:x}"),
            None => format!("READERS={}", lock.readers),
        };
        let bit = |flag: bool| if flag { '1' } else { '0' };
        let flags = format!(
            "B{}{}{}",
            bit(lock.write_locked),
            bit(lock.write_wanted),
            bit(lock.has_waiters)
        );
        let first = waiters.first().map(|thread| format!("{thread:x}")).unwrap_or_default();
        mdb.line(&format!("{at:>16x} {who:>16} {flags:>5} {first:>16}"))?;
        for thread in waiters.iter().skip(1) {
            mdb.line(&format!("{:>39} {thread:>16x}", ""))?;
        }
        let words = [
            (lock.write_locked && !lock.destroyed, "WRITE_LOCKED"),
            (lock.write_wanted, "WRITE_WANTED"),
            (lock.has_waiters, "HAS_WAITERS"),
            (lock.destroyed, "DESTROYED"),
        ];
        for (holds, word) in words {
            if holds {
                mdb.line(&format!("{:>33}{word} -------+", ""))?;
            }
        }
        Ok(())
    });

pub(super) const WCHANINFO: Dcmd =
    Dcmd::new(&["wchaninfo"], "? [-v]", "dump condition variable", |mdb, call| {
        let verbose = Options::take(&call.args, "v")?.has('v');
        let kernel = kernel(mdb)?;
        let all = kernel.wait_channels();
        if call.wants_heading() {
            let more =
                if verbose { format!(" {:<16} {}", "THREAD", "PROC") } else { String::new() };
            mdb.heading(&format!("{:<16} {:<4} {:>8}{more}", "ADDR", "TYPE", "NWAITERS"))?;
        }
        for (object, kind, threads) in all {
            mdb.check()?;
            if call.address.is_some_and(|wanted| wanted != object) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(object);
                continue;
            }
            // Semaphores and condition variables alone have channels that are told.
            let word = match kind {
                3 => "cond".to_owned(),
                4 => "sema".to_owned(),
                other => sobj_name(other).to_lowercase(),
            };
            let mut text = format!("{object:016x} {word:<4} {:>8}", threads.len());
            if verbose {
                for (index, &thread) in threads.iter().enumerate() {
                    let shapes = kernel.shapes();
                    let proc = shapes.thread.procp.get(&kernel, thread).unwrap_or(0);
                    let comm = shapes.proc.comm.text(&kernel, proc).unwrap_or_default();
                    let lead = if index == 0 { " ".to_owned() } else { format!("\n{:31}", "") };
                    text.push_str(&format!("{lead}{thread:016x} {comm}"));
                }
            }
            let list: Vec<String> = threads.iter().map(|thread| format!("{thread:#x}")).collect();
            let row = json!({
                "address": format!("{object:#x}"), "type": word, "threads": list,
            });
            mdb.row(&text, row)?;
        }
        Ok(())
    });

pub(super) const TURNSTILE: Dcmd =
    Dcmd::new(&["turnstile"], "?", "display a turnstile", |mdb, call| {
        let at = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().turnstile;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:>16} {:>5} {:>4} {:>16} {:>16}",
                "ADDR", "SOBJ", "WTRS", "EPRI", "ITOR", "PRIOINV"
            ))?;
        }
        let get = |field: necropsy_illumos::shapes::Field| field.get(&kernel, at);
        let (object, waiters) = (get(shape.sobj)?, get(shape.waiters)?);
        let pri = shape.epri.signed(&kernel, at)?;
        let (inheritor, chain) = (get(shape.inheritor)?, get(shape.prioinv)?);
        let row = json!({
            "address": format!("{at:#x}"), "object": format!("{object:#x}"), "waiters": waiters,
            "priority": pri, "inheritor": format!("{inheritor:#x}"),
        });
        let text =
            format!("{at:016x} {object:>16x} {waiters:>5} {pri:>4} {inheritor:>16x} {chain:>16x}");
        mdb.row(&text, row)
    });

/// The turnstile of an object: a thread that blocks gives its own away, and has from then on the
/// one that the object's waiters share.
fn turnstile_of(mdb: &Mdb, object: u64) -> Outcome<Option<u64>> {
    let kernel = kernel(mdb)?;
    let shapes = kernel.shapes();
    let of = |thread: u64| shapes.thread.ts.get(&kernel, thread).ok();
    let is_it = |ts: &u64| shapes.turnstile.sobj.get(&kernel, *ts) == Ok(object);
    Ok(kernel.waiters(object).into_iter().filter_map(of).find(is_it))
}

pub(super) const SOBJ2TS: Dcmd =
    Dcmd::new(&["sobj2ts"], ":", "perform turnstile lookup on synch object", |mdb, call| {
        let object = call.needs_address()?;
        let Some(at) = turnstile_of(mdb, object)? else {
            return fail(format!("{object:x} has no turnstile: no thread is blocked on it"));
        };
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        mdb.row(&format!("{at:x}"), json!({ "turnstile": format!("{at:#x}") }))
    });

pub(super) const FINDLOCKS: Dcmd =
    Dcmd::new(&["findlocks"], ":", "find locks held by specified thread", |mdb, call| {
        let thread = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let mut count = 0;
        for (_, _, threads) in kernel.wait_channels() {
            mdb.check()?;
            let first = threads.first().and_then(|&waits| kernel.blocked(waits).ok().flatten());
            let Some(blocked) = first.filter(|blocked| blocked.owner == Some(thread)) else {
                continue;
            };
            count += 1;
            let at = blocked.lock;
            if call.pipe_out {
                mdb.pipe(at);
                continue;
            }
            let kind = if blocked.is_rwlock { "rwlock" } else { "mutex" };
            let object = json!({ "lock": format!("{at:#x}"), "kind": kind });
            mdb.row(&format!("{at:x} ({kind}) is owned by {thread:x}"), object)?;
        }
        match (call.pipe_out, count) {
            (false, 0) => mdb.line(&format!("{thread:x} holds no lock that a thread waits for")),
            _ => Ok(()),
        }
    })
    .with_help("Of locks that nobody waits for a dump does not tell where they are.");
