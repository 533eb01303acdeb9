//! Who, where and on what: the lines that set the scene.
//!
//! Field by field: a line that is cut, or that a distribution has added to, loses what is cut and
//! nothing else. The first line that has a field decides; later ones belong to consequences.

use std::sync::LazyLock;

use regex::Regex;

use super::taint;
use crate::naming::pattern::compile;
use crate::report::{Module, Report};

/// `CPU: 3 UID: 0 PID: 12 Comm: a`, whatever stands between (`dump_stack_print_info`).
static CPU: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\bCPU: *([0-9]+)\b(?: +(?:UID|PID|Comm|Not tainted|Tainted):?|$)"));
static PID: LazyLock<Regex> = LazyLock::new(|| compile(r"\bPID: *([0-9]+) "));
static COMM: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\bComm: (.+?)(?: Kdump: loaded| [A-Z]{2,8}: [0-9 ]*(?:Not tainted|Tainted:)| ?Not tainted| ?Tainted:| *$)",
    )
});
/// Taint flags and the release behind them. Distributions put dashes between.
static TAINT: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:\b(Not tainted)|\bTainted: ([A-Z ]+(?:-+[A-Z ]*)*))(?:[ \-]*\(?([0-9]+\.[0-9]+[^ )]*)\)?)?",
    )
});
/// Kernels before 3.10: the machine's name follows the build.
static OLD_TASK: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\bPid: ([0-9]+), comm: +(.+?) +(?:Not tainted|Tainted:|xid:)"));
/// ia64's.
static ITANIUM: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^Pid: ([0-9]+), CPU ([0-9]+), comm: +(.+?) *$"));
static OLD_HARDWARE: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"\bPid: [0-9]+, comm: .* \(?[0-9]+\.[0-9]+[^ )]*\)? #[0-9]+\)? ?(.*)$")
});
/// i386 before 2.6.28 has the release behind the flags.
static EFLAGS_RELEASE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^EFLAGS: [0-9a-f]{8} +\(([0-9]+\.[0-9]+[^ )]*)"));
/// Lockdep puts the release first.
static RELEASE_FIRST: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^([0-9]+\.[0-9]+[^ ]*) #[0-9]+(?:$| (?:.* )?(?:Not tainted|Tainted: ))")
});
/// The kernel's own word for itself, in the lines around.
static VERSION: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^Linux version ([0-9]+\.[0-9]+[^ ]*)"));
/// `bt` of crash.
static DEBUGGER: LazyLock<Regex> = LazyLock::new(|| {
    compile(r#"PID: ([0-9]+) +TASK: [0-9a-f]+ +CPU: ([0-9]+) +COMMAND: "([^"]*)""#)
});
/// Lines of which one names the task, by kind of report: the name, then the number.
static TASKS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"INFO: task (.+):([0-9]+) (?:is )?(?:blocked|can't die)",
        r"(?:by task|caller is|, CPU#[0-9]+:) ([^/]+)/([0-9]+)$",
        r"BUG: (?:scheduling while atomic|using .* code): (.+?)/([0-9]+)(?:/0x[0-9a-f]+)?$",
        r"stuck for [0-9]+s! \[(.+):([0-9]+)\]",
        r"^task:(.+?) +state:[A-Z].* pid: *([0-9]+)",
        r"^([a-zA-Z][^ ]*) +R +running(?: task)? +(?:0x)?[0-9]+ +([0-9]+) ",
        r"^([^ \[<].*?) +D +(?:[0-9a-f]{16}|[0-9a-f]{8}|0) +[0-9]+ +([0-9]+) +[0-9]+ +0x[0-9a-f]{8}",
        r"^[0-9]+ locks? held by (.+)/([0-9]+):$",
        r"^(.+?)/([0-9]+) (?:is trying to|is leaving|is exiting|just changed|\[)",
        r"Process (.+?) \(pid: ([0-9]+)[,)]",
        r"BUG: (?:spinlock|rwlock) .* on CPU#[0-9]+, (.+?)/([0-9]+)",
        r"^(?:.* )?([^ ()]+)\(([0-9]+)\): (?:Oops|Dax|Iax|Kernel bug|Whee|[A-Z][a-z]+ \[#)",
        r"COMMAND: (.+?) PID: ([0-9]+)$",
        r#"^ *comm "(.+?)", pid ([0-9]+), jiffies"#,
        r"^(?:kdb|Stack traceback for pid).*?([a-z][^ ]*) pid ([0-9]+)$",
    ]
    .into_iter()
    .map(compile)
    .collect()
});
/// Where kdb was entered.
static KDB: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"Entering kdb \(current=0x[0-9a-f]+, pid ([0-9]+)\) on processor ([0-9]+)")
});
/// The same with the number first: PowerPC, the line of a WARNING, KASAN's threads.
static TASK_AND_CPU: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"TASK = [0-9a-f]+\[([0-9]+)\] '(.+?)' THREAD: [0-9a-f]+ +CPU: ([0-9]+)")
});
/// xmon's: `    pid   = 0, comm = swapper`.
static NUMBER_FIRST: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^ *pid +=  ?([0-9]+), comm = (.+?) *$"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *CPU:? +([0-9]+) *(?:$|Unable|Not tainted)|\bCPU#([0-9]+)|\bcpu ([0-9]+)\b|\bCPU: ([0-9]+) PID|\bCPU:([0-9]+) Hard LOCKUP|\bCPU ?([0-9]+), code|\bCPU ([0-9]+): (?:Machine|hard|Bank)|\bCPU ([0-9]+) (?:detected|Unable|self-detected)|^CPU #: ([0-9]+)|processor ([0-9]+) due to",
    )
});
/// xmon's, in hexadecimal: `cpu 0x1f: Vector: 300`.
static XMON: LazyLock<Regex> = LazyLock::new(|| compile(r"\bcpu 0x([0-9a-f]{1,8})\b"));
static MODULE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^([a-zA-Z0-9_\-]+)(?:\(([A-Z+\-]+)\))?$"));
/// Words that all lines of this file hold: others need not be looked at.
static WORDS: LazyLock<Option<aho_corasick::AhoCorasick>> = LazyLock::new(|| {
    aho_corasick::AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([
            "cpu",
            "pid",
            "comm",
            "taint",
            "task",
            "name:",
            "workqueue:",
            "process",
            "linux version",
            "/",
            "oops",
            "[#",
            "eflags",
            "model",
            "processor",
            "caller",
            " #",
            " 0x0000",
        ])
        .ok()
});

