//! What the page holds.

use necropsy_linux::{Error, Kernel, task::State, task::Task};
use necropsy_target::{Reg, unwind::Trace};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    meaning,
    render::{Faults, Hex},
    tasks::Header,
    wall,
};

/// Log lines at the end of the page.
const LOG_TAIL: usize = 15;
/// A task that sleeps uninterruptibly for longer is listed, in ns.
const LONG_BLOCKED: u64 = 5_000_000_000;
/// Blocked tasks listed at most; the rest are counted.
const MAX_BLOCKED: usize = 10;

/// Everything on the page. `verdict`, `findings`, `checked` and `next` are there for programs:
/// this report draws no conclusions yet.
#[derive(Serialize)]
pub(super) struct Facts {
    pub(super) verdict: Option<()>,
    pub(super) findings: [(); 0],
    pub(super) checked: [(); 0],
    pub(super) next: [(); 0],
    pub(super) machine: Machine,
    pub(super) said: Option<Said>,
    pub(super) task: Option<Scene>,
    pub(super) cpus: Vec<Cpu>,
    pub(super) taint: Vec<Taint>,
    pub(super) modules: Vec<Module>,
    pub(super) blocked: Vec<Blocked>,
    pub(super) blocked_in_all: usize,
    pub(super) log: Vec<String>,
    /// What could not be had, and why.
    pub(super) missing: Vec<String>,
}

#[derive(Serialize, Default)]
pub(super) struct Machine {
    pub(super) release: Option<String>,
    pub(super) version: Option<String>,
    pub(super) nodename: Option<String>,
    pub(super) hardware: Option<String>,
    pub(super) date: Option<String>,
    pub(super) uptime_ns: Option<u64>,
    pub(super) cpus: usize,
    pub(super) memory_bytes: Option<u64>,
    pub(super) dump: String,
    pub(super) dump_defects: Vec<String>,
    pub(super) panic: Option<String>,
}

/// The first report of the log, as the oops decoder reads it.
#[derive(Serialize)]
pub(super) struct Said {
    pub(super) title: String,
    pub(super) class: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) cause: Option<String>,
    pub(super) followed_by: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Scene {
    #[serde(flatten)]
    pub(super) header: Header,
    pub(super) state: Option<&'static str>,
    pub(super) system_call: Option<String>,
    pub(super) stack: Vec<String>,
    pub(super) stack_ended: Option<String>,
    pub(super) registers: Vec<Register>,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    pub(super) faults: Faults,
}

#[derive(Serialize)]
pub(super) struct Register {
    pub(super) name: &'static str,
    pub(super) value: Hex,
    pub(super) meaning: String,
}

#[derive(Serialize)]
pub(super) struct Cpu {
    pub(super) cpu: u32,
    #[serde(flatten)]
    pub(super) task: Option<Header>,
    pub(super) doing: String,
    pub(super) panicked: bool,
}

#[derive(Serialize)]
pub(super) struct Taint {
    pub(super) letter: char,
    pub(super) meaning: String,
}

#[derive(Serialize)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) taints: String,
}

#[derive(Serialize)]
pub(super) struct Blocked {
    #[serde(flatten)]
    pub(super) header: Header,
    pub(super) blocked_ns: u64,
    pub(super) stack: Vec<String>,
}

impl Facts {
    pub(super) fn gather(kernel: &Kernel) -> Facts {
        let mut missing = Vec::new();
        let mut note = |what: &str, error: &Error| missing.push(format!("{what}: {error}"));
        let log = kernel.log().map_err(|error| note("log", &error)).unwrap_or_default();
        let machine = machine(kernel, &log, &mut note);
        let said = said(&log);
        let task = kernel.panic_task().map(|task| scene(kernel, task));
        let (blocked, blocked_in_all) = blocked(kernel);
        let (modules, error) = kernel.modules();
        if let Some(error) = error {
            note("modules", error);
        }
        let mask = kernel.tainted_mask().map_err(|error| note("taint", &error)).unwrap_or(0);
        if task.is_none() {
            missing.push("panicked task: no CPU of this dump called panic".into());
        }
        Facts {
            verdict: None,
            findings: [],
            checked: [],
            next: [],
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
                })
                .collect(),
            blocked,
            blocked_in_all,
            log: tail(&log),
            missing,
        }
    }
}

