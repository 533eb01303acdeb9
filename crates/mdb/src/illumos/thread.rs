//! Threads.

use necropsy_illumos::thread::{TS_FREE, state_name};
use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome};

use super::{kernel, stack};

fn threads(mdb: &mut Mdb, call: &Call) -> Outcome<Vec<u64>> {
    match call.address {
        Some(address) => Ok(vec![address]),
        None => {
            let walk = kernel(mdb)?.threads();
            Ok(mdb.noted(walk))
        }
    }
}

/// What cannot be read costs its row.
pub(super) fn tell(mdb: &mut Mdb, thread: u64, failure: Failure) -> Outcome {
    match failure {
        Failure::Fault(_) | Failure::Text(_) => {
            let text = failure.to_string();
            let text = if text.starts_with("thread ") {
                text
            } else {
                format!("thread {thread:x}: {text}")
            };
            mdb.warn(&text);
            Ok(())
        }
        other => Err(other),
    }
}

pub(super) const THREAD: Dcmd =
    Dcmd::new(&["thread"], "? [-bdfimps]", "display a summarized kthread_t", |mdb, call| {
        let options = Options::take(&call.args, "bdfimps")?;
        let sets: Vec<char> = "ipbsd".chars().filter(|&set| options.has(set)).collect();
        let sets = if sets.is_empty() { vec!['i'] } else { sets };
        if call.wants_heading() {
            for (index, set) in sets.iter().enumerate() {
                let text = match set {
                    'p' => format!("{:>16} {:>16} {:>16}", "PROC", "LWP", "CRED"),
                    'b' => {
                        format!("{:>16} {:>16} {:>16} {:>16}", "WCHAN", "TS", "PITS", "SOBJ OPS")
                    }
                    's' => format!("{:>16} {:>16} {:>16}", "SIGQUEUE", "SIG PEND", "SIG HELD"),
                    'd' => format!("{:>16} {:>16} {:>16}", "DISPTIME", "BOUND", "PR SWITCH"),
                    _ => format!(
                        "{:>8} {:>4} {:>4} {:>4} {:>5} {:>5} {:>3} {:>16}",
                        "STATE", "FLG", "PFLG", "SFLG", "PRI", "EPRI", "PIL", "INTR"
                    ),
                };
                let first = if index == 0 { "ADDR" } else { "" };
                mdb.heading(&format!("{first:>16} {text}"))?;
            }
        }
        for thread in threads(mdb, call)? {
            mdb.check()?;
            if call.pipe_out {
                mdb.pipe(thread);
                continue;
            }
            if let Err(failure) = show(mdb, thread, &sets, options.has('f')) {
                tell(mdb, thread, failure)?;
            }
        }
        Ok(())
    });

fn show(mdb: &mut Mdb, thread: u64, sets: &[char], hide_free: bool) -> Outcome {
    let kernel = kernel(mdb)?;
    let kernel = &*kernel;
    let shape = &kernel.shapes().thread;
    let state = shape.state.get(kernel, thread)?;
    if hide_free && state == TS_FREE {
        return Ok(());
    }
    let mut lines = Vec::new();
    let mut object = json!({ "address": format!("{thread:#x}"), "state": state_name(state) });
    for (index, set) in sets.iter().enumerate() {
        let hex = |field: necropsy_illumos::shapes::Field| field.get(kernel, thread);
        let text = match set {
            'p' => {
                let (proc, lwp, cred) = (hex(shape.procp)?, hex(shape.lwp)?, hex(shape.cred)?);
                object["proc"] = json!(format!("{proc:#x}"));
                object["lwp"] = json!(format!("{lwp:#x}"));
                format!("{proc:>16x} {lwp:>16x} {cred:>16x}")
            }
            'b' => {
                let (wchan, ts) = (hex(shape.wchan)?, hex(shape.ts)?);
                let (pits, sobj) = (hex(shape.prioinv)?, hex(shape.sobj_ops)?);
                object["wchan"] = json!(format!("{wchan:#x}"));
                let sobj = if sobj == 0 { "0".into() } else { kernel.name_or_hex(sobj) };
                format!("{wchan:>16x} {ts:>16x} {pits:>16x} {sobj:>16}")
            }
            's' => {
                let queue = hex(shape.sigqueue)?;
                let (pending, held) = (
                    kernel.read_u64(shape.sig.at(thread)?)?,
                    kernel.read_u64(shape.hold.at(thread)?)?,
                );
                format!("{queue:>16x} {pending:>16x} {held:>16x}")
            }
            'd' => {
                let time = hex(shape.disp_time)?;
                let bound = hex(shape.bound_cpu)?;
                let ago = kernel.lbolt().map_or(0, |now| now.wrapping_sub(time) as i64);
                format!("{time:>16x} {bound:>16x} {:>16}", format!("t-{ago}"))
            }
            _ => {
                let (flag, pflag, sflag) =
                    (hex(shape.flag)?, hex(shape.proc_flag)?, hex(shape.schedflag)?);
                let (pri, epri) =
                    (shape.pri.signed(kernel, thread)?, shape.epri.signed(kernel, thread)?);
                let pil = hex(shape.pil)?;
                let intr = hex(shape.intr)?;
                object["flag"] = json!(format!("{flag:#x}"));
                object["pri"] = json!(pri);
                object["pil"] = json!(pil);
                let intr = if intr == 0 { "n/a".into() } else { format!("{intr:x}") };
                format!(
                    "{:<8} {flag:>4x} {pflag:>4x} {sflag:>4x} {pri:>5} {epri:>5} {pil:>3} {intr:>16}",
                    state_name(state)
                )
            }
        };
        let first = if index == 0 { format!("{thread:016x}") } else { String::new() };
        lines.push(format!("{first:>16} {text}"));
    }
    mdb.row(&lines.join("\n"), object)
}

