//! Gathering what the page holds.

use std::fmt::Display;

use jiff::Timestamp;
use necropsy_linux::{
    Kernel,
    printk::Log,
    task::{State, Task},
};
use necropsy_machine::unwind::Trace;
use necropsy_oops::{Options, Report};
use rayon::prelude::*;

use super::{
    Blocked, Cpu, Facts, Machine, Module, Register, Said, Scene, Subject, Taint, exhibit, map,
    setting, subject::keep, system_call,
};
use crate::{inquiry::Inquiry, log, value::Meaning, verdict};

/// Log lines at the end of the page.
const LOG_TAIL: usize = 15;
/// A task that sleeps uninterruptibly for longer is listed, in ns.
const LONG_BLOCKED: u64 = 5_000_000_000;
/// Blocked tasks listed at most; the rest are counted.
const MAX_BLOCKED: usize = 10;

impl Facts {
    /// Gathers the facts of a crash, and asks the detectors. What cannot be had is said in
    /// `missing`.
    pub fn gather(kernel: &Kernel) -> Facts {
        Facts::gather_with(kernel, false)
    }

    /// The same; `quick` leaves out what looks at all of memory or at all tasks.
    pub fn gather_with(kernel: &Kernel, quick: bool) -> Facts {
        let mut missing = Vec::new();
        let mut note = |what: &str, why: &dyn Display| missing.push(format!("{what}: {why}"));
        let log = kernel.log().map_err(|error| note("log", &error)).unwrap_or_default();
        let machine = machine(kernel, &log, &mut note);
        let reports = necropsy_oops::reports_of_lines(log::lines(&log), &Options::default());
        let said = said(&reports);
        let lines: Vec<String> = log.records.iter().map(|record| record.text.clone()).collect();
        let mut inquiry =
            Inquiry::new(kernel, verdict::deciding(kernel, &reports)).with_log(&lines);
        inquiry.quick = quick;
        let found = kernel.find_panic_task();
        if let Err(error) = &found {
            note("panicked task", error);
        }
        if found.is_ok() && reports.is_empty() && !log.records.is_empty() {
            note("report", &no_report(&log));
        }
        let task = found.ok().map(|task| scene(kernel, task, &inquiry));
        let stack: Vec<String> = task.iter().flat_map(|task| task.stack.clone()).collect();
        let (blocked, blocked_in_all) = if quick { (Vec::new(), 0) } else { blocked(kernel) };
        let (modules, error) = kernel.modules();
        if let Some(error) = error {
            note("modules", error);
        }
        let mask = kernel.tainted_mask().map_err(|error| note("taint", &error)).unwrap_or(0);
        let diagnosis = verdict::diagnose(&inquiry);
        Facts {
            last_loaded: modules.first().map(|module| module.name.clone()),
            last_unloaded: crate::unloaded::last(kernel),
            story: story(&inquiry, task.as_ref()),
            known: Vec::new(),
            marks: map::marks(&inquiry, diagnosis.verdict.as_ref()),
            slab: map::slab(&inquiry, diagnosis.verdict.as_ref()),
            exhibits: exhibit::exhibits(&inquiry, &diagnosis),
            diagnosis,
            waits: exhibit::waits(&inquiry),
            machine,
            said,
            task,
            cpus: kernel.online_cpus().into_iter().map(|cpu| doing(kernel, cpu)).collect(),
            taint: kernel
                .taints(mask)
                .into_iter()
                .map(|t| Taint { letter: t.letter, meaning: t.meaning.to_owned() })
                .collect(),
            modules: modules
                .iter()
                .filter(|m| m.taints != 0)
                .map(|m| Module {
                    name: m.name.clone(),
                    taints: necropsy_linux::module::taint_letters(m.taints),
                    on_stack: stack.iter().any(|frame| frame.ends_with(&format!("[{}]", m.name))),
                })
                .collect(),
            blocked,
            blocked_in_all,
            log: tail(&log),
            missing,
        }
    }
}

