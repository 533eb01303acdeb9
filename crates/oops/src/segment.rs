//! Cutting a log into reports.
//!
//! A report starts at a header line and is made of the following lines of
//! the same caller; a later header ends what may be used for its name.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

use crate::fragment::{
    TRAILER, debugger_frame, follows_oops, fragment, lost_head, strong, unstamped,
};
use crate::line::{Context, Line, LineKind};
use crate::naming::pattern::compile;
use crate::naming::{self, Compiled};
use crate::search::Search;

/// Longest report, in lines and in bytes: what comes later is not read.
pub(crate) const LONGEST_LINES: usize = 6000;
pub(crate) const LONGEST_BYTES: usize = 512 << 10;

/// Lines read after the next report has begun: they can tell that two reports
/// are mixed.
const BEYOND: usize = 1500;

/// A message that may stand inside a report belongs to it this far.
const INNER: usize = 250;

/// A report that begins before its header does so within so many lines.
const SINCE: usize = 40;

/// A report is over when so many lines tell nothing.
const SILENT: usize = 25;

/// The same where tables may stand between.
const TABLES: usize = 1200;

/// After so many lines a panic message is a consequence with a stack of its
/// own, not part of the report.
const ESTABLISHED: usize = 22;

/// One report, not yet decoded.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) header: &'static Compiled,
    /// The header line, as an index into the lines.
    pub(crate) at: usize,
    /// The report's first line, as an index into the lines.
    pub(crate) start: usize,
    /// Lines of the report's caller: indices into the lines.
    pub(crate) lines: Vec<usize>,
    /// How many of `lines` are the report.
    pub(crate) own: usize,
    /// How many of `lines` come before the caller's next report.
    pub(crate) reach: usize,
    /// The report's lines with unreliable frames left out.
    pub(crate) text: String,
    /// Bytes of `text` that come before the next report.
    pub(crate) head: usize,
}

/// The first report that starts at or after the line `from` and at none of
/// the `claimed` lines.
pub(crate) fn next(
    lines: &[Line<'_>],
    from: usize,
    claimed: &HashSet<usize>,
    search: Search,
) -> Option<Region> {
    let (start, header) = (from..lines.len()).find_map(|index| {
        let header = starts(lines, index, search)?;
        (!claimed.contains(&index)).then_some((index, header))
    })?;
    // an oops whose head is lost stands before the first head
    if search.first
        && search.all
        && search.system.is_none()
        && !follows_oops(&lines[start].text)
        && let Some(end) = (0..start).find(|at| lines[*at].text.contains("---[ end trace"))
        && let Some(region) =
            fragment(&lines[..(end + TRAILER).min(start)]).filter(|region| region.at > 0 || end > 0)
    {
        return Some(region);
    }
    match lost_head(lines, from, start, search) {
        first if first == start => Some(region(lines, start, start, header, search)),
        first => Some(region(lines, start, first, naming::fragment(), search)),
    }
}

/// What the kernel said just before a report's first line: the sentence of the check that found
/// it. Indices into the lines, in order.
pub(crate) fn before(region: &Region, lines: &[Line<'_>]) -> Vec<usize> {
    const FURTHEST: usize = 24;
    const MOST: usize = 8;
    let context = lines[region.start].context;
    let source = lines[region.start].source;
    let mut found = Vec::new();
    for at in (region.start.saturating_sub(FURTHEST)..region.start).rev() {
        let line = &lines[at];
        if line.context != context || line.source != source || line.kind != LineKind::Kernel {
            continue;
        }
        if found.len() >= MOST
            || line.text.contains("---[ end trace")
            || tells_of_another(&line.text)
        {
            break;
        }
        found.push(at);
    }
    found.reverse();
    found
}

/// Is the line the body of an earlier report?
fn tells_of_another(line: &str) -> bool {
    naming::stack::is_frame(line) || strong(line)
}

/// The lines inside a report at which no report of their own starts.
pub(crate) fn inner(region: &Region, lines: &[Line<'_>], search: Search) -> Vec<usize> {
    let after = region.lines.get(1..region.reach).unwrap_or(&[]);
    after
        .iter()
        .take(INNER)
        .copied()
        .filter(|at| {
            starts(lines, *at, search)
                .is_some_and(|found| found.header.inner || search.system.is_some())
        })
        .collect()
}

/// The header that a line starts a report with.
fn starts(lines: &[Line<'_>], index: usize, search: Search) -> Option<&'static Compiled> {
    if lines[index].kind != LineKind::Kernel {
        return None;
    }
    let header = naming::header_of(&lines[index].text, search)?;
    // a line that was cut short is printed again in full
    let replayed = lines
        .get(index + 1)
        .is_some_and(|next| next.text.contains("** replaying previous printk message **"));
    (!replayed).then_some(header)
}

fn region(
    lines: &[Line<'_>],
    at: usize,
    first: usize,
    header: &'static Compiled,
    search: Search,
) -> Region {
    let start = first;
    let start = match header.header.since {
        Some(since) => (start.saturating_sub(SINCE)..start)
            .rev()
            .find(|at| lines[*at].text.starts_with(since))
            .unwrap_or(start),
        None => start,
    };
    let source = lines[start].source;
    // the first line's prefix may be lost where the others have theirs
    let context = match (lines[start].context, lines.get(at + 1).map(|next| next.context)) {
        (Context::None, Some(next)) if search.all && search.system.is_none() => next,
        (context, _) => context,
    };
    let established = if lines[start].text.contains("KMSAN") { 16 } else { ESTABLISHED };
    let mut region = Region {
        header,
        at,
        start,
        lines: Vec::new(),
        own: 0,
        reach: 0,
        text: String::new(),
        head: 0,
    };
    let mut ended = None;
    let mut own = None;
    let mut count = 0;
    let mut every_cpu = false;
    let mut muted = false;
    let mut ftrace = Ftrace::Outside;
    for (index, line) in lines.iter().enumerate().skip(start).take(LONGEST_LINES) {
        if line.source != source {
            continue;
        }
        if ended.is_some_and(|ended| index > ended + BEYOND) {
            break;
        }
        // other systems do not go on after a panic
        let other = index > at
            && search.system.is_none()
            && (ended.is_none() || own.is_none())
            && ends(lines, index, search);
        if other && ended.is_none() {
            ended = Some(index);
            region.head = region.text.len();
        }
        if other && own.is_none() && (line.context == context || !context.is_caller()) {
            own = Some(region.lines.len());
        }
        if line.text.contains("Sending NMI from CPU") {
            every_cpu = true;
        }
        // a message of several lines has its stamp on the first alone, with some kernels
        let goes_on = search.all
            && search.system.is_none()
            && line.context == Context::None
            && line.kind == LineKind::Kernel
            && region.lines.last().is_some_and(|last| index - last <= 1)
            && unstamped(&line.text);
        let same = line.context == context
            || goes_on
            || index == at
            || search.system.is_some()
            || every_cpu && matches!(line.context, Context::Cpu(_));
        if !same {
            continue;
        }
        if region.text.len() > LONGEST_BYTES {
            break;
        }
        region.lines.push(index);
        if line.kind == LineKind::Ftrace {
            continue;
        }
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
        region.text.push_str(&mended(text));
        // Zircon's debug log breaks a long message into pieces
        let broken = search.system.is_some_and(|system| system.line_bytes == Some(text.len()));
        if !broken {
            region.text.push('\n');
        }
    }
    if ended.is_none() || context.is_caller() {
        region.head = region.text.len();
    }
    region.reach = own.unwrap_or(region.lines.len());
    region.own = trim(&region.lines, region.reach, lines);
    region
}

/// Where the report's own lines end: after the last one that tells something.
pub(crate) fn trim(report: &[usize], own: usize, lines: &[Line<'_>]) -> usize {
    let mut last = 0;
    // between the head of an out-of-memory report and the kill stand tables
    let tables = report.first().is_some_and(|at| lines[*at].text.contains("oom-killer"));
    let silent = if tables { TABLES } else { SILENT };
    for (position, at) in report.iter().enumerate().take(own) {
        if lines[*at].kind == LineKind::Ftrace || tells(&lines[*at].text) {
            last = position;
        } else if position > last + silent {
            break;
        }
    }
    last + 1
}

/// Words that only reports have.
const WORDS: &[&str] = &[
    "CPU: ",
    "Hardware name: ",
    "RIP",
    "EIP",
    "Code: ",
    "Call Trace",
    "Call trace",
    "Backtrace",
    "Modules linked in",
    "---[ end",
    "Kernel panic",
    "Kernel Offset",
    "Rebooting in",
    "CR2: ",
    "Tainted",
    "Allocated by",
    "Freed by",
    "=====",
    "<TASK>",
    "</TASK>",
    "<IRQ>",
    "</IRQ>",
    "raw: ",
    "page dumped",
    "buggy address",
    "held by",
    ", at: ",
    "is trying to",
    "Memory state",
    "last unloaded",
    "Stack:",
    "backtrace:",
    "bt#",
    " at ",
    "ddb",
    "goroutine",
    "abort info",
    "PC is at ",
    "LR is at ",
    "IAOQ[",
    "RP(r2): ",
    "ESR = ",
    "EC = ",
    "FSC = ",
    "WnR = ",
    "-bit VAs",
];

static TELLING: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(WORDS).ok());

/// Is the line one that only reports have?
pub(crate) fn tells(line: &str) -> bool {
    TELLING.as_ref().is_some_and(|words| words.is_match(line))
        || naming::stack::is_frame(line)
        || debugger_frame(line)
        || crate::decode::said::repeated(line)
        || line.split_whitespace().any(|word| {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let word = word.strip_prefix("0x").unwrap_or(word);
            word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// A symbol whose underscore a transcriber took for a blank.
pub(crate) fn mended(text: &str) -> Cow<'_, str> {
    static BROKEN: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(>\] +)([a-z][a-z0-9_]*) ([a-z][a-z0-9_]*\+0x[0-9a-f]+/)"));
    static DECODED: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"^( *(?:\[<?[0-9a-f]+>?\] *)?(?:\? )?|.* in |.*[RE]IP: [0-9a-f]{4}:|pc : |lr : )([a-zA-Z_][a-zA-Z0-9_.]*) (\([^\s():]+\.[a-zA-Z]+:[0-9?]+)",
        )
    });
    // what decode_stacktrace.sh has replaced is made a frame again
    if text.contains(" (") && !text.contains("+0x") && DECODED.is_match(text) {
        return DECODED.replace(text, "${1}${2}+0x0/0x0 ${3}");
    }
    if !text.contains(">]") {
        return Cow::Borrowed(text);
    }
    BROKEN.replace(text, "${1}${2}_${3}")
}

/// Does another report, or a message with a stack of its own, begin here?
fn ends(lines: &[Line<'_>], index: usize, search: Search) -> bool {
    let text = &lines[index].text;
    if text.contains("vmalloc: allocation failure:")
        || text.contains("FAULT_INJECTION: forcing a failure")
        || text.contains("FAULT_FLAG_ALLOW_RETRY missing")
    {
        return true;
    }
    starts(lines, index, search).is_some_and(|found| !found.header.inner)
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
