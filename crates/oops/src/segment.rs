//! Cutting a log into reports.
//!
//! A report starts at a header line and is made of the following lines of
//! the same caller; a later header ends what may be used for its name.

use crate::line::{Context, Line};
use crate::naming::{self, Compiled};

/// Longest report, in lines and in bytes: what comes later is not read.
const LONGEST_LINES: usize = 6000;
const LONGEST_BYTES: usize = 512 << 10;

/// After so many lines a panic message is a consequence with a stack of its
/// own, not part of the report.
const ESTABLISHED: usize = 22;

/// One report, not yet decoded.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) header: &'static Compiled,
    /// The header line, as an index into the lines.
    pub(crate) start: usize,
    /// Lines of the report's caller: indices into the lines, header first.
    pub(crate) lines: Vec<usize>,
    /// How many of `lines` come before the next report of any caller.
    pub(crate) own: usize,
    /// The report's lines with unreliable frames left out.
    pub(crate) text: String,
    /// Bytes of `text` that come before the next report.
    pub(crate) head: usize,
}

/// The first report that starts at or after the line `from`.
pub(crate) fn next(lines: &[Line<'_>], from: usize) -> Option<Region> {
    let (start, header) = (from..lines.len()).find_map(|index| Some((index, starts(lines, index)?)))?;
    Some(region(lines, start, header))
}

/// The header that a line starts a report with.
fn starts(lines: &[Line<'_>], index: usize) -> Option<&'static Compiled> {
    let header = naming::header_of(&lines[index].text)?;
    // a line that was cut short is printed again in full
    let replayed = lines
        .get(index + 1)
        .is_some_and(|next| next.text.contains("** replaying previous printk message **"));
    (!replayed).then_some(header)
}

fn region(lines: &[Line<'_>], start: usize, header: &'static Compiled) -> Region {
    let context = lines[start].context;
    let source = lines[start].source;
    let established = if lines[start].text.contains("KMSAN") { 16 } else { ESTABLISHED };
    let mut region = Region {
        header,
        start,
        lines: Vec::new(),
        own: 0,
        text: String::new(),
        head: 0,
    };
    let mut ended = false;
    let mut count = 0;
    let mut every_cpu = false;
    let mut muted = false;
    let mut ftrace = Ftrace::Outside;
    for (index, line) in lines.iter().enumerate().skip(start).take(LONGEST_LINES) {
        if line.source != source {
            continue;
        }
        if index > start && !ended && ends(lines, index) {
            ended = true;
            region.own = region.lines.len();
            region.head = region.text.len();
        }
        if line.text.contains("Sending NMI from CPU") {
            every_cpu = true;
        }
        let same = line.context == context
            || every_cpu && matches!((line.context, context), (Context::Cpu(_), Context::Cpu(_)));
        if !same {
            continue;
        }
        if region.text.len() > LONGEST_BYTES {
            break;
        }
        region.lines.push(index);
        let text: &str = &line.text;
        if ftrace.swallows(text) || text.contains("Disabling lock debugging due to kernel taint") {
            continue;
        }
        count += 1;
        if count > established
            && (text.contains("Kernel panic - not syncing")
                || text.contains("possible circular locking dependency detected"))
        {
            muted = true;
        }
        if muted || unreliable(text) {
            continue;
        }
        region.text.push_str(text);
        region.text.push('\n');
    }
    if !ended {
        region.own = region.lines.len();
        region.head = region.text.len();
    }
    if context.is_caller() {
        region.head = region.text.len();
    }
    region
}

/// Does another report, or a message with a stack of its own, begin here?
fn ends(lines: &[Line<'_>], index: usize) -> bool {
    let text = &lines[index].text;
    if text.contains("vmalloc: allocation failure:")
        || text.contains("FAULT_INJECTION: forcing a failure")
        || text.contains("FAULT_FLAG_ALLOW_RETRY missing")
    {
        return true;
    }
    starts(lines, index).is_some_and(|found| !found.header.inner)
}

/// Is the line a frame the unwinder does not vouch for?
pub(crate) fn unreliable(line: &str) -> bool {
    (line.contains("? ") && questioned(line) || line.contains(" (unreliable)"))
        && !line.contains("<EOI>")
}

fn questioned(line: &str) -> bool {
    let rest = line.trim_start();
    let rest = match (rest.starts_with('['), rest.find("] ")) {
        (true, Some(at)) => rest.get(at + 2..).unwrap_or(rest).trim_start(),
        _ => rest,
    };
    rest.starts_with("? ")
}

/// The buffer of the function tracer, printed in the middle of an oops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ftrace {
    Outside,
    Announced,
    Inside,
}

impl Ftrace {
    /// Is the line an event of the buffer? Its frame is kept.
    fn swallows(&mut self, text: &str) -> bool {
        let rule = text.len() >= 20 && text.bytes().all(|byte| byte == b'-');
        match *self {
            Ftrace::Outside => {
                if text.contains("Dumping ftrace buffer:") {
                    *self = Ftrace::Announced;
                }
                false
            }
            Ftrace::Announced => {
                *self = if rule { Ftrace::Inside } else { Ftrace::Outside };
                rule
            }
            Ftrace::Inside => {
                if rule {
                    *self = Ftrace::Outside;
                }
                true
            }
        }
    }
}