/// Why the log of a machine that panicked tells of no trouble.
fn no_report(log: &Log) -> &'static str {
    match log.records.first() {
        Some(first) if first.seq > 0 => {
            "the log holds none: what the kernel said of this was written over by later lines, or never \
             got there"
        }
        _ => "the log holds none: what the kernel said of this never got there",
    }
}

/// What happened: who ran what for whom, and what failed there.
fn story(inquiry: &Inquiry<'_>, task: Option<&Scene>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(task) = task {
        let who = match (&task.subject.comm, task.subject.pid) {
            (Some(comm), Some(pid)) => format!("{comm} (pid {pid})"),
            _ => format!("the task at {:x}", task.subject.task),
        };
        let ran = match (&task.ran, &task.system_call) {
            (Some(ran), _) => format!("{who} ran {ran}."),
            (None, Some(call)) => format!("{who} was in system call {call}."),
            (None, None) => format!("{who} was running."),
        };
        lines.push(ran);
    }
    lines.extend(inquiry.explanation().into_iter().flat_map(|told| told.story.iter().cloned()));
    lines
}

fn machine(kernel: &Kernel, log: &Log, note: &mut dyn FnMut(&str, &dyn Display)) -> Machine {
    let dump = kernel.target().dump();
    let mut machine = Machine {
        cpus: kernel.cpu_counts().present,
        dump: dump.format().to_string(),
        dump_defects: dump.completeness().to_string().lines().map(str::to_owned).collect(),
        panic: log.panic_line().map(str::to_owned),
        ..Machine::default()
    };
    match kernel.uts() {
        Ok(uts) => {
            machine.release = Some(uts.release);
            machine.version = Some(uts.version);
            machine.nodename = Some(uts.nodename);
        }
        Err(error) => note("kernel release", &error),
    }
    if let Ok(dmi) = kernel.dmi() {
        let value =
            |name: &str| dmi.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.as_deref());
        let parts: Vec<&str> =
            ["DMI_SYS_VENDOR", "DMI_PRODUCT_NAME"].into_iter().filter_map(value).collect();
        machine.hardware = (!parts.is_empty()).then(|| parts.join(" "));
    }
    match kernel.crash_time() {
        Ok(seconds) => machine.date = utc(seconds),
        Err(error) => note("date", &error),
    }
    machine.uptime_ns = kernel.uptime_ns().map_err(|error| note("uptime", &error)).ok();
    machine.memory_bytes = kernel.memory_bytes().map_err(|error| note("memory", &error)).ok();
    machine
}

/// `2026-11-21T00:07:31Z`; `None` for what is no moment.
fn utc(seconds: u64) -> Option<String> {
    Some(Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_string())
}

/// Lines of the first report shown: its head, before registers and traces.
const HEAD_LINES: usize = 8;

pub(super) fn said(reports: &[Report]) -> Option<Said> {
    let first = reports.first()?;
    let mut lines: Vec<String> = first
        .text
        .iter()
        .take_while(|line| !line.starts_with("RSP:") && !line.starts_with("Call Trace"))
        .take(HEAD_LINES)
        .cloned()
        .collect();
    // Where it happened belongs to the head, however long that is.
    let place = first.text.iter().find(|line| line.starts_with("RIP:"));
    lines.extend(place.filter(|place| !lines.contains(place)).cloned());
    Some(Said {
        title: first.title.clone(),
        class: first.class,
        lines,
        cause: first.cause.clone(),
        followed_by: reports.iter().skip(1).map(|r| r.title.clone()).collect(),
    })
}

/// The functions of a trace, innermost first, with their modules.
fn functions(kernel: &Kernel, trace: &Trace) -> Vec<String> {
    trace
        .all()
        .iter()
        .map(|frame| match kernel.target().locate(frame.lookup_pc()) {
            Some(l) => {
                let offset = frame.pc.wrapping_sub(l.symbol.address);
                let module = l.module().map(|m| format!(" [{m}]")).unwrap_or_default();
                format!("{}+{offset:#x}{module}", l.symbol.name)
            }
            None => format!("{:#x}", frame.pc),
        })
        .collect()
}

