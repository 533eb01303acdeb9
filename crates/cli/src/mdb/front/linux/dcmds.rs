//! dcmds and walkers of Linux kernels.

use std::sync::Arc;

use necropsy_linux::{Kernel, task::Task};
use necropsy_mdb::{Call, Dcmd, Failure, Mdb, Options, Outcome, Walker};
use regex::Regex;
use serde_json::json;

use super::LinuxSystem;

fn system(mdb: &Mdb) -> Outcome<&LinuxSystem> {
    let system = mdb.system().as_any().downcast_ref::<LinuxSystem>();
    system.ok_or_else(|| Failure::Text("this needs the dump of a Linux kernel".into()))
}

pub(super) fn kernel(mdb: &Mdb) -> Outcome<Arc<Kernel>> {
    Ok(system(mdb)?.kernel.clone())
}

pub(super) fn failed(error: necropsy_linux::Error) -> Failure {
    Failure::Text(error.to_string())
}

pub(super) const ALL: &[Dcmd] = &[
    Dcmd::new(&["status"], "", "print summary of current target", status),
    Dcmd::new(&["msgbuf"], "[-v]", "print most recent console messages", msgbuf),
    Dcmd::new(&["ps"], "?", "list processes", ps),
    Dcmd::new(&["pgrep"], "[-x] PATTERN", "pattern match against all processes", pgrep),
    Dcmd::new(&["pid2proc"], "?", "convert PID to task_struct address", pid2proc),
    Dcmd::new(&["stack", "$c"], "?", "print stack backtrace", |mdb, call| stack(mdb, call, false)),
    Dcmd::new(&["$C"], "?", "print stack backtrace with stack addresses", |mdb, call| {
        stack(mdb, call, true)
    }),
    Dcmd::new(&["findstack"], ":", "find kernel thread stack", |mdb, call| stack(mdb, call, true)),
    Dcmd::new(&["modinfo"], "", "print module information", modinfo),
];

pub(super) const WALKERS: &[Walker] = &[
    Walker { name: "proc", summary: "list of process structures", walk: processes },
    Walker { name: "thread", summary: "all tasks, or those of a process", walk: threads },
];

