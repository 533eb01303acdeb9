//! Who, where and on what: the lines that set the scene.

use std::sync::LazyLock;

use regex::Regex;

use super::taint;
use crate::naming::pattern::compile;
use crate::report::{Module, Report};

static CPU: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"CPU: ([0-9]+)(?: UID: [0-9]+)? PID: ([0-9]+) Comm: (.*?) (?:Kdump: loaded )?(Not tainted|Tainted: [A-Z ]+?|Tainted: \[[^ ]*) +([0-9]+\.[0-9]+[^ ]*)",
    )
});
/// Kernels before 3.10: the machine's name follows the build.
static OLD_CPU: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"Pid: ([0-9]+), comm: (.*?) (Not tainted|Tainted: [A-Z ]+?) +\(?([0-9]+\.[0-9]+[^ )]*)\)?(?: #[0-9]+ ?(.*))?",
    )
});
/// Hung tasks and lockdep name the kernel in a line of its own.
static KERNEL: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ +(Not tainted|Tainted: [A-Z ]+?) +([0-9]+\.[0-9]+[^ ]*) #|^([0-9]+\.[0-9]+[^ ]*) #[0-9]+ (?:.* )?(Not tainted|Tainted: [A-Z ]+)",
    )
});
/// `bt` of crash.
static DEBUGGER: LazyLock<Regex> = LazyLock::new(|| {
    compile(r#"PID: ([0-9]+) +TASK: [0-9a-f]+ +CPU: ([0-9]+) +COMMAND: "([^"]*)""#)
});
/// The header lines of kinds that print their own.
static BY_TASK: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?:by task|task|caller is|, CPU#[0-9]+:) ([^ /]+|[^/]+)/([0-9]+)$"));
static HUNG: LazyLock<Regex> = LazyLock::new(|| compile(r"INFO: task (.+):([0-9]+) blocked"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *CPU:? ([0-9]+) *$|CPU#([0-9]+)|\bcpu ([0-9]+)\b|CPU: ([0-9]+) PID")
});
static MODULE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^([a-zA-Z0-9_\-]+)(?:\(([A-Z+\-]+)\))?$"));

/// Take what a line says; was it one of these lines?
pub(crate) fn read(line: &str, report: &mut Report) -> bool {
    if let Some(groups) = CPU.captures(line) {
        report.cpu.get_or_insert(groups[1].parse().unwrap_or(0));
        // the first such line belongs to the report, later ones to its
        // consequences
        if report.release.is_none() {
            report.pid = groups[2].parse().ok();
            report.comm = Some(groups[3].to_owned());
            report.release = Some(groups[5].to_owned());
            if let Some(flags) = groups[4].strip_prefix("Tainted: ") {
                report.taint = taint::flags(flags);
            }
        }
        return true;
    }
    if let Some(groups) = OLD_CPU.captures(line) {
        if report.release.is_none() {
            report.pid = groups[1].parse().ok();
            report.comm = Some(groups[2].to_owned());
            report.release = Some(groups[4].to_owned());
            if let Some(flags) = groups[3].strip_prefix("Tainted: ") {
                report.taint = taint::flags(flags);
            }
            if let Some(hardware) = groups.get(5).map(|m| m.as_str().trim())
                && !hardware.is_empty()
            {
                report.hardware.get_or_insert(hardware.to_owned());
            }
        }
        return true;
    }
    if report.release.is_none()
        && let Some(groups) = KERNEL.captures(line)
    {
        let text = |one: usize, other: usize| groups.get(one).or(groups.get(other));
        report.release = text(2, 3).map(|release| release.as_str().to_owned());
        if let Some(flags) = text(1, 4).and_then(|flags| flags.as_str().strip_prefix("Tainted: ")) {
            report.taint = taint::flags(flags);
        }
        return true;
    }
    if let Some(groups) = DEBUGGER.captures(line) {
        report.pid = groups[1].parse().ok();
        report.cpu = groups[2].parse().ok();
        report.comm = Some(groups[3].to_owned());
        return true;
    }
    if let Some((_, name)) = line.split_once("Hardware name: ") {
        report.hardware.get_or_insert(name.trim().to_owned());
        return true;
    }
    if let Some((_, work)) = line.split_once("Workqueue: ") {
        report.workqueue.get_or_insert(work.trim().to_owned());
        return true;
    }
    if let Some(groups) = HUNG.captures(line).or_else(|| BY_TASK.captures(line)) {
        if report.pid.is_none() {
            report.comm = Some(groups[1].to_owned());
            report.pid = groups[2].parse().ok();
        }
        return false;
    }
    if report.cpu.is_none()
        && let Some(groups) = NUMBER.captures(line)
    {
        report.cpu = groups.iter().skip(1).flatten().next().and_then(|m| m.as_str().parse().ok());
    }
    false
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
