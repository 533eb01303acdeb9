//! Reports whose head is lost, and lines that tell of one by themselves.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::line::{Line, LineKind};
use crate::naming;
use crate::search::Search;
use crate::segment::{LONGEST_BYTES, LONGEST_LINES, Region, mended, tells, trim, unreliable};

/// Is it a panic that only follows from an oops?
pub(crate) fn follows_oops(line: &str) -> bool {
    line.contains("Kernel panic - not syncing") && line.contains("Fatal exception")
}

/// A panic that only follows from an oops whose head is lost: where what is left of the oops
/// begins.
pub(crate) fn lost_head(lines: &[Line<'_>], from: usize, at: usize, search: Search) -> usize {
    const GAP: usize = 4;
    let panic = &lines[at];
    if !search.all || search.system.is_some() || !follows_oops(&panic.text) {
        return at;
    }
    let mut first = at;
    for before in (from..at).rev() {
        let line = &lines[before];
        if line.context != panic.context || line.source != panic.source {
            continue;
        }
        if tells(&line.text) {
            first = before;
        } else if first - before > GAP {
            break;
        }
    }
    first
}

/// Lines after an oops's end that repeat its registers.
pub(crate) const TRAILER: usize = 16;

/// A report without a header: its head is lost, the rest stands.
///
/// Believed only where a stack, or what stands around one, leaves no doubt.
pub(crate) fn fragment(lines: &[Line<'_>]) -> Option<Region> {
    let text = |at: usize| &*lines[at].text;
    let kernel =
        |at: &usize| lines[*at].kind == LineKind::Kernel || lines[*at].kind == LineKind::Kdb;
    // a task's stack as /proc has it is no report
    let frames = |at: &usize| {
        (naming::stack::is_frame(text(*at)) || debugger_frame(text(*at)))
            && !text(*at).trim_start().starts_with("[<0>]")
    };
    // a program's own fault, with some kernels
    // and what SysRq was asked to show
    let asked = |text: &str| text.contains("Mode USER_") || text.contains(": Show State");
    if lines.iter().any(|line| asked(&line.text)) {
        return None;
    }
    let first = (0..lines.len()).filter(kernel).find(|at| frames(at) || strong(text(*at)))?;
    let reach: Vec<usize> = (first..lines.len()).take(LONGEST_LINES).filter(kernel).collect();
    let own = trim(&reach, reach.len(), lines);
    let reach = &reach[..own];
    let pointer = |at: &usize| {
        let text = text(*at);
        ["RIP: 0010:", "pc : ", "PC is at ", "epc : "].iter().any(|mark| {
            text.split_once(mark).is_some_and(|(_, rest)| {
                rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            })
        })
    };
    let count =
        reach.iter().map(|at| if pointer(at) { 2 } else { usize::from(frames(at)) }).sum::<usize>();
    let marks = reach.iter().filter(|at| strong(text(**at))).count();
    if count < 2 || count + marks < 4 {
        return None;
    }
    let mut body = String::new();
    for at in reach.iter().filter(|at| !unreliable(text(**at))) {
        if body.len() > LONGEST_BYTES {
            break;
        }
        body.push_str(&mended(text(*at)));
        body.push('\n');
    }
    let head = body.len();
    Some(Region {
        header: naming::fragment(),
        at: first,
        start: first,
        lines: reach.to_vec(),
        own,
        reach: own,
        text: body,
        head,
    })
}

/// The message that a stack is printed for, where it stands right above: nothing is lost then.
///
/// `dump_stack()` prints who, where and the trace; where more follows it was an exception's, and the
/// line above is anybody's.
pub(crate) fn head<'l>(
    lines: &'l [Line<'static>],
    start: usize,
    report: &[String],
) -> Option<&'l Line<'static>> {
    /// What a slow console may take for a line, in ns.
    const SOON: u64 = 50_000_000;
    const EXCEPTION: &[&str] = &["Oops: ", "Modules linked in:", "---[ end trace", "pstate: "];
    let first = &lines[start];
    let stack = ["Call Trace:", "Call trace:", "CPU: ", "Backtrace:"]
        .iter()
        .any(|head| first.text.trim_start().starts_with(head));
    let before = lines.get(start.checked_sub(1)?)?;
    let soon = before.time_ns?.abs_diff(first.time_ns?) < SOON;
    let exception = report.iter().any(|line| EXCEPTION.iter().any(|mark| line.contains(mark)));
    let told = before.text.split_whitespace().count() >= 3
        && !of_program(before)
        && !strong(&before.text)
        && !tells(&before.text)
        && !naming::stack::is_frame(&before.text);
    let same = before.source == first.source && before.context == first.context;
    (stack && soon && told && same && !exception).then_some(before)
}

/// Did a program say it, or the kernel of one: `systemd[1]: …`, `audit: …`?
fn of_program(line: &Line<'_>) -> bool {
    let first = line.text.split_whitespace().next().unwrap_or("");
    first == "audit:" || first.ends_with("]:") && first.contains('[')
}

/// Marks that leave no doubt.
const MARKS: &[&str] = &[
    "Call Trace:",
    "Call trace:",
    "Code: ",
    "---[ end trace",
    "RIP: 0010:",
    "RIP  [<",
    "EIP is at ",
    "PC is at ",
    "LR is at ",
    " EFLAGS: ",
    "Modules linked in:",
    "Entering kdb (",
    "Oops: ",
    "TASK: ",
    "pstate: ",
    "Kernel panic",
    "Hardware name: ",
];

static STRONG: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(MARKS).ok());

/// Does only a report have such a line?
pub(crate) fn strong(line: &str) -> bool {
    STRONG.as_ref().is_some_and(|marks| marks.is_match(line))
        || line.contains("CPU: ") && line.contains(" PID: ")
}

/// `#3 [ffff…] f at ffff…`, `#3  f (fs/a.c:12:3)`.
pub(crate) fn debugger_frame(line: &str) -> bool {
    let line = line.trim_start();
    matches!(line.as_bytes(), [b'#', b'0'..=b'9', ..])
        && crate::decode::trace::Trace::default().read_debugger(line)
}

/// Does a line without a stamp look like the rest of a report's?
pub(crate) fn unstamped(line: &str) -> bool {
    naming::stack::is_frame(line)
        || strong(line)
        || line.starts_with("cpu=")
        || line.split_whitespace().any(|word| {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}
