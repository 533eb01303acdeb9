//! Titles as a person would give them: what was printed, numbers and all.

use std::sync::LazyLock;

use necropsy_lexicon::Symptom;
use regex::Regex;

use crate::decode::Findings;
use crate::decode::machine_check::gravest;
use crate::naming::pattern::compile;
use crate::naming::stack::demangle;
use crate::naming::{Naming, guilty};
use crate::report::{Names, Report};

/// Longest plain title, in characters.
const LONGEST: usize = 160;

/// The plain title and its function, from the rule's and what was decoded.
pub(crate) fn plain(naming: &Naming, findings: &Findings, report: &Report) -> Names {
    let frame = function(naming, findings, report);
    let access = report.access.map(|access| access.kind).filter(|kind| *kind != "free");
    let place = |what: &str| match &frame {
        Some(frame) => format!("{what} in {frame}"),
        None => what.to_owned(),
    };
    let accessed = |what: &str| match access {
        Some(word) => place(&format!("{what} ({word})")),
        None => place(what),
    };
    let title = match naming.class {
        Symptom::NullPointer => accessed("NULL pointer dereference"),
        Symptom::PageFault => accessed("Page fault"),
        Symptom::GeneralProtection => place("General protection fault"),
        Symptom::KernelBug if naming.title.starts_with("kernel BUG") => place("BUG"),
        Symptom::SoftLockup => place("Soft lockup"),
        Symptom::RcuStall => place("RCU stall"),
        Symptom::HungTask if naming.printed.starts_with("Blocked tasks") => place("Blocked tasks"),
        Symptom::HungTask => place("Hung task"),
        Symptom::DivideError => place("Division by zero"),
        Symptom::DoubleFault => place("Double fault"),
        Symptom::InvalidOpcode if naming.title.starts_with("invalid opcode") => {
            place("Invalid opcode")
        }
        Symptom::ListCorruption => place("List corruption"),
        Symptom::Refcount => place("Reference count error"),
        Symptom::SysRq => place("Crash asked for by SysRq"),
        Symptom::Lockdep if naming.title.starts_with("possible deadlock") => {
            place("Possible deadlock")
        }
        Symptom::Lockdep if naming.title.starts_with("inconsistent") => {
            place("Inconsistent lock state")
        }
        Symptom::MemoryLeak => place("Memory leak"),
        Symptom::Warning if naming.title.starts_with("WARNING in ") || findings.named.is_some() => {
            place("Warning")
        }
        Symptom::Rcu if !naming.printed.contains("{F}") => place("Suspicious RCU usage"),
        Symptom::HardLockup => place("Hard lockup"),
        Symptom::InternalError if naming.title.starts_with("Internal error in") => {
            place(&exception(report).map_or("Internal error".to_owned(), |exception| {
                format!("Internal error ({exception})")
            }))
        }
        Symptom::Panic => {
            written(&naming.printed.replacen("kernel panic: ", "Panic: ", 1), frame.as_deref())
        }
        Symptom::OutOfMemory => match &report.victim {
            Some(victim) => format!("Out of memory: killed {} (pid {})", victim.comm, victim.pid),
            None => written(&naming.printed.replacen("kernel panic: ", "Panic: ", 1), None),
        },
        Symptom::MachineCheck => match gravest(&report.machine_checks) {
            Some(check) => {
                let mut title = format!("Machine check ({})", check.severity);
                if let Some(cpu) = check.cpu {
                    title.push_str(&format!(" on CPU {cpu}"));
                }
                if let Some(bank) = check.bank {
                    title.push_str(&format!(", bank {bank}"));
                }
                title
            }
            None => written(&naming.printed, frame.as_deref()),
        },
        _ => written(&naming.printed, frame.as_deref()),
    };
    let title: String = title.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    // the tail of the line that ends a panic, whose head is cut
    let title = title.trim().trim_end_matches(" ]---").to_owned();
    let mut alt = naming.alt.clone();
    if naming.title != title {
        alt.push(naming.title.clone());
    }
    alt.sort();
    alt.dedup();
    let corrupted = naming.corrupted.filter(|why| !refuted(why, frame.as_deref(), report));
    Names { title, alt, frame, corrupted }
}

