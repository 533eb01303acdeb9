//! What kdb prints of an oops that it has cut short.

use crate::line::{Context, Line, LineKind};

/// Lines of a session that are looked at.
const LONGEST: usize = 200;
/// Lines between an oops's head and the session.
const NEAR: usize = 12;

/// Gives a report the registers and the trace that kdb printed on entry, where the kernel had
/// printed its head alone.
pub(crate) fn lend(lines: &mut [Line<'_>]) {
    let mut from = 0;
    while let Some(entry) = (from..lines.len()).find(|at| entered(&lines[*at])) {
        from = entry + 1;
        let Some(context) = open(&lines[entry.saturating_sub(NEAR)..entry]) else { continue };
        for line in lines.iter_mut().skip(entry).take(LONGEST) {
            // what a person asked for comes after
            let asked =
                line.text.starts_with("Stack traceback for pid") || !line.text.contains(' ');
            if line.kind != LineKind::Kdb || asked && !line.text.trim().is_empty() {
                break;
            }
            line.kind = LineKind::Kernel;
            line.context = context;
        }
    }
}

fn entered(line: &Line<'_>) -> bool {
    line.kind == LineKind::Kdb && line.text.trim_start().starts_with("Entering kdb (")
}

/// Who has begun an oops and not gone on to its registers.
fn open(before: &[Line<'_>]) -> Option<Context> {
    let told = |line: &Line<'_>, words: &[&str]| words.iter().any(|word| line.text.contains(word));
    let mut head = None;
    for line in before.iter().filter(|line| line.kind == LineKind::Kernel) {
        if told(line, &["BUG: ", "Unable to handle kernel", "Oops: ", "Internal error: "]) {
            head.get_or_insert(line.context);
        } else if told(line, &["RIP: ", "PC is at ", "pc : ", "Call Trace", "Call trace"]) {
            head = None;
        }
    }
    head
}
