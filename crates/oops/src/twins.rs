//! Two processors that report at once, line by line into one another, where no caller marks tell
//! their lines apart: each line is dealt to one of them.
//!
//! Believed only where it is plain to see: two heads of the same kind, then two `Call Trace:` with
//! no frame between. What a report prints once comes once from each; a line that names a CPU, a
//! task or a function goes where that was named before; the rest is dealt in turn.
//!
//! Or only what they found wrong comes at once, and the rest one behind the other: `die()` lets one
//! processor in at a time, and what arm64 says before it is said by all.

use crate::line::{Context, Line, LineKind};
use crate::naming::stack;

/// Lines between the same line of both.
const NEAR: usize = 3;
/// Lines of a head, before its trace.
const LONGEST_HEAD: usize = 96;
/// Lines of both traces, and what comes after them.
const LONGEST_TRACES: usize = 256;

/// What a report prints once, by how the line begins. The order is of no import.
const ONCE: &[&str] = &[
    "------------[ cut here",
    "WARNING: ",
    "BUG: ",
    "kernel BUG",
    "PANIC: ",
    "general protection",
    "Unable to handle",
    "Mem abort",
    "watchdog: ",
    "#PF error",
    "#PF: supervisor",
    "#PF: error_code",
    "PGD ",
    "Oops: ",
    "Modules linked in",
    "CPU: ",
    "Tainted: ",
    "Hardware name",
    "Workqueue: ",
    "task: ",
    "RIP: ",
    "pstate: ",
    "pc : ",
    "lr : ",
    "sp : ",
    "Code: ",
    "RSP: ",
    "RAX: ",
    "RDX: ",
    "RBP: ",
    "R10: ",
    "R13: ",
    "FS: ",
    "CS: ",
    "CR2: ",
    "DR0: ",
    "DR3: ",
    "PKRU: ",
    "x29: ",
    "x26: ",
    "x23: ",
    "x20: ",
    "x17: ",
    "x14: ",
    "x11: ",
    "x8 : ",
    "x5 : ",
    "x2 : ",
    "Call Trace:",
    "Call trace:",
    "<TASK>",
    "</TASK>",
    "<IRQ>",
    "</IRQ>",
    "irq event stamp",
    "hardirqs last  enabled",
    "hardirqs last disabled",
    "softirqs last  enabled",
    "softirqs last disabled",
    "---[ end trace",
];

/// What stands before the line that names the CPU.
const OPENING: &[&str] = &[
    "------------[ cut here",
    "BUG: ",
    "PANIC: ",
    "WARNING: ",
    "general protection",
    "Unable to handle",
    "Mem abort",
    "watchdog: ",
    "#PF",
    "PGD ",
    "Oops: ",
    "kernel BUG",
    "Modules linked in",
];
/// Those of them that a report begins with.
const STARTS: &[&str] =
    &["BUG: ", "PANIC: ", "WARNING: ", "general protection", "Unable to handle", "watchdog: "];
/// Lines of them.
const LONGEST_OPENING: usize = 12;

/// One of the two.
#[derive(Debug, Default)]
struct Twin {
    cpu: u32,
    /// Words that only this one's head has: its task's number, its function.
    words: Vec<String>,
    /// Kinds of [`ONCE`] that it has printed.
    printed: u64,
    /// It has begun its report.
    started: bool,
}

