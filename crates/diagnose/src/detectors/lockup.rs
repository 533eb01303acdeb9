//! A CPU that does not get on: what it does, which spinlock it wants, which CPU it waits for. The CPU
//! that complains is not always the one to blame.

use necropsy_lexicon::Symptom;
use necropsy_linux::Kernel;
use necropsy_machine::unwind::Frame;

use crate::{
    case::Case,
    cause::Cause,
    explain::{code, explain},
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector {
    name: "lockup",
    causes: &[Cause::Deadlock, Cause::SoftLockup, Cause::HardLockup, Cause::RcuStall],
    detect,
};

/// Functions that spin for a spinlock, whose address is their first argument.
const SPINS: [&str; 8] = [
    "native_queued_spin_lock_slowpath",
    "queued_spin_lock_slowpath",
    "pv_queued_spin_lock_slowpath",
    "__pv_queued_spin_lock_slowpath",
    "queued_read_lock_slowpath",
    "queued_write_lock_slowpath",
    "virt_spin_lock",
    "_raw_spin_lock",
];
/// Functions that wait until other CPUs have answered.
const ASKS: [&str; 8] = [
    "smp_call_function_many_cond",
    "smp_call_function_many",
    "smp_call_function_single",
    "smp_call_function",
    "generic_exec_single",
    "csd_lock_wait",
    "flush_tlb_others",
    "text_poke_sync",
];
/// A CPU, and where it is.
struct Stuck<'k> {
    cpu: u32,
    case: Case<'k>,
    /// The frame that was interrupted.
    at: usize,
}

/// The spinlock that a CPU spins for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    lock: u64,
    /// The code shows that it is this one; else a register holds what looks like it.
    proved: bool,
}

