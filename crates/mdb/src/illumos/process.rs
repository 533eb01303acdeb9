//! Processes.

use necropsy_illumos::{Kernel, process::Process, shapes::Field};
use regex::Regex;
use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome, failure::fail};

use super::kernel;

const PS_OPTIONS: &str = "fltTPzs";

pub(super) const PS: Dcmd = Dcmd::new(
    &["ps"],
    "? [-flztTPs]",
    "list processes (and associated thr,lwp)",
    |mdb, call| {
        let options = Options::take(&call.args, PS_OPTIONS)?;
        let found = match call.address {
            Some(address) => vec![address],
            None => {
                let walk = kernel(mdb)?.processes();
                mdb.noted(walk)
            }
        };
        heading(mdb, call, &options)?;
        for address in found {
            mdb.check()?;
            if let Err(failure) = show(mdb, call, address, &options) {
                tell(mdb, address, failure)?;
            }
        }
        Ok(())
    },
)
.with_help(
    "  -f  the command line\n  -l  the LWPs of each process\n  -t  the threads of each process\n  \
     -z  zone, -T task, -P project of each process\n  -s  the service \
     that started each process",
);

/// What cannot be read costs its row.
fn tell(mdb: &mut Mdb, address: u64, failure: Failure) -> Outcome {
    match failure {
        Failure::Fault(_) | Failure::Text(_) => {
            mdb.warn(&format!("process {address:x}: {failure}"));
            Ok(())
        }
        other => Err(other),
    }
}

fn heading(mdb: &mut Mdb, call: &Call, options: &Options) -> Outcome {
    if !call.wants_heading() {
        return Ok(());
    }
    let aligned = modern(mdb)?;
    let mut text = String::from("S ");
    let mut column = |name: &str, width: usize| {
        text.push_str(&cell(name, width, aligned));
    };
    for name in ["PID", "PPID", "PGID", "SID"] {
        column(name, 6);
    }
    for (letter, name) in [('T', "TASK"), ('P', "PROJ"), ('z', "ZONE")] {
        if options.has(letter) {
            column(name, 5);
        }
    }
    if options.has('s') {
        text.push_str(&format!("{:<40} ", "SERVICE"));
    }
    let mut column = |name: &str, width: usize| {
        text.push_str(&cell(name, width, aligned));
    };
    column("UID", 6);
    column("FLAGS", 10);
    column("ADDR", 16);
    text.push_str("NAME");
    mdb.heading(&text)
}

/// A column: to the left in a modern mdb, to the right before.
fn cell(text: &str, width: usize, aligned: bool) -> String {
    if aligned { format!("{text:<width$} ") } else { format!("{text:>width$} ") }
}

/// The service that a process was started by: it is kept with the contract.
fn service(kernel: &Kernel, process: u64) -> necropsy_illumos::Result<String> {
    let contract = Field::resolve(kernel, &["proc_t", "struct proc"], &["p_ct_process"]);
    let name =
        Field::resolve(kernel, &["cont_process_t", "struct cont_process"], &["conp_svc_fmri"]);
    match contract.get(kernel, process)? {
        0 => Ok(String::new()),
        at => super::files::refstr(kernel, name.get(kernel, at)?),
    }
}

/// Kernels whose threads have names have an mdb that aligns these columns to the left.
fn modern(mdb: &Mdb) -> Outcome<bool> {
    Ok(kernel(mdb)?.threads_have_names())
}

fn show(mdb: &mut Mdb, call: &Call, address: u64, options: &Options) -> Outcome {
    if call.pipe_out {
        mdb.pipe(address);
        return Ok(());
    }
    let kernel = kernel(mdb)?;
    let process = kernel.process(address)?;
    let aligned = modern(mdb)?;
    let number = |value: i64, width: usize| cell(&value.to_string(), width, aligned);
    let shapes = kernel.shapes();
    let mut text = format!("{} ", process.state);
    for id in [process.pid, process.ppid, process.pgid, process.sid] {
        text.push_str(&number(id, 6));
    }
    let mut object = json!({
        "state": process.state.to_string(), "pid": process.pid, "ppid": process.ppid,
        "pgid": process.pgid, "sid": process.sid, "uid": process.uid,
        "flags": format!("{:#x}", process.flags), "address": format!("{address:#x}"),
        "comm": process.comm, "psargs": process.psargs,
    });
    let mut extra = |name: &str, value: i64, text: &mut String| {
        text.push_str(&number(value, 5));
        object[name] = json!(value);
    };
    if options.has('T') {
        let task = shapes.proc.task.get(&kernel, address)?;
        extra("task", shapes.task.id.signed(&kernel, task)?, &mut text);
    }
    if options.has('P') {
        let task = shapes.proc.task.get(&kernel, address)?;
        let project = shapes.task.proj.get(&kernel, task)?;
        extra("project", shapes.project.id.signed(&kernel, project)?, &mut text);
    }
    if options.has('z') {
        let zone = shapes.proc.zone.get(&kernel, address)?;
        extra("zone", shapes.zone.id.signed(&kernel, zone)?, &mut text);
    }
    if options.has('s') {
        let service = service(&kernel, address)?;
        text.push_str(&format!("{service:<40} "));
        object["service"] = json!(service);
    }
    text.push_str(&number(process.uid, 6));
    let name = if options.has('f') { &process.psargs } else { &process.comm };
    text.push_str(&format!("{:#010x} {address:016x} {name}", process.flags));
    mdb.row(&text, object)?;
    if options.has('t') || options.has('l') {
        threads(mdb, &process, options)?;
    }
    Ok(())
}