pub(super) const THREADLIST: Dcmd = Dcmd::new(
    &["threadlist"],
    "? [-t] [-v [COUNT]]",
    "display threads and associated C stack traces",
    |mdb, call| {
        let options = Options::take(&call.args, "tv")?;
        let verbose = options.has('v');
        let args = match options.rest.first() {
            Some(arg) if verbose => mdb.number(arg)? as usize,
            _ => 0,
        };
        if call.wants_heading() {
            let text = if verbose {
                format!(
                    "{:>16} {:>16} {:>16} {:>3} {:>3} {:>16}",
                    "ADDR", "PROC", "LWP", "CLS", "PRI", "WCHAN"
                )
            } else {
                format!("{:>16} {:>16} {:>16} CMD/LWPID", "ADDR", "PROC", "LWP")
            };
            mdb.heading(&text)?;
        }
        for thread in threads(mdb, call)? {
            mdb.check()?;
            let listed = if verbose {
                list_verbose(mdb, call, thread, args, options.has('t'))
            } else {
                list(mdb, call, thread, options.has('t'))
            };
            if let Err(failure) = listed {
                tell(mdb, thread, failure)?;
            }
        }
        Ok(())
    },
);

/// Whether a thread is left out: free ones are, and those of task queues if asked for.
fn is_left_out(kernel: &necropsy_illumos::Kernel, thread: u64, no_taskq: bool) -> Outcome<bool> {
    let shape = &kernel.shapes().thread;
    if shape.state.get(kernel, thread)? == TS_FREE {
        return Ok(true);
    }
    Ok(no_taskq && shape.taskq.get(kernel, thread).is_ok_and(|taskq| taskq != 0))
}

fn list(mdb: &mut Mdb, call: &Call, thread: u64, no_taskq: bool) -> Outcome {
    let kernel = kernel(mdb)?;
    if is_left_out(&kernel, thread, no_taskq)? {
        return Ok(());
    }
    if call.pipe_out {
        mdb.pipe(thread);
        return Ok(());
    }
    let shape = &kernel.shapes().thread;
    let (proc, lwp) = (shape.procp.get(&kernel, thread)?, shape.lwp.get(&kernel, thread)?);
    let what = kernel.describe_thread(thread)?;
    let object = json!({
        "address": format!("{thread:#x}"), "proc": format!("{proc:#x}"),
        "lwp": format!("{lwp:#x}"), "what": what,
    });
    mdb.row(&format!("{thread:016x} {proc:>16x} {lwp:>16x} {what}"), object)
}