impl<'k> Stuck<'k> {
    fn of(kernel: &'k Kernel, cpu: u32) -> Option<Stuck<'k>> {
        let case = Case::of(kernel, kernel.current_task(cpu).ok()?).ok()?;
        let at = case.exception().unwrap_or(0);
        // Where panic() stopped it by an interrupt, what that interrupted counts.
        let frames = &case.trace().frames;
        let stopped = case.function(at) == Some("stop_this_cpu");
        let outer = (at + 1..frames.len()).find(|number| stopped && frames[*number].saved_regs);
        let at = outer.unwrap_or(at);
        // Interrupts come and go while it spins.
        let spins = |number: &usize| {
            case.function(*number).is_some_and(|name| name.contains("spin_lock_slowpath"))
        };
        let at = (at..frames.len()).find(spins).unwrap_or(at);
        (!case.trace().frames.is_empty()).then_some(Stuck { cpu, case, at })
    }

    fn frame(&self) -> Option<&Frame> {
        self.case.trace().frames.get(self.at)
    }

    fn function(&self) -> Option<String> {
        self.case.blamed_name(self.at)
    }

    /// The spinlock that it spins for, as far as that is known.
    fn wants(&self) -> Option<Wanted> {
        let spins = |number: &usize| {
            self.case
                .function(*number)
                .is_some_and(|name| SPINS.iter().any(|it| name.starts_with(it)))
        };
        let number = (self.at..self.at + 3).find(spins)?;
        // What the code proves that it was called with.
        let called_with = explain(&self.case, Some(number)).arguments.into_iter().next();
        if let Some(lock) = called_with.and_then(|step| step.value).filter(|at| self.is_lock(*at)) {
            return Some(Wanted { lock, proved: true });
        }
        let frame = self.case.trace().frames.get(number)?;
        let abi = self.case.kernel.target().abi();
        // The slow path keeps the lock where it came in, or in a register that calls preserve.
        let held = abi.arguments.first().and_then(|reg| frame.regs.get(*reg));
        let preserved = abi.preserved.iter().filter_map(|reg| frame.regs.get(*reg));
        let lock = held.into_iter().chain(preserved).find(|at| self.is_lock(*at))?;
        Some(Wanted { lock, proved: false })
    }

    /// Whether a word can be a spinlock that somebody has (include/asm-generic/qspinlock_types.h).
    fn is_lock(&self, at: u64) -> bool {
        let kernel = self.case.kernel;
        at.is_multiple_of(4)
            && kernel.target().address_class(at).is_kernel()
            && !kernel.target().is_text(at)
            && kernel.target().read_u32(at).is_ok_and(|word| word & 0xff == 1)
    }

    /// Whether an address stands on its stack, or in its registers.
    fn mentions(&self, address: u64) -> bool {
        let Ok(stack) = self.case.task.own_stack() else { return false };
        let from = self.frame().map_or(stack.start, |frame| frame.sp.clamp(stack.start, stack.end));
        let target = self.case.kernel.target();
        let on_stack = target.read_bytes(from, stack.end - from).is_ok_and(|bytes| {
            let width = target.pointer_size() as usize;
            bytes.chunks_exact(width).any(|word| target.number(word) == address)
        });
        let mut frames = self.case.trace().frames.iter().skip(self.at).take(4);
        on_stack
            || frames.any(|frame| frame.regs.iter().any(|(_, value)| value == address))
            || self.code_names(address)
    }

    /// Whether the code of the functions on its stack names an address: a lock that is a variable.
    fn code_names(&self, address: u64) -> bool {
        let target = self.case.kernel.target();
        let frames = self.case.trace().frames.iter().skip(self.at).take(6);
        let functions = frames.filter_map(|frame| target.locate(frame.lookup_pc()));
        functions.filter(|located| located.module().is_some()).any(|located| {
            let (start, end) = (located.symbol.address, located.symbol.address + located.offset);
            let Ok(code) = target.read_bytes(start, end - start) else { return false };
            code.windows(4).any(|bytes| target.number(bytes) == address & 0xffff_ffff)
        })
    }

    fn interrupts_off(&self) -> bool {
        let architecture = self.case.kernel.target().architecture();
        let off = self.frame().and_then(|frame| architecture.interrupts_off(&frame.regs));
        off.unwrap_or(false)
    }

    fn evidence(&self, what: String) -> Option<Evidence> {
        let pc = self.frame()?.pc;
        Some(Evidence {
            what,
            address: Some(pc),
            value: None,
            command: format!("bt -c {}", self.cpu),
        })
    }

    fn place(&self) -> String {
        let frame = self.frame().map_or(0, |frame| frame.pc);
        code::location(self.case.kernel, frame)
    }
}

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let stuck = matches!(
        inquiry.symptom(),
        Some(Symptom::SoftLockup | Symptom::HardLockup | Symptom::RcuStall)
    );
    stuck.then(|| find(inquiry)).flatten().into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let (kernel, report) = (inquiry.kernel, inquiry.report?);
    let class = Cause::named_by(report.class);
    let told = report.stall.as_ref().and_then(|stall| stall.cpus.first().copied());
    let cpu = told.or(report.cpu).or_else(|| kernel.panic_cpu())?;
    let stuck = Stuck::of(kernel, cpu)?;
    let others: Vec<Stuck<'_>> = kernel
        // Whoever panics takes the others off the list.
        .possible_cpus()
        .into_iter()
        .filter(|other| *other != cpu)
        .filter_map(|other| Stuck::of(kernel, other))
        .collect();
    if class == Cause::RcuStall
        && let Some(finding) = by_reader(inquiry, &stuck)
    {
        return Some(finding);
    }
    by_spinlock(inquiry, &stuck, &others, class)
        .or_else(|| by_asking(inquiry, &stuck, &others, class))
        .or_else(|| plain(inquiry, &stuck, class))
        .map(|finding| Finding { task: Some(stuck.case.task.address), ..finding })
}