/// Take what a line says; was it one that says nothing else?
pub(crate) fn read(line: &str, report: &mut Report) -> bool {
    if !WORDS.as_ref().is_none_or(|words| words.is_match(line)) {
        return false;
    }
    if let Some(groups) = DEBUGGER.captures(line) {
        report.pid.get_or_insert(groups[1].parse().unwrap_or(0));
        report.cpu.get_or_insert(groups[2].parse().unwrap_or(0));
        report.comm.get_or_insert(groups[3].to_owned());
        return true;
    }
    let scene = scene(line, report);
    if let Some((_, name)) = line.split_once("Hardware name: ") {
        report.hardware.get_or_insert(name.trim().to_owned());
        return true;
    }
    if let Some((_, work)) = line.split_once("Workqueue: ") {
        report.workqueue.get_or_insert(work.trim().to_owned());
        return true;
    }
    if let Some(groups) = VERSION.captures(line) {
        report.release.get_or_insert(groups[1].to_owned());
    }
    if let Some(groups) = TASK_AND_CPU.captures(line) {
        task(report, &groups[2], &groups[1]);
        report.cpu = report.cpu.or(groups[3].parse().ok());
    }
    if let Some(groups) = ITANIUM.captures(line) {
        task(report, &groups[3], &groups[1]);
        report.cpu = report.cpu.or(groups[2].parse().ok());
    }
    if let Some(groups) = NUMBER_FIRST.captures(line) {
        task(report, &groups[2], &groups[1]);
    }
    if let Some(groups) = KDB.captures(line) {
        report.pid = report.pid.or(groups[1].parse().ok());
        report.cpu = report.cpu.or(groups[2].parse().ok());
    }
    if report.pid.is_none() {
        for pattern in TASKS.iter() {
            if let Some(groups) = pattern.captures(line) {
                task(report, &groups[1], &groups[2]);
                break;
            }
        }
    }
    if report.cpu.is_none()
        && let Some(groups) = XMON.captures(line)
    {
        report.cpu = u32::from_str_radix(&groups[1], 16).ok();
    }
    // KCSAN names the processors of both sides before its own
    let side = line.contains(" by task ") && line.contains(" on cpu ");
    if report.cpu.is_none()
        && !side
        && let Some(groups) = NUMBER.captures(line)
    {
        report.cpu = groups.iter().skip(1).flatten().next().and_then(|m| m.as_str().parse().ok());
    }
    scene
}

/// `CPU: 3 UID: 0 PID: 12 Comm: a Tainted: G W 6.1.0 #1`, or what is left of it.
fn scene(line: &str, report: &mut Report) -> bool {
    let old = OLD_TASK.captures(line);
    let cpu = CPU.captures(line);
    let released = RELEASE_FIRST.captures(line);
    let tainted = TAINT.captures(line);
    // the fields of one task: of the first line that names it
    let fresh = report.comm.is_none();
    if let Some(groups) = &cpu {
        report.cpu = report.cpu.or(groups[1].parse().ok());
    }
    if fresh {
        let pid = PID.captures(line).and_then(|groups| groups[1].parse().ok());
        report.pid = report.pid.or(pid);
        report.comm = COMM.captures(line).map(|groups| groups[1].trim().to_owned());
    }
    if let Some(groups) = &old {
        if report.pid.is_none() {
            report.pid = groups[1].parse().ok();
            report.comm = Some(groups[2].to_owned());
        }
        if let Some(hardware) = OLD_HARDWARE.captures(line) {
            let hardware = hardware[1].trim();
            if !hardware.is_empty() {
                report.hardware.get_or_insert(hardware.to_owned());
            }
        }
    }
    if report.release.is_none()
        && let Some(groups) = EFLAGS_RELEASE.captures(line)
    {
        report.release = Some(groups[1].to_owned());
    }
    let Some(tainted) = tainted else {
        if report.release.is_none()
            && let Some(released) = released
        {
            report.release = Some(released[1].to_owned());
        }
        return cpu.is_some() || old.is_some();
    };
    let release = released
        .and_then(|groups| Some(groups.get(1)?.as_str().to_owned()))
        .or_else(|| tainted.get(3).map(|release| release.as_str().to_owned()));
    // `Tainted: [W]=WARN, …` spells out what the line before has said
    if report.release.is_none() && !line.contains("Tainted: [") {
        // the allocator has the flags alone in its first line
        if let Some(flags) = tainted.get(2).filter(|_| report.taint.is_empty()) {
            report.taint = taint::flags(flags.as_str());
        }
        report.release = release;
    }
    true
}

fn task(report: &mut Report, comm: &str, pid: &str) {
    if report.pid.is_none() {
        report.comm = Some(comm.trim().to_owned());
        report.pid = pid.parse().ok();
    }
}

/// The modules of a `Modules linked in:` text; it may run over several lines.
pub(crate) fn modules(text: &str, modules: &mut Vec<Module>) {
    let listed = text.split("[last unloaded:").next().unwrap_or(text);
    for word in listed.split_whitespace() {
        let Some(groups) = MODULE.captures(word) else {
            continue;
        };
        if modules.len() >= 4096 {
            return;
        }
        let flags = groups.get(2).map_or("", |m| m.as_str());
        modules.push(Module {
            name: groups[1].to_owned(),
            flags: flags.to_owned(),
            meaning: flags.chars().filter_map(flag).collect(),
        });
    }
}

fn flag(letter: char) -> Option<&'static str> {
    match letter {
        '+' => Some("loading"),
        '-' => Some("unloading"),
        letter => taint::flag(letter).map(|flag| flag.meaning),
    }
}