/// A title of a message's own words.
pub(crate) fn of_message(text: &str, names: &Names) -> String {
    let message: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let message = message.trim().trim_end_matches([':', '.']);
    match &names.frame {
        Some(frame) if !message.contains(frame.as_str()) => format!("{message}, in {frame}"),
        _ => message.to_owned(),
    }
}

/// What arm calls the exception: `Internal error: Oops - undefined instruction: 0 [#1]`.
fn exception(report: &Report) -> Option<&str> {
    let line = report.text.iter().find_map(|line| line.split_once("Internal error: "))?.1;
    let words = line.strip_prefix("Oops - ").unwrap_or(line).split(": ").next()?;
    let plain = words.bytes().all(|b| b.is_ascii_alphanumeric() || b" -/()".contains(&b));
    (plain && !words.is_empty() && words != "Oops" && line.contains("[#")).then_some(words)
}

/// Is a doubt of the well-known style's, which knows fewer forms of traces, without ground?
fn refuted(why: &str, frame: Option<&str>, report: &Report) -> bool {
    match why {
        "no function found" => {
            let torn = report.trace.iter().any(|frame| frame.function.starts_with("should_fail"));
            frame.is_some() && !torn
        }
        "no stack" => report.trace.len() > 1,
        _ => false,
    }
}

/// A template with the function in its place, or without the place.
fn written(template: &str, frame: Option<&str>) -> String {
    match frame {
        Some(frame) => template.replace("{F}", frame),
        None => [", in {F}", " in {F}", " at {F}", ": {F}", " {F}", "{F}"]
            .iter()
            .fold(template.to_owned(), |title, place| title.replace(place, "")),
    }
}

/// The class, once the whole report is known: some panics name their cause
/// only in their message or their trace.
pub(crate) fn class(naming: &Naming, report: &Report) -> Symptom {
    let sysrq =
        report.trace.iter().any(|frame| frame.function == "sysrq_handle_crash" && frame.reliable)
            || naming.frame.as_deref() == Some("sysrq_handle_crash");
    if sysrq && matches!(naming.class, Symptom::Panic | Symptom::NullPointer | Symptom::PageFault) {
        return Symptom::SysRq;
    }
    match naming.class {
        Symptom::Panic => {
            let title = naming.title.to_ascii_lowercase();
            [
                ("machine check", Symptom::MachineCheck),
                ("out of memory", Symptom::OutOfMemory),
                ("deadlocked on memory", Symptom::OutOfMemory),
                ("hard lockup", Symptom::HardLockup),
                ("softlockup", Symptom::SoftLockup),
                ("rcu stall", Symptom::RcuStall),
                ("hung_task", Symptom::HungTask),
                ("stack overflow", Symptom::StackOverflow),
                ("sysrq triggered", Symptom::SysRq),
                ("serror", Symptom::InternalError),
                ("kasan.fault=", Symptom::Kasan),
            ]
            .into_iter()
            .find(|(words, _)| title.contains(words))
            .map_or(Symptom::Panic, |(_, class)| class)
        }
        Symptom::PageFault if near_null(report) => Symptom::NullPointer,
        // the line that said so is lost; the syndrome still tells
        Symptom::InternalError
            if report.text.iter().any(|line| line.contains("Internal error: Oops: "))
                && report.access.is_some() =>
        {
            if near_null(report) {
                Symptom::NullPointer
            } else {
                Symptom::PageFault
            }
        }
        // KASAN's shadow of a NULL pointer is not canonical
        Symptom::GeneralProtection
            if report
                .said
                .iter()
                .any(|line| line.starts_with("KASAN: null-ptr-deref in range")) =>
        {
            Symptom::NullPointer
        }
        Symptom::Warning
            if report
                .source_line
                .as_ref()
                .is_some_and(|source| source.file.ends_with("lib/list_debug.c")) =>
        {
            Symptom::ListCorruption
        }
        // the watchdog warns before it panics
        Symptom::Warning
            if report.said.iter().any(|line| line.contains("Watchdog detected hard LOCKUP")) =>
        {
            Symptom::HardLockup
        }
        Symptom::Unknown => unknown(report),
        class => class,
    }
}