fn who(inquiry: &Inquiry<'_>, stuck: &Stuck<'_>) -> String {
    format!("CPU {} ({})", stuck.cpu, inquiry.who(stuck.case.task.address))
}

fn lock_name(inquiry: &Inquiry<'_>, lock: u64) -> String {
    match inquiry.kernel.identify(lock, &[]) {
        Some(identity) => format!("{lock:x} ({identity})"),
        None => format!("{lock:x}"),
    }
}

fn by_spinlock(
    inquiry: &Inquiry<'_>,
    stuck: &Stuck<'_>,
    others: &[Stuck<'_>],
    class: Cause,
) -> Option<Finding> {
    let Wanted { lock, proved } = stuck.wants()?;
    let function = stuck.function()?;
    let name = lock_name(inquiry, lock);
    let mut evidence = vec![
        stuck.evidence(format!("CPU {} spins in {}", stuck.cpu, stuck.place()))?,
        Evidence {
            what: "the spinlock: its lowest byte says that it is taken".into(),
            address: Some(lock),
            value: None,
            command: format!("rd -32 {lock:x}"),
        },
    ];
    let wants = |other: &Stuck<'_>| other.wants().map(|wanted| wanted.lock);
    // Who else has it: a CPU that wants what this one has, or that has it and does not get on.
    let partner = others.iter().find_map(|other| {
        let wanted = wants(other).filter(|wanted| *wanted != lock)?;
        (stuck.mentions(wanted) && other.mentions(lock)).then_some((other, wanted))
    });
    let holder = others.iter().find(|other| wants(other) != Some(lock) && other.mentions(lock));
    let (class, statement, function, confidence) = match (partner, holder) {
        (Some((other, wanted)), _) => {
            evidence.extend(other.evidence(format!(
                "CPU {} spins in {}",
                other.cpu,
                other.place()
            )));
            let statement = format!(
                "two CPUs wait for each other: {} spins in {function} for the spinlock {name}, and \
                 {} spins in {} for {}",
                who(inquiry, stuck),
                who(inquiry, other),
                other.function().unwrap_or_else(|| "?".into()),
                lock_name(inquiry, wanted)
            );
            (Cause::Deadlock, statement, function, Confidence::Likely)
        }
        (None, Some(other)) => {
            evidence.extend(other.evidence(format!("what CPU {} does", other.cpu)));
            let by = other.function().unwrap_or_else(|| other.place());
            let statement = format!(
                "{} spins in {function} for the spinlock {name}, which {} seems to have: it is in {}",
                who(inquiry, stuck),
                who(inquiry, other),
                other.place()
            );
            (class, statement, by, Confidence::Likely)
        }
        // Every other CPU is idle or in user space: nobody but itself can have it.
        (None, None) if all_idle(inquiry, others) => {
            let statement = format!(
                "{} spins in {function} for the spinlock {name}, and no other CPU is at work in the \
                 kernel: it has the lock itself, or whoever had it never gave it back",
                who(inquiry, stuck)
            );
            (Cause::Deadlock, statement, function, Confidence::Likely)
        }
        (None, None) => {
            let statement = format!(
                "{} spins in {function} for the spinlock {name}; who has it is not recorded",
                who(inquiry, stuck)
            );
            let sure = if proved { Confidence::Certain } else { Confidence::Likely };
            (class, statement, function, sure)
        }
    };
    Some(Finding {
        class,
        statement,
        confidence,
        evidence,
        object: Some(Object { address: lock, cache: None, member: None }),
        function: Some(function),
        task: None,
    })
}

/// Whether every other CPU is known to be idle or in user space: of one whose registers are not
/// known, nothing is.
fn all_idle(inquiry: &Inquiry<'_>, others: &[Stuck<'_>]) -> bool {
    others.len() + 1 >= inquiry.kernel.possible_cpus().len() && others.iter().all(is_idle)
}

fn is_idle(stuck: &Stuck<'_>) -> bool {
    stuck.case.task.pid() == Ok(0) || stuck.case.trace().frames.is_empty()
}