fn scene(kernel: &Kernel, task: Task<'_>, inquiry: &Inquiry<'_>) -> Scene {
    let mut faults = Vec::new();
    let subject = Subject::new(task, &mut faults);
    let state = keep(&mut faults, task.state());
    let mut scene = Scene {
        subject,
        state,
        system_call: None,
        ran: inquiry.case.as_ref().and_then(setting::of),
        stack: Vec::new(),
        stack_ended: None,
        registers: Vec::new(),
        faults,
    };
    let trace = match task.trace() {
        Ok(trace) => trace,
        Err(error) => {
            scene.stack_ended = Some(error.to_string());
            return scene;
        }
    };
    let abi = kernel.target().abi();
    scene.stack = functions(kernel, &trace);
    if trace.end != necropsy_machine::unwind::End::Complete {
        scene.stack_ended = Some("the trace could not be followed to its end".into());
    }
    // The registers of the exception: those that the kernel saved when it left tell nothing.
    let failed = inquiry.case.as_ref().and_then(|case| case.trace().frames.get(case.exception()?));
    if let Some(frame) = failed {
        scene.registers = frame
            .regs
            .iter()
            .filter(|(reg, _)| abi.general.contains(reg) || *reg == abi.program_counter)
            .map(|(reg, value)| Register {
                name: reg.name(),
                value,
                meaning: Meaning::of(kernel, task, value),
            })
            .collect();
    }
    scene.system_call = trace.user.and_then(|(_, regs)| system_call::describe(task, &regs));
    scene
}

fn doing(kernel: &Kernel, cpu: u32) -> Cpu {
    let panicked = kernel.panic_cpu() == Some(cpu);
    let task = match kernel.current_task(cpu) {
        Ok(task) => task,
        Err(error) => {
            return Cpu { cpu, task: None, doing: format!("({error})"), panicked };
        }
    };
    let subject = Subject::new(task, &mut Vec::new());
    let doing = match task.trace() {
        Ok(trace) if trace.frames.is_empty() => "in user space".into(),
        Ok(trace) => functions(kernel, &trace).into_iter().take(3).collect::<Vec<_>>().join(" < "),
        Err(error) => format!("({error})"),
    };
    Cpu { cpu, task: Some(subject), doing, panicked }
}

fn blocked(kernel: &Kernel) -> (Vec<Blocked>, usize) {
    let tasks = kernel.tasks().tasks;
    let mut found: Vec<(u64, Task<'_>)> = tasks
        .par_iter()
        .filter(|task| task.state() == Ok(State::Uninterruptible))
        .filter_map(|task| {
            let now = kernel.rq_clock(task.cpu().ok()?).ok()?;
            Some((now.saturating_sub(task.last_run_ns().ok()?), *task))
        })
        .collect();
    found.retain(|(ns, _)| *ns >= LONG_BLOCKED);
    found.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns));
    let all = found.len();
    let rows = found
        .into_iter()
        .take(MAX_BLOCKED)
        .map(|(blocked_ns, task)| Blocked {
            subject: Subject::new(task, &mut Vec::new()),
            blocked_ns,
            stack: task.trace().map(|t| functions(kernel, &t)).unwrap_or_default(),
        })
        .collect();
    (rows, all)
}

fn tail(log: &Log) -> Vec<String> {
    let lines: Vec<String> = log
        .records
        .iter()
        .flat_map(|record| {
            let time = record.time_ns.map_or(String::new(), |ns| {
                format!("[{:5}.{:06}] ", ns / 1_000_000_000, ns / 1000 % 1_000_000)
            });
            record.text.lines().map(|line| format!("{time}{line}")).collect::<Vec<_>>()
        })
        .collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].to_vec()
}