/// A report that no rule knows, by what it says.
fn unknown(report: &Report) -> Symptom {
    let said = |words: &str| report.said.iter().any(|line| line.contains(words));
    for (words, class) in [
        ("soft lockup", Symptom::SoftLockup),
        ("BUG: spinlock ", Symptom::Lockdep),
        ("BUG: rwlock ", Symptom::Lockdep),
        ("suspicious rcu_", Symptom::Rcu),
        ("hard LOCKUP", Symptom::HardLockup),
        ("rcu_sched detected", Symptom::RcuStall),
        ("Kernel BUG at", Symptom::KernelBug),
        ("kernel BUG at", Symptom::KernelBug),
        ("Oops: ", Symptom::Trap),
        ("Kernel panic", Symptom::Panic),
    ] {
        if said(words) {
            return class;
        }
    }
    Symptom::Unknown
}

/// Reaching a member through a NULL pointer faults within its first page.
fn near_null(report: &Report) -> bool {
    report.address.as_ref().is_some_and(|address| address.value < 0x1000)
}

/// Did the report stop the program where it happened to be?
pub(crate) fn interrupted(class: Symptom) -> bool {
    matches!(
        class,
        Symptom::SoftLockup
            | Symptom::HardLockup
            | Symptom::RcuStall
            | Symptom::HungTask
            | Symptom::WorkqueueLockup
            | Symptom::MachineCheck
            | Symptom::OutOfMemory
            | Symptom::AllocationFailure
            | Symptom::Ubsan
            | Symptom::Lockdep
            | Symptom::Rcu
            | Symptom::Atomic
            | Symptom::Preemptible
            | Symptom::Kcsan
            | Symptom::Kmsan
            | Symptom::Kfence
            | Symptom::MemoryLeak
            | Symptom::Slab
            | Symptom::BadPage
            | Symptom::Vfs
            | Symptom::DeviceReference
            | Symptom::Unwinder
    )
}

/// The words of a header behind a quotation mark.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"["'`\u{201c}\u{2018}\u{ab}](?:[a-zA-Z ]+: )?(?:BUG:|WARNING:|INFO:|UBSAN:|Kernel panic|general protection|[Uu]nable to handle|kernel BUG|Oops|Internal error)"#,
    )
});
/// The words of a header in the middle of a sentence: a word stands right before, where a kernel or
/// whatever carried its text has a colon, a bracket or nothing.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:^|[ *])([A-Za-z][a-z]+) (?:BUG:|WARNING:|INFO:|UBSAN:|general protection fault|kernel BUG at|Oops:)",
    )
});
/// A panic that is all that a record's quotation marks hold: `msg="Kernel panic - …"`. What is
/// looked for, or compared with, is no record.
static RECORDED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"^(?:|.*?([a-z]*)["' ]*[:=,\[{] *)["'`\u{201c}\u{2018}\u{ab}]Kernel panic - not syncing: [^"'%]*["'`\u{201d}\u{2019}\u{bb}]?[ ,.}\]]*$"#,
    )
});