fn threads(mdb: &mut Mdb, process: &Process, options: &Options) -> Outcome {
    let kernel = kernel(mdb)?;
    let shape = &kernel.shapes().thread;
    let walk = kernel.threads_of(process.address);
    for thread in mdb.noted(walk) {
        if options.has('t') {
            let state = shape.state.get(&kernel, thread)?;
            let state = match state {
                0 => "TS_FREE",
                1 => "TS_SLEEP",
                2 => "TS_RUN",
                4 => "TS_ONPROC",
                8 => "TS_ZOMB",
                0x10 => "TS_STOPPED",
                0x20 => "TS_WAIT",
                _ => "?",
            };
            let object = json!({ "thread": format!("{thread:#x}"), "state": state });
            mdb.row(&format!("\tT     {thread:016x} <{state}>"), object)?;
        }
        if options.has('l') {
            let lwp = shape.lwp.get(&kernel, thread)?;
            let id = shape.tid.get(&kernel, thread)?;
            let object = json!({ "lwp": format!("{lwp:#x}"), "id": id });
            mdb.row(&format!("\tL     {lwp:016x} ID: {id}"), object)?;
        }
    }
    Ok(())
}

pub(super) const PGREP: Dcmd = Dcmd::new(
    &["pgrep"],
    "[-x] [-n | -o] PATTERN",
    "pattern match against all processes",
    |mdb, call| {
        let options = Options::take_anywhere(&call.args, &format!("xno{PS_OPTIONS}"))?;
        let Some(pattern) = options.rest.first() else {
            return Err(Failure::Usage("a pattern must be given".into()));
        };
        let text =
            if options.has('x') { format!("^(?:{})$", pattern.text) } else { pattern.text.clone() };
        let Ok(regex) = Regex::new(&text) else {
            return fail(format!("{}: not a regular expression", pattern.text));
        };
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().proc;
        let walk = kernel.processes();
        let mut found: Vec<u64> = mdb
            .noted(walk)
            .into_iter()
            .filter(|&at| shape.comm.text(&kernel, at).is_ok_and(|comm| regex.is_match(&comm)))
            .collect();
        let started = |at: &u64| shape.start.signed(&kernel, *at).unwrap_or(0);
        if options.has('n') {
            found = found.into_iter().rev().max_by_key(started).into_iter().collect();
        } else if options.has('o') {
            found = found.into_iter().min_by_key(started).into_iter().collect();
        }
        heading(mdb, call, &options)?;
        for address in found {
            if let Err(failure) = show(mdb, call, address, &options) {
                tell(mdb, address, failure)?;
            }
        }
        Ok(())
    },
)
.with_help(
    "Finds processes by a regular expression on their names.\n\n  -x  the whole name must match\n  \
     -n  the newest alone\n  -o  the oldest alone",
);

pub(super) const PID2PROC: Dcmd =
    Dcmd::new(&["pid2proc"], "?", "convert PID to proc_t address", |mdb, call| {
        let pid = match (call.address, call.args.first()) {
            (Some(address), _) => address,
            (None, Some(arg)) => mdb.number(arg)?,
            (None, None) => return Err(Failure::Usage("a process number must be given".into())),
        };
        let kernel = kernel(mdb)?;
        let walk = kernel.processes();
        let found = mdb.noted(walk).into_iter().find(|&at| kernel.pid(at).ok() == Some(pid as i64));
        let Some(address) = found else {
            return fail(format!("no process has the number 0t{pid}"));
        };
        if call.pipe_out {
            mdb.pipe(address);
            return Ok(());
        }
        mdb.row(&format!("{address:x}"), json!({ "address": format!("{address:#x}"), "pid": pid }))
    });

pub(super) const PTREE: Dcmd = Dcmd::new(&["ptree"], "?", "print process tree", |mdb, call| {
    let kernel = kernel(mdb)?;
    let shape = &kernel.shapes().proc;
    let parents = |at: u64| -> Vec<u64> {
        let up =
            necropsy_illumos::list::Walk::follow(at, |_| false, |at| shape.parent.get(&kernel, at));
        up.found
    };
    let line = |mdb: &mut Mdb, at: u64, depth: usize| -> Outcome {
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        let comm = shape.comm.text(&kernel, at).unwrap_or_else(|error| format!("<{error}>"));
        let object = json!({ "address": format!("{at:#x}"), "depth": depth, "comm": comm });
        mdb.row(&format!("{:width$}{at:016x}  {comm}", "", width = 5 * depth), object)
    };
    match call.address {
        Some(address) => {
            let mut chain = parents(address);
            chain.reverse();
            let depth = chain.len();
            for (depth, &at) in chain.iter().enumerate() {
                line(mdb, at, depth)?;
            }
            // Behind it its children, and theirs.
            for at in kernel.descendants(address).found.into_iter().skip(1) {
                let below = parents(at).iter().position(|&up| up == address).unwrap_or(1);
                line(mdb, at, depth - 1 + below)?;
            }
        }
        None => {
            let walk = kernel.processes();
            for at in mdb.noted(walk) {
                mdb.check()?;
                let depth = parents(at).len().saturating_sub(1);
                line(mdb, at, depth)?;
            }
        }
    }
    Ok(())
});