fn tasks(mdb: &mut Mdb, wanted: impl Fn(&Task<'_>) -> bool) -> Outcome<Vec<u64>> {
    let kernel = kernel(mdb)?;
    let all = kernel.tasks();
    for error in &all.errors {
        mdb.warn(&error.to_string());
    }
    Ok(all.tasks.iter().filter(|task| wanted(task)).map(|task| task.address).collect())
}

/// Whether a task stands for its process.
fn leads(task: &Task<'_>) -> bool {
    task.pid().ok() == task.tgid().ok()
}

fn processes(mdb: &mut Mdb, _: Option<u64>) -> Outcome<Vec<u64>> {
    tasks(mdb, leads)
}

pub(super) fn threads(mdb: &mut Mdb, process: Option<u64>) -> Outcome<Vec<u64>> {
    match process {
        None => tasks(mdb, |_| true),
        Some(at) => {
            let wanted = kernel(mdb)?.task_at(at).tgid().map_err(failed)?;
            tasks(mdb, |task| task.tgid().is_ok_and(|tgid| tgid == wanted))
        }
    }
}

fn status(mdb: &mut Mdb, _: &Call) -> Outcome {
    let kernel = kernel(mdb)?;
    let name = system(mdb)?.name.clone();
    let uts = kernel.uts().map_err(failed)?;
    let log = kernel.log().ok();
    let panic = log.as_ref().and_then(|log| log.panic_line()).unwrap_or("(none in the log)");
    mdb.line(&format!("debugging crash dump {name} from {}", uts.nodename))?;
    mdb.line(&format!("operating system: {} {} ({})", uts.release, uts.version, uts.machine))?;
    mdb.line(&format!("panic message: {panic}"))
}

fn msgbuf(mdb: &mut Mdb, call: &Call) -> Outcome {
    let verbose = Options::take(&call.args, "v")?.has('v');
    let log = kernel(mdb)?.log().map_err(failed)?;
    mdb.heading(&format!("{:<70}", "MESSAGE"))?;
    for record in &log.records {
        let time = record.time_ns.unwrap_or(0);
        let text = if verbose {
            format!("[{:>5}.{:06}] {}", time / 1_000_000_000, time / 1000 % 1_000_000, record.text)
        } else {
            record.text.clone()
        };
        mdb.row(&text, json!({ "time_ns": record.time_ns, "text": record.text }))?;
    }
    for error in &log.errors {
        mdb.warn(&error.to_string());
    }
    Ok(())
}

fn heading(mdb: &mut Mdb, call: &Call) -> Outcome {
    if !call.wants_heading() {
        return Ok(());
    }
    mdb.heading(&format!("{:<2} {:>7} {:>7} {:>16} NAME", "S", "PID", "PPID", "ADDR"))
}

fn show(mdb: &mut Mdb, call: &Call, address: u64) -> Outcome {
    if call.pipe_out {
        mdb.pipe(address);
        return Ok(());
    }
    let kernel = kernel(mdb)?;
    let task = kernel.task_at(address);
    let (pid, comm) = (task.pid().map_err(failed)?, task.comm().map_err(failed)?);
    let ppid = task.ppid().unwrap_or(0);
    let state = task.state().map_or("?", |state| state.letters());
    let text = format!("{state:<2} {pid:>7} {ppid:>7} {address:016x} {comm}");
    let object = json!({
        "state": state, "pid": pid, "ppid": ppid, "address": format!("{address:#x}"), "comm": comm,
    });
    mdb.row(&text, object)
}

fn ps(mdb: &mut Mdb, call: &Call) -> Outcome {
    let found = match call.address {
        Some(address) => vec![address],
        None => processes(mdb, None)?,
    };
    heading(mdb, call)?;
    for address in found {
        mdb.check()?;
        if let Err(Failure::Text(text)) = show(mdb, call, address) {
            mdb.warn(&format!("task {address:x}: {text}"));
        }
    }
    Ok(())
}

fn pgrep(mdb: &mut Mdb, call: &Call) -> Outcome {
    let options = Options::take_anywhere(&call.args, "x")?;
    let Some(pattern) = options.rest.first() else {
        return Err(Failure::Usage("a pattern must be given".into()));
    };
    let text =
        if options.has('x') { format!("^(?:{})$", pattern.text) } else { pattern.text.clone() };
    let Ok(regex) = Regex::new(&text) else {
        return Err(Failure::Text(format!("{}: not a regular expression", pattern.text)));
    };
    let found =
        tasks(mdb, |task| leads(task) && task.comm().is_ok_and(|comm| regex.is_match(&comm)))?;
    heading(mdb, call)?;
    for address in found {
        show(mdb, call, address)?;
    }
    Ok(())
}

fn pid2proc(mdb: &mut Mdb, call: &Call) -> Outcome {
    let pid = match (call.address, call.args.first()) {
        (Some(pid), _) => pid,
        (None, Some(arg)) => mdb.number(arg)?,
        (None, None) => return Err(Failure::Usage("a process number must be given".into())),
    };
    let found = kernel(mdb)?.task_by_pid(pid).map_err(failed)?.map(|task| task.address);
    let Some(address) = found else {
        return Err(Failure::Text(format!("no task has the number 0t{pid}")));
    };
    if call.pipe_out {
        mdb.pipe(address);
        return Ok(());
    }
    mdb.row(&format!("{address:x}"), json!({ "address": format!("{address:#x}") }))
}

fn stack(mdb: &mut Mdb, call: &Call, pointers: bool) -> Outcome {
    let kernel = kernel(mdb)?;
    let task = match call.address {
        Some(address) => kernel.task_at(address),
        None => kernel
            .panic_task()
            .ok_or_else(|| Failure::Text("no task is known to have panicked".into()))?,
    };
    let trace = task.trace().map_err(failed)?;
    if call.address.is_some() && !call.pipe_out {
        let comm = task.comm().unwrap_or_default();
        let sp = trace.frames.first().map_or(0, |frame| frame.sp);
        mdb.heading(&format!("stack pointer for thread {:x} ({comm}): {sp:x}", task.address))?;
    }
    let indent = if call.address.is_some() { "  " } else { "" };
    for frame in &trace.frames {
        if call.pipe_out {
            mdb.pipe(frame.pc);
            continue;
        }
        let name = mdb.system().name_or_hex(frame.pc);
        let text = if pointers {
            format!("{indent}{:016x} {name}()", frame.slot)
        } else {
            format!("{indent}{name}()")
        };
        let object = json!({
            "pc": format!("{:#x}", frame.pc), "sp": format!("{:#x}", frame.sp), "symbol": name,
        });
        mdb.row(&text, object)?;
    }
    Ok(())
}

fn modinfo(mdb: &mut Mdb, call: &Call) -> Outcome {
    let kernel = kernel(mdb)?;
    let (modules, error) = kernel.modules();
    if call.wants_heading() {
        mdb.heading("MODULE NAME")?;
    }
    for module in modules {
        mdb.row(&module.name, json!({ "name": module.name }))?;
    }
    if let Some(error) = error {
        mdb.warn(&error.to_string());
    }
    Ok(())
}
