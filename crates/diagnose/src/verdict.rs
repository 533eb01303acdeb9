//! The verdict: the finding that explains the others, and the function to blame.

use necropsy_lexicon::Symptom;
use necropsy_linux::Kernel;
use necropsy_oops::{Options, Report};

use crate::{
    blame::whole,
    case::Case,
    cause::Cause,
    finding::{Diagnosis, Finding, Verdict},
    inquiry::Inquiry,
    log, next, what_if,
};

/// What killed a kernel, without the page of facts around it.
pub fn diagnose_kernel(kernel: &Kernel) -> Diagnosis {
    let log = kernel.log().unwrap_or_default();
    let reports = necropsy_oops::reports_of_lines(log::lines(&log), &Options::default());
    let lines: Vec<String> = log.records.iter().map(|record| record.text.clone()).collect();
    diagnose(&Inquiry::new(kernel, deciding(kernel, &reports)).with_log(&lines))
}

/// The report that tells what the machine died of: the first, but for warnings that the kernel
/// survived and that something else came after.
pub(crate) fn deciding<'r>(kernel: &Kernel, reports: &'r [Report]) -> Option<&'r Report> {
    let first = reports.first()?;
    let survived = |report: &&Report| {
        matches!(report.class, Symptom::Warning | Symptom::AllocationFailure | Symptom::Rcu)
    };
    if complained(first) {
        // Merged with the panic that was called for it, where one was: the first of that kind is what
        // it died of.
        let panicked = |report: &&Report| {
            complained(report) && report.text.iter().any(|line| line.contains("Kernel panic - "))
        };
        let died = || {
            let class = reports.iter().find(panicked)?.class;
            reports.iter().find(|report| report.class == class)
        };
        let killed = reports.iter().find(|report| kills(report));
        return killed.or_else(died).or(Some(first));
    }
    if !survived(&first) {
        return Some(first);
    }
    let case = Case::of_panic(kernel).ok().flatten();
    let warned = case.is_some_and(|case| {
        ["__warn", "warn_slowpath_fmt", "warn_slowpath_null", "report_bug", "check_panic_on_warn"]
            .iter()
            .any(|function| case.frame_of(function).is_some())
    });
    let other = reports.iter().find(|report| !survived(report));
    if warned { Some(first) } else { other.or(Some(first)) }
}

/// What a watchdog, a checker or the OOM killer says, and the kernel goes on.
fn complained(report: &Report) -> bool {
    matches!(
        report.class,
        Symptom::HungTask
            | Symptom::SoftLockup
            | Symptom::RcuStall
            | Symptom::WorkqueueLockup
            | Symptom::OutOfMemory
            | Symptom::Lockdep
            | Symptom::Atomic
            | Symptom::Preemptible
            | Symptom::Kcsan
            | Symptom::MemoryLeak
            | Symptom::UserProgram
    )
}

/// Whether the kernel does not go on after it; a panic only if it was not called for a complaint.
fn kills(report: &Report) -> bool {
    const COMPLAINTS: [&str; 6] =
        ["hung_task", "softlockup", "RCU", "rcu", "ut of memory", "deadlocked on memory"];
    match report.class {
        Symptom::Panic => !COMPLAINTS.iter().any(|words| report.title.contains(words)),
        class => matches!(
            class,
            Symptom::NullPointer
                | Symptom::PageFault
                | Symptom::GeneralProtection
                | Symptom::StackSegment
                | Symptom::DoubleFault
                | Symptom::Trap
                | Symptom::Alignment
                | Symptom::InternalError
                | Symptom::DivideError
                | Symptom::InvalidOpcode
                | Symptom::StackOverflow
                | Symptom::StackCorruption
                | Symptom::KernelBug
                | Symptom::MachineCheck
        ),
    }
}

/// Asks the detectors and draws the verdict.
pub(crate) fn diagnose(inquiry: &Inquiry<'_>) -> Diagnosis {
    let findings = crate::detectors::findings(inquiry);
    let verdict = draw(inquiry, &findings);
    let rejected =
        verdict.as_ref().map_or_else(Vec::new, |verdict| what_if::rejected(inquiry, verdict));
    let next = next::steps(inquiry.kernel, verdict.as_ref());
    let checked = what_if::checked(inquiry, &findings);
    Diagnosis { verdict, symptom: inquiry.symptom(), findings, rejected, checked, next }
}

/// Detectors are asked in the order of how much they explain: the first finding that may show as
/// the symptom is the verdict.
fn draw(inquiry: &Inquiry<'_>, findings: &[Finding]) -> Option<Verdict> {
    let fits = |finding: &&Finding| {
        // Who asked for the crash did so whatever the kernel had said before.
        finding.class == Cause::Sysrq
            || inquiry.symptom().is_none_or(|symptom| finding.class.may_show_as(symptom))
    };
    let finding = findings.iter().find(fits)?;
    // The stack of the task that panicked, which is not to blame where another is to be looked at.
    let by_stack = || {
        let case = inquiry.case.as_ref()?;
        let own = finding.task.is_none_or(|task| task == case.task.address);
        own.then(|| case.blamed()).flatten()
    };
    let by_log = || inquiry.report.and_then(|report| report.frame.clone());
    let function =
        finding.function.clone().or_else(by_stack).or_else(by_log).map(|name| whole(&name));
    let title = match &function {
        Some(function) => format!("{} in {function}", finding.class.name()),
        None => finding.class.name().to_owned(),
    };
    Some(Verdict {
        class: finding.class,
        title,
        statement: finding.statement.clone(),
        confidence: finding.confidence,
        function,
        naive_function: naive(inquiry),
        object: finding.object.clone(),
        // A crash that was asked for is nobody's fault.
        culprit: (finding.class != Cause::Sysrq).then(|| culprit(inquiry)).flatten(),
        task: finding.task,
    })
}

/// Whose code is under suspicion: an out-of-tree module on the stack, or the only one there is.
fn culprit(inquiry: &Inquiry<'_>) -> Option<String> {
    let (modules, _) = inquiry.kernel.modules();
    // TAINT_OOT_MODULE (include/linux/panic.h)
    let foreign: Vec<_> = modules.iter().filter(|module| module.taints >> 12 & 1 == 1).collect();
    let case = inquiry.case.as_ref();
    let frames = case.map_or(&[][..], |case| case.trace().frames.as_slice());
    let mut on_stack =
        frames.iter().filter_map(|frame| inquiry.kernel.image_name(frame.lookup_pc()));
    let found = on_stack.find(|name| foreign.iter().any(|module| module.name == *name));
    match (found, foreign.as_slice()) {
        (Some(name), _) => Some(format!("module {name}, out of tree, whose code is on the stack")),
        (None, [only]) => Some(format!("module {}, the only one from out of the tree", only.name)),
        _ => None,
    }
}

/// The function that whoever blames the innermost frame would name.
fn naive(inquiry: &Inquiry<'_>) -> Option<String> {
    let case = inquiry.case.as_ref()?;
    // Who reports what others did is to blame for nothing.
    let by_panic = || {
        let own = matches!(inquiry.symptom(), None | Some(Symptom::Panic | Symptom::RustPanic));
        case.panic_caller().filter(|_| own).map(|(number, _)| number)
    };
    let called = case.called_in_interrupt().map(|(number, _)| number);
    let frame = called.or_else(|| case.exception()).or_else(by_panic)?;
    let lookup = case.trace().frames.get(frame)?.lookup_pc();
    let is_code = inquiry.kernel.target().is_text(lookup);
    case.function(frame).filter(|_| is_code).map(whole)
}