/// Does a line only tell of what a kernel says, as prose and programs do?
fn told_of(line: &str) -> bool {
    const SOUGHT: &[&str] = &[
        "pattern", "patterns", "regex", "regexp", "match", "matches", "expect", "expected",
        "search", "grep", "find", "filter", "rule", "keyword", "keywords",
    ];
    let recorded = RECORDED
        .captures(line)
        .is_some_and(|groups| groups.get(1).is_none_or(|word| !SOUGHT.contains(&word.as_str())));
    let sentence =
        SENTENCE.captures(line).is_some_and(|groups| !groups[1].eq_ignore_ascii_case("kernel"));
    QUOTED.is_match(line) && !recorded || sentence
}

/// Is it a line of another program that only looks like a report: of no known kind, and nothing
/// of a kernel's under it?
pub(crate) fn unfounded(report: &Report) -> bool {
    let words = [
        "BUG:",
        "WARNING:",
        "INFO:",
        "UBSAN:",
        "Internal error:",
        "general protection",
        "Alignment trap:",
    ];
    // arm tells of a program's fault in the same words
    let first = report.text.first().map_or("", String::as_str);
    let of_program = (first.contains("Alignment trap:")
        || first.contains("Unhandled fault: alignment exception"))
        && report.trace.is_empty()
        && report.registers.is_empty();
    if of_program {
        return true;
    }
    let doubtful = matches!(report.class, Symptom::Unknown | Symptom::InternalError)
        || report.corrupted_why == Some("the header's report does not follow")
        || report.corrupted_why == Some("nothing follows the header");
    // the exception has a number and a count, or says of what address
    let counted = report.text.iter().any(|line| line.contains("[#") || line.contains("canonical"));
    let doubtful = doubtful && !(report.class == Symptom::InternalError && counted);
    let doubtful = doubtful || report.class == Symptom::Warning && report.source_line.is_none();
    let doubtful = doubtful || report.class == Symptom::GeneralProtection && !counted;
    let bare = report.trace.is_empty()
        && report.stacks.is_empty()
        && report.release.is_none()
        && report.modules.is_empty();
    // prose and programs quote what a kernel says
    if bare && told_of(first) {
        return true;
    }
    // what only says WARNING has no registers: those are of something else that follows
    let warned = report.class == Symptom::Warning && report.source_line.is_none();
    let empty = bare && (warned || report.registers.is_empty() && report.error_code.is_none());
    doubtful
        && empty
        && report.text.first().is_some_and(|line| words.iter().any(|w| line.contains(w)))
}