fn by_asking(
    inquiry: &Inquiry<'_>,
    stuck: &Stuck<'_>,
    others: &[Stuck<'_>],
    class: Cause,
) -> Option<Finding> {
    let asks = |number: usize| {
        stuck.case.function(number).is_some_and(|name| ASKS.iter().any(|it| name.starts_with(it)))
    };
    (stuck.at..stuck.at + 5).any(asks).then_some(())?;
    let silent = others.iter().find(|other| other.interrupts_off() && !is_idle(other))?;
    let by = silent.function().unwrap_or_else(|| silent.place());
    let mut evidence: Vec<Evidence> =
        stuck.evidence(format!("CPU {} waits for an answer", stuck.cpu)).into_iter().collect();
    evidence.extend(silent.evidence(format!("CPU {} runs with interrupts off", silent.cpu)));
    Some(Finding {
        class,
        statement: format!(
            "{} asked the other CPUs for something and waits; {} does not answer: it runs {} with \
             interrupts off",
            who(inquiry, stuck),
            who(inquiry, silent),
            silent.place()
        ),
        confidence: Confidence::Likely,
        evidence,
        object: None,
        function: Some(by),
        task: None,
    })
}

/// RCU waits for readers that do not run: then no CPU is to blame.
fn by_reader(inquiry: &Inquiry<'_>, stuck: &Stuck<'_>) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let rcu = kernel.rcu().ok()?;
    let (reader, rest) = rcu.readers.split_first()?;
    if rcu.cpus.contains(&stuck.cpu) && kernel.panic_cpu() != Some(stuck.cpu) {
        return None;
    }
    let case = Case::of(kernel, kernel.task_at(*reader)).ok()?;
    let at = case.blamed_from(0)?;
    let frame = case.trace().frames.get(at)?;
    let (place, who) = (code::location(kernel, frame.pc), inquiry.who(*reader));
    let state = match kernel.running_on(case.task) {
        Some(cpu) => format!("was preempted in it, and runs on CPU {cpu},"),
        None => {
            format!("does not run ({})", case.task.state().map_or("state unknown", |s| s.name()))
        }
    };
    let more = match rest.len() {
        0 => String::new(),
        count => format!("; {count} more do so too"),
    };
    Some(Finding {
        class: Cause::RcuStall,
        statement: format!(
            "{who} is a reader of RCU that {state} and keeps the grace period from ending: it is in \
             {place}{more}"
        ),
        confidence: Confidence::Certain,
        evidence: vec![
            Evidence {
                what: "the readers that the grace period waits for".into(),
                address: Some(*reader),
                value: None,
                command: "rcu".into(),
            },
            Evidence {
                what: format!("where {who} is"),
                address: Some(frame.pc),
                value: None,
                command: format!("bt {reader:x}"),
            },
        ],
        object: None,
        function: case.function(at).map(str::to_owned),
        task: Some(*reader),
    })
}

fn plain(inquiry: &Inquiry<'_>, stuck: &Stuck<'_>, class: Cause) -> Option<Finding> {
    let function = stuck.function()?;
    let seconds = inquiry.report?.stall.as_ref().and_then(|stall| stall.seconds);
    let since = seconds.map_or(String::new(), |seconds| format!(" for {seconds} s"));
    let off = if stuck.interrupts_off() { ", with interrupts off" } else { "" };
    let what = match class {
        Cause::RcuStall => "kept RCU from going on",
        _ => "did not let anything else run",
    };
    Some(Finding {
        class,
        statement: format!(
            "{} {what}{since}: it is in {}{off}",
            who(inquiry, stuck),
            stuck.place()
        ),
        confidence: Confidence::Certain,
        evidence: vec![stuck.evidence(format!("CPU {} in {function}", stuck.cpu))?],
        object: None,
        function: Some(function),
        task: None,
    })
}