/// Deals the lines of two reports at once to the processors that print them.
pub(crate) fn part(lines: &mut [Line<'_>]) {
    let mut from = 0;
    while let Some(at) = (from..lines.len()).find(|at| begins_trace(lines, *at)) {
        from = at + 1;
        let Some(other) = (at + 1..lines.len().min(at + 1 + NEAR))
            .take_while(|other| !stack::is_frame(&lines[*other].text))
            .find(|other| begins_trace(lines, *other))
        else {
            continue;
        };
        from = other + 1;
        if let Some((first, twins)) = heads(lines, at) {
            from = deal(lines, first, twins).max(from);
        }
    }
    queue(lines);
}

/// Gives each of two reports whose first lines came at once its own: the first to begin is the
/// first to be told whole.
fn queue(lines: &mut [Line<'_>]) {
    let mut from = 0;
    while let Some(at) = (from..lines.len()).find(|at| starts(&lines[*at])) {
        from = at + 1;
        let opens = |at: &usize| is_of(&lines[*at], OPENING) || is_detail(&lines[*at]);
        let opening = (at + 1..lines.len().min(at + 1 + 2 * LONGEST_OPENING)).take_while(opens);
        let word = lines[at].text.split(' ').next().map(str::to_owned);
        let same = |other: &usize| {
            starts(&lines[*other]) && lines[*other].text.split(' ').next() == word.as_deref()
        };
        let Some(other) = opening.clone().find(same) else { continue };
        let body = opening.last().unwrap_or(other) + 1;
        let Some((one, end)) = told(lines, body) else { continue };
        let Some((two, last)) = told(lines, end + 1).filter(|(two, _)| *two != one) else {
            continue;
        };
        let mut printed = Vec::new();
        for (at, line) in lines.iter_mut().enumerate().take(last + 1).skip(at) {
            let first = if at < body {
                // what both say comes from the first of them first
                let said = line.text.split(':').next().unwrap_or("").trim().to_owned();
                let fresh = at < other || at > other && !printed.contains(&said);
                printed.push(said);
                fresh
            } else {
                at <= end
            };
            if plain(line) {
                line.context = Context::Cpu(if first { one } else { two });
            }
        }
        from = last + 1;
    }
}

/// The processor whose report goes on at `from`, and the report's last line; none where another
/// begins before it ends.
fn told(lines: &[Line<'_>], from: usize) -> Option<(u32, usize)> {
    let rest = lines.iter().enumerate().skip(from).take(LONGEST_HEAD + LONGEST_TRACES);
    let mut cpu = None;
    for (at, line) in rest {
        if starts(line) {
            return None;
        }
        cpu = cpu.or(plain(line).then(|| named_cpu(&line.text)).flatten());
        if line.text.contains("---[ end trace") {
            return Some((cpu?, at));
        }
    }
    None
}

fn is_of(line: &Line<'_>, heads: &[&str]) -> bool {
    let text = line.text.trim_start();
    plain(line) && heads.iter().any(|head| text.starts_with(head))
}

/// Does a report begin with the line? A line that names its processor needs no help.
fn starts(line: &Line<'_>) -> bool {
    is_of(line, STARTS) && named_cpu(&line.text).is_none()
}

/// What arm64 spells out of an abort, and where it looked.
fn is_detail(line: &Line<'_>) -> bool {
    const DETAILS: &[&str] = &[
        "ESR = ",
        "EC = ",
        "SET = ",
        "EA = ",
        "FSC = ",
        "Data abort info",
        "ISV = ",
        "CM = ",
        "user pgtable",
        "swapper pgtable",
        "[0",
        "[f",
    ];
    is_of(line, DETAILS)
}

fn plain(line: &Line<'_>) -> bool {
    line.kind == LineKind::Kernel && !line.context.is_caller()
}

fn begins_trace(lines: &[Line<'_>], at: usize) -> bool {
    let text = lines[at].text.trim_start();
    plain(&lines[at]) && (text.starts_with("Call Trace:") || text.starts_with("Call trace:"))
}

/// The heads before the traces: where the first begins, and what each names.
fn heads(lines: &[Line<'_>], trace: usize) -> Option<(usize, [Twin; 2])> {
    let mut found: Vec<(usize, Twin)> = Vec::new();
    let earliest = trace.saturating_sub(LONGEST_HEAD);
    for (at, line) in lines.iter().enumerate().take(trace).skip(earliest) {
        // a report that is over has nothing to do with these
        if line.text.contains("---[ end trace") {
            found.clear();
        }
        let Some(cpu) = plain(line).then(|| named_cpu(&line.text)).flatten() else { continue };
        let known = found.iter_mut().find(|(_, twin)| twin.cpu == cpu);
        match known {
            Some((_, twin)) => twin.words.extend(words(&line.text)),
            None => found.push((at, Twin { cpu, words: words(&line.text), ..Twin::default() })),
        }
    }
    let [(first, one), (second, other)] = <[(usize, Twin); 2]>::try_from(found).ok()?;
    if second - first > NEAR {
        return None;
    }
    let opens = |at: &usize| {
        let text = lines[*at].text.trim_start();
        plain(&lines[*at]) && OPENING.iter().any(|head| text.starts_with(head))
    };
    let opening = (first.saturating_sub(LONGEST_OPENING)..first).rev().take_while(opens).last();
    let ruled = opening.unwrap_or(first);
    let mut twins = [one, other];
    let [one, other] = &mut twins;
    // what both have tells nothing
    let common: Vec<String> =
        one.words.iter().filter(|word| other.words.contains(word)).cloned().collect();
    for twin in [one, other] {
        twin.words.retain(|word| !common.contains(word));
    }
    Some((ruled, twins))
}

/// The CPU that a line says it is about.
fn named_cpu(text: &str) -> Option<u32> {
    let rest = ["CPU: ", "CPU#", "cpu "].iter().find_map(|word| {
        text.split_once(word)
            .map(|(_, rest)| rest)
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Words long enough to tell one from another.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.len() >= 3)
        .map(str::to_owned)
        .collect()
}

/// Deals the lines; gives where the last of them is.
fn deal(lines: &mut [Line<'_>], first: usize, mut twins: [Twin; 2]) -> usize {
    let end = lines.len().min(first + LONGEST_HEAD + LONGEST_TRACES);
    let mut previous = 0;
    let mut named = false;
    let mut last = first;
    let over = ONCE.len() - 1;
    for (at, line) in lines.iter_mut().enumerate().take(end).skip(first) {
        if !plain(line) {
            continue;
        }
        let text = line.text.trim_start().to_owned();
        let kind = ONCE.iter().position(|head| text.starts_with(head));
        let had = |twin: &Twin, kind: usize| twin.printed & (1 << kind) != 0;
        let told = |twin: &Twin| {
            named_cpu(&text) == Some(twin.cpu)
                || twin.words.iter().any(|word| words(&text).contains(word))
        };
        let whose = match (told(&twins[0]), told(&twins[1]), kind) {
            (true, false, _) => 0,
            (false, true, _) => 1,
            (_, _, Some(kind)) if had(&twins[0], kind) != had(&twins[1], kind) => {
                usize::from(had(&twins[0], kind))
            }
            // before a CPU is named, a second head is the other's
            _ if !named => {
                let starts = STARTS.iter().any(|head| text.starts_with(head));
                if starts && twins[previous].started { 1 - previous } else { previous }
            }
            // one is done
            _ if had(&twins[0], over) => 1,
            _ if had(&twins[1], over) => 0,
            _ => 1 - previous,
        };
        if let Some(kind) = kind {
            twins[whose].printed |= 1 << kind;
        }
        twins[whose].started |= STARTS.iter().any(|head| text.starts_with(head));
        // after a panic there is nothing more
        if text.starts_with("Kernel panic") {
            twins[whose].printed |= 1 << over;
        }
        named |= named_cpu(&text).is_some();
        line.context = Context::Cpu(twins[whose].cpu);
        previous = whose;
        last = at;
        if twins.iter().all(|twin| had(twin, over)) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use crate::{Options, reports};

    #[test]
    fn two_warnings_at_once() {
        let one = |cpu: u32, name: &str| {
            [
                "------------[ cut here ]------------".to_owned(),
                format!(
                    "WARNING: CPU: {cpu} PID: 10{cpu} at net/demo.c:1{cpu} {name}_check+0x20/0x40 [demo]"
                ),
                "Modules linked in: demo(O)".to_owned(),
                format!(
                    "CPU: {cpu} PID: 10{cpu} Comm: {name} Tainted: G           O       6.1.0 #1"
                ),
                format!("RIP: 0010:{name}_check+0x20/0x40 [demo]"),
                format!("RSP: 0018:ffffc90000a0{cpu}000 EFLAGS: 00010246"),
                "Call Trace:".to_owned(),
                " <TASK>".to_owned(),
                format!(" {name}_run+0x11/0x22 [demo]"),
                " kthread+0xd0/0x100".to_owned(),
                " </TASK>".to_owned(),
                format!("---[ end trace 000000000000000{cpu} ]---"),
            ]
        };
        let log: String = one(0, "alpha")
            .iter()
            .zip(&one(3, "beta"))
            .flat_map(|(a, b)| [a.clone(), b.clone()])
            .enumerate()
            .map(|(n, text)| format!("[    9.{n:06}] {text}\n"))
            .collect();
        let found = reports(log.as_bytes(), &Options::default());
        assert_eq!(found.len(), 2, "{found:#?}");
        for (report, (cpu, name)) in found.iter().zip([(0, "alpha"), (3, "beta")]) {
            assert_eq!(report.cpu, Some(cpu));
            assert_eq!(report.comm.as_deref(), Some(name));
            assert_eq!(report.frame.as_deref(), Some(&*format!("{name}_check")));
            let trace: Vec<&str> = report.trace.iter().map(|f| f.function.as_str()).collect();
            assert_eq!(trace, [format!("{name}_check"), format!("{name}_run"), "kthread".into()]);
        }
    }

    #[test]
    fn what_was_found_at_once_and_told_in_turn() {
        let said = |address: u32| {
            [
                format!(
                    "Unable to handle kernel NULL pointer dereference at virtual address {address:016x}"
                ),
                "Mem abort info:".to_owned(),
                "  ESR = 0x0000000096000005".to_owned(),
            ]
        };
        let body = |cpu: u32, name: &str| {
            format!(
                "Internal error: Oops: 0000000096000005 [#{cpu}] SMP\n\
                 CPU: {cpu} PID: 10{cpu} Comm: {name} Not tainted 6.1.0 #1\n\
                 pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)\n\
                 pc : {name}_get+0x10/0x20\n\
                 lr : {name}_run+0x10/0x20\n\
                 Call trace:\n {name}_get+0x10/0x20\n {name}_run+0x10/0x20\n\
                 ---[ end trace 0000000000000000 ]---\n"
            )
        };
        let heads: String =
            said(8).iter().zip(&said(16)).map(|(a, b)| format!("{a}\n{b}\n")).collect();
        let found =
            reports((heads + &body(1, "alpha") + &body(2, "beta")).as_bytes(), &Options::default());
        assert_eq!(found.len(), 2, "{found:#?}");
        for (report, (cpu, name, address)) in found.iter().zip([(1, "alpha", 8), (2, "beta", 16)]) {
            assert_eq!(report.cpu, Some(cpu));
            assert_eq!(report.frame.as_deref(), Some(&*format!("{name}_get")));
            assert_eq!(report.address.as_ref().map(|it| it.value), Some(address));
        }
    }

    #[test]
    fn one_after_the_other_is_left_alone() {
        let log = "WARNING: CPU: 0 PID: 1 at a.c:1 a+0x1/0x2\nCPU: 0 PID: 1 Comm: a Not tainted 6.1.0 #1\n\
            Call Trace:\n f+0x1/0x2\n---[ end trace 0 ]---\nWARNING: CPU: 1 PID: 2 at b.c:1 b+0x1/0x2\n\
            CPU: 1 PID: 2 Comm: b Not tainted 6.1.0 #1\nCall Trace:\n g+0x1/0x2\n---[ end trace 0 ]---\n";
        let found = reports(log.as_bytes(), &Options::default());
        let names: Vec<_> = found.iter().filter_map(|report| report.frame.clone()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