/// The guilty function: the first one in the order of the report's kind that the tables do not
/// pass over.
fn function(naming: &Naming, findings: &Findings, report: &Report) -> Option<String> {
    if report.system.is_some() {
        return naming.function.clone();
    }
    if naming.nobody {
        return None;
    }
    let kind = naming.class;
    let base = |name: &str| {
        let name = name.trim_start_matches('.');
        name.split('.').next().unwrap_or(name).to_owned()
    };
    let fair = |name: &String| !name.is_empty() && !guilty::innocent(name, kind);
    let rule = || naming.function.clone().filter(fair);
    let named = || findings.named.as_deref().map(base).filter(fair);
    let pointer = || findings.pointer.as_ref().map(|frame| base(&frame.function)).filter(fair);
    let caller = || findings.caller.as_ref().map(|frame| base(&frame.function)).filter(fair);
    // a helper that calls nothing saves no return address: the link register has its caller, whom
    // the unwinder may doubt or leave out; so it is where the pointer leads nowhere
    let helped = || {
        let helper = findings.pointer.as_ref().is_some_and(|frame| !fair(&base(&frame.function)));
        let nowhere = findings.pointer.is_none() && report.trace.first().is_some_and(|f| !f.exact);
        let first = report.trace.iter().find(|frame| !frame.exact && !frame.function.is_empty());
        let doubted = first.is_some_and(|frame| !frame.reliable);
        let jumped = nowhere && report.access.is_some_and(|access| access.kind == "execute");
        caller().filter(|_| (helper || nowhere) && doubted || jumped)
    };
    let traced = || {
        let reliable = report.trace.iter().any(|frame| frame.reliable && !frame.exact);
        // a lockup's watchdog looks in from a stack of its own
        let lockup = matches!(kind, Symptom::HardLockup | Symptom::SoftLockup);
        let aside = lockup && report.trace.iter().any(|frame| frame.stack != "nmi");
        // where a timer's interrupt looked in, its own frames are above those it interrupted
        let stalled = lockup || kind == Symptom::RcuStall;
        let entry = report.trace.iter().position(|frame| entry(&frame.function));
        let from = entry.filter(|_| stalled).map_or(0, |at| at + 1);
        let mut last = None;
        report
            .trace
            .iter()
            .skip(from)
            .filter(|frame| frame.reliable || !reliable)
            .filter(|frame| !aside || frame.stack != "nmi")
            .filter(|frame| {
                let inner = last.replace(&frame.function);
                let past = frame.offset == Some(0) && frame.size.is_some() && !frame.exact;
                !(past && inner.is_some_and(|inner| guilty::never_returns(inner)))
            })
            .map(|frame| base(&frame.function))
            .find(fair)
    };
    let found = match kind {
        Symptom::Slab => slab(report, &fair).or_else(traced).or_else(rule),
        Symptom::Kcsan => named(),
        Symptom::Kasan | Symptom::Kfence => named().or_else(traced).or_else(rule).or_else(caller),
        Symptom::SoftLockup | Symptom::HardLockup => pointer().or_else(traced).or_else(rule),
        Symptom::RcuStall => {
            // what stands above the interrupt's entry only noticed
            let entry = report.trace.iter().position(|frame| entry(&frame.function));
            let beyond = |name: &String| {
                let at = report.trace.iter().position(|frame| base(&frame.function) == *name);
                entry.is_none() || at.is_none() || at > entry
            };
            traced().or_else(|| rule().filter(beyond))
        }
        Symptom::Warning
        | Symptom::Refcount
        | Symptom::Usercopy
        | Symptom::KernelBug
        | Symptom::NullPointer
        | Symptom::PageFault
        | Symptom::GeneralProtection
        | Symptom::InternalError
        | Symptom::InvalidOpcode
        | Symptom::DivideError
        | Symptom::StackOverflow
        | Symptom::Trap => {
            // a rule that names its own place knows better
            let own = matches!(kind, Symptom::KernelBug) && !naming.title.starts_with("kernel BUG");
            if own { rule() } else { None }
                .or_else(named)
                .or_else(pointer)
                .or_else(helped)
                .or_else(traced)
                .or_else(rule)
                .or_else(caller)
        }
        _ => rule().or_else(pointer).or_else(helped).or_else(traced).or_else(caller),
    };
    found.map(|name| demangle(&name))
}

/// Is the function where an interrupt enters the kernel?
fn entry(function: &str) -> bool {
    matches!(
        function,
        "__irq_svc"
            | "__irq_usr"
            | "el1_irq"
            | "el1h_64_irq"
            | "handle_int"
            | "rollback_handle_int"
            | "except_vec_vi_end"
            | "apic_timer_interrupt"
            | "asm_sysvec_apic_timer_interrupt"
            | "call_on_irq_stack"
            | "decrementer_common"
            | "decrementer_common_virt"
            | "handle_exception"
            | "ret_from_exception"
    )
}

/// Who had a free object that was overwritten: whoever allocates it next only finds it so. Other
/// complaints are about what the trace was doing.
fn slab(report: &Report, fair: &dyn Fn(&String) -> bool) -> Option<String> {
    let poisoned = report.said.iter().any(|line| line.contains("Poison overwritten"));
    let owner = |what: &str| {
        let stack = report.stacks.iter().find(|stack| stack.what.eq_ignore_ascii_case(what))?;
        let name = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
        stack.frames.iter().map(|frame| name(&frame.function)).find(fair)
    };
    if !poisoned {
        return None;
    }
    owner("freed").or_else(|| owner("allocated"))
}