fn machine(
    kernel: &Kernel,
    log: &necropsy_linux::printk::Log,
    note: &mut dyn FnMut(&str, &Error),
) -> Machine {
    let dump = kernel.target().dump();
    let mut machine = Machine {
        cpus: kernel.online_cpus().len(),
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
        Ok(seconds) => machine.date = wall::utc(seconds),
        Err(error) => note("date", &error),
    }
    machine.uptime_ns = kernel.uptime_ns().map_err(|error| note("uptime", &error)).ok();
    machine.memory_bytes = kernel.memory_bytes().map_err(|error| note("memory", &error)).ok();
    machine
}

/// Lines of the first report shown: its head, before registers and traces.
const HEAD_LINES: usize = 8;

fn said(log: &necropsy_linux::printk::Log) -> Option<Said> {
    let lines = crate::oops_lines::of(log);
    let reports = necropsy_oops::reports_of_lines(lines, &necropsy_oops::Options::default());
    let first = reports.first()?;
    Some(Said {
        title: first.title.clone(),
        class: first.class.name(),
        lines: first
            .text
            .iter()
            .take_while(|line| !line.starts_with("RSP:") && !line.starts_with("Call Trace"))
            .take(HEAD_LINES)
            .cloned()
            .collect(),
        cause: first.cause.clone(),
        followed_by: reports.iter().skip(1).map(|r| r.title.clone()).collect(),
    })
}

/// The functions of a trace, innermost first, with their modules.
fn functions(kernel: &Kernel, trace: &Trace) -> Vec<String> {
    trace
        .frames
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

fn scene(kernel: &Kernel, task: Task<'_>) -> Scene {
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let state = faults.keep("task_struct.state", task.state()).map(|s| s.name());
    let mut scene = Scene {
        header,
        state,
        system_call: None,
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
    scene.stack = functions(kernel, &trace);
    if trace.end != necropsy_target::unwind::End::Complete {
        scene.stack_ended = Some("the trace could not be followed to its end".into());
    }
    // The registers of the exception that came first: the outermost whole set in the kernel.
    if let Some(frame) = trace.frames.iter().rev().find(|f| f.saved_regs) {
        scene.registers = frame
            .regs
            .iter()
            .filter(|(reg, _)| !matches!(reg, Reg::Cs | Reg::Ss | Reg::Rflags | Reg::OrigRax))
            .map(|(reg, value)| Register {
                name: reg.name(),
                value: Hex(value),
                meaning: meaning::of(kernel, task, value),
            })
            .collect();
    }
    scene.system_call = trace.user.and_then(|(_, regs)| {
        let number = regs.get(Reg::OrigRax)? as i64;
        if !(0..4096).contains(&number) {
            return None;
        }
        let name = necropsy_oops::syscall_name(necropsy_oops::Arch::X86_64, number);
        // How many of them the call takes is not in the dump: they are named as registers.
        let arguments: Vec<String> = [Reg::Rdi, Reg::Rsi, Reg::Rdx]
            .into_iter()
            .filter_map(|reg| Some(format!("{} {:#x}", reg.name(), regs.get(reg)?)))
            .collect();
        let name = name.map_or_else(|| format!("number {number}"), str::to_owned);
        Some(format!("{name} ({})", arguments.join(", ")))
    });
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
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let doing = match task.trace() {
        Ok(trace) if trace.frames.is_empty() => "in user space".into(),
        Ok(trace) => functions(kernel, &trace).into_iter().take(3).collect::<Vec<_>>().join(" < "),
        Err(error) => format!("({error})"),
    };
    Cpu { cpu, task: Some(header), doing, panicked }
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
        .map(|(blocked_ns, task)| {
            let mut faults = Faults::default();
            Blocked {
                header: Header::new(task, &mut faults),
                blocked_ns,
                stack: task.trace().map(|t| functions(kernel, &t)).unwrap_or_default(),
            }
        })
        .collect();
    (rows, all)
}

fn tail(log: &necropsy_linux::printk::Log) -> Vec<String> {
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