fn list_verbose(mdb: &mut Mdb, call: &Call, thread: u64, args: usize, no_taskq: bool) -> Outcome {
    let kernel = kernel(mdb)?;
    if is_left_out(&kernel, thread, no_taskq)? {
        return Ok(());
    }
    if call.pipe_out {
        mdb.pipe(thread);
        return Ok(());
    }
    let shape = &kernel.shapes().thread;
    let (proc, lwp) = (shape.procp.get(&kernel, thread)?, shape.lwp.get(&kernel, thread)?);
    let (class, pri) = (shape.cid.get(&kernel, thread)?, shape.pri.signed(&kernel, thread)?);
    let wchan = shape.wchan.get(&kernel, thread)?;
    if !mdb.out.json {
        mdb.line(&format!(
            "{thread:016x} {proc:>16x} {lwp:>16x} {class:>3} {pri:>3} {wchan:>16x}"
        ))?;
        let pc = mdb.system.name_or_hex(kernel.saved_registers(thread)?[0]);
        let is_user = shape.tid.get(&kernel, thread)? != 0;
        let what = if is_user && !kernel.threads_have_names() {
            format!("CMD: {}", kernel.shapes().proc.psargs.text(&kernel, proc)?)
        } else if is_user {
            format!("CMD: {}", kernel.describe_thread(thread)?)
        } else {
            let what = kernel.describe_thread(thread)?;
            match what.strip_prefix("tq:").filter(|_| !kernel.threads_have_names()) {
                Some(queue) => format!("TASKQ: {queue}"),
                None => format!("THREAD: {what}"),
            }
        };
        mdb.line(&format!("  PC: {pc:<20}    {what}"))?;
    }
    stack::find(mdb, thread, args, false, "  ")?;
    if mdb.out.json { Ok(()) } else { mdb.line("") }
}

pub(super) const WHATTHREAD: Dcmd = Dcmd::new(
    &["whatthread"],
    ": [-v]",
    "print threads whose stack contains the given address",
    |mdb, call| {
        let wanted = call.needs_address()?;
        let verbose = Options::take(&call.args, "v")?.has('v');
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().thread;
        let walk = kernel.threads();
        for thread in mdb.noted(walk) {
            mdb.check()?;
            let ends = (shape.stkbase.get(&kernel, thread), shape.stk.get(&kernel, thread));
            let (Ok(base), Ok(top)) = ends else { continue };
            if top.saturating_sub(base) > 1 << 20 {
                continue;
            }
            let mut at = base;
            while at < top {
                let Ok(word) = kernel.read_u64(at) else { break };
                if word == wanted {
                    if call.pipe_out {
                        mdb.pipe(thread);
                    } else {
                        let object =
                            json!({ "thread": format!("{thread:#x}"), "at": format!("{at:#x}") });
                        let text = if verbose {
                            format!("{thread:x}: {at:x}")
                        } else {
                            format!("{thread:x}")
                        };
                        mdb.row(&text, object)?;
                    }
                    if !verbose {
                        break;
                    }
                }
                at += 8;
            }
        }
        Ok(())
    },
);

pub(super) const TASKQ: Dcmd =
    Dcmd::new(&["taskq"], "? [-n NAME]", "display a taskq", |mdb, call| {
        let options = Options::take(&call.args, "atTm:n:")?;
        let found = match call.address {
            Some(address) => vec![address],
            None => mdb.walk("taskq_cache", None)?,
        };
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:<16} {:<31} {:>9} {:>9} {:>10} {:>4}",
                "ADDR", "NAME", "ACT/THDS", "Q'ED", "MAXQ", "PRI"
            ))?;
        }
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().taskq;
        for at in found {
            let name = shape.name.text(&kernel, at)?;
            if options.get('n').is_some_and(|wanted| !name.contains(wanted)) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(at);
                continue;
            }
            let (active, threads) =
                (shape.active.get(&kernel, at)?, shape.nthreads.get(&kernel, at)?);
            let queued =
                shape.tasks.get(&kernel, at)?.saturating_sub(shape.executed.get(&kernel, at)?);
            let most = shape.maxtasks.signed(&kernel, at)?;
            let pri = shape.pri.signed(&kernel, at)?;
            let text = format!(
                "{at:016x} {name:<31} {:>9} {queued:>9} {most:>10} {pri:>4}",
                format!("{active}/{threads}")
            );
            let object = json!({
                "address": format!("{at:#x}"), "name": name, "active": active,
                "threads": threads, "queued": queued, "max": most, "pri": pri,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });
