//! What a console does to whole lines: records glued together, marks of
//! printk's own, and the blocks that ftrace and kdb put between.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::column::find_stamp;
use super::prefix::{self, Customs};
use crate::{Context, Line, LineKind};

const REPLAY: &str = "** replaying previous printk message **";
const DROPPED: &str = "printk messages dropped **";

/// Lines of an ftrace dump that may follow each other without one that parses.
const FTRACE_STRAYS: usize = 2;

/// Contexts in which an ftrace dump may run at once.
const MAX_DUMPS: usize = 64;

/// Sorts lines by kind, and drops what is printed twice.
#[derive(Debug, Default)]
pub(super) struct Session<'a> {
    /// The last line, held back for the mark that may follow.
    held: Option<Line<'a>>,
    /// A cut line that ought to be printed again.
    cut: Option<Line<'a>>,
    dumps: HashMap<(Option<u32>, Context), Dump>,
    in_kdb: bool,
}

/// An ftrace dump in progress.
#[derive(Debug, Default)]
struct Dump {
    /// Has the opening rule gone by?
    ruled: bool,
    strays: usize,
}

impl<'a> Session<'a> {
    /// Takes a line off the channel; gives out those that are settled.
    pub(super) fn push(&mut self, line: Line<'a>, customs: &Customs, out: &mut VecDeque<Line<'a>>) {
        let Some(at) = find_stamp(&line.text, 1).filter(|_| line.kind != LineKind::User) else {
            self.one(line, out);
            return;
        };
        let mut first = line.clone();
        let level = first.text[..at].rfind('<').filter(|&open| {
            crate::channel::printk::priority(&first.text[open..at])
                .is_some_and(|(_, n)| open + n == at)
        });
        let tail = line.text[level.unwrap_or(at)..].to_owned();
        first.text = Cow::Owned(line.text[..level.unwrap_or(at)].to_owned());
        if !first.text.trim().is_empty() {
            self.one(first, out);
        }
        let (meta, start) = prefix::strip(&tail, customs);
        let second = Line {
            text: Cow::Owned(tail[start.max(1)..].to_owned()),
            time_ns: meta.time_ns,
            level: meta.level,
            context: customs.context(meta.context),
            ..line
        };
        self.push(second, customs, out);
    }

    /// Gives out what is held back.
    pub(super) fn flush(&mut self, out: &mut VecDeque<Line<'a>>) {
        out.extend(self.cut.take());
        out.extend(self.held.take());
    }

    fn one(&mut self, mut line: Line<'a>, out: &mut VecDeque<Line<'a>>) {
        let starred = memchr::memchr(b'*', line.text.as_bytes()).is_some();
        if let Some(at) = starred.then(|| line.text.find(REPLAY)).flatten() {
            // What stands before the mark is the cut message itself, else it
            // is the line before.
            let before = &line.text[..at];
            let cut = match before.trim().is_empty() {
                true => self.held.take(),
                false => Some(Line { text: Cow::Owned(before.to_owned()), ..line }),
            };
            out.extend(self.cut.take());
            self.cut = cut;
            out.extend(self.held.take());
            return;
        }
        if let Some(cut) =
            self.cut.take_if(|cut| cut.context == line.context && cut.source == line.source)
            && !line.text.starts_with(&*cut.text)
        {
            out.extend(self.held.take());
            out.push_back(cut);
        }
        if starred && line.text.starts_with("** ") && line.text.contains(DROPPED) {
            line.kind = LineKind::Mark;
        }
        if line.kind == LineKind::Kernel {
            self.classify(&mut line);
        }
        out.extend(self.held.replace(line));
    }

    fn classify(&mut self, line: &mut Line<'a>) {
        if self.kdb(line) {
            line.kind = LineKind::Kdb;
            return;
        }
        let key = (line.source, line.context);
        // Asked of every line: no hashing where nothing is going on.
        let dump = if self.dumps.is_empty() { None } else { self.dumps.get_mut(&key) };
        if let Some(dump) = dump {
            match dump.step(&line.text) {
                Step::Inside => line.kind = LineKind::Ftrace,
                Step::Last => {
                    line.kind = LineKind::Ftrace;
                    self.dumps.remove(&key);
                }
                Step::Beyond => drop(self.dumps.remove(&key)),
                Step::Stray => {}
            }
        } else if line.text.trim_start().starts_with("Dumping ftrace buffer:")
            && self.dumps.len() < MAX_DUMPS
        {
            line.kind = LineKind::Ftrace;
            self.dumps.insert(key, Dump::default());
        }
    }

    /// Follows a kdb session; takes its prompt off.
    fn kdb(&mut self, line: &mut Line<'a>) -> bool {
        let text = line.text.trim_start();
        if text.starts_with("Entering kdb (") {
            self.in_kdb = true;
            return true;
        }
        if !self.in_kdb {
            return false;
        }
        let Some((prompt, command)) =
            text.split_once("kdb> ").or_else(|| text.split_once("more> "))
        else {
            // kdb prints past printk: a line with a time is the kernel's again.
            self.in_kdb = line.context == Context::None;
            return self.in_kdb;
        };
        if prompt.is_empty() || (prompt.starts_with('[') && prompt.len() < 8) {
            let command = command.trim();
            let leaves = ["go", "g", "reboot", "kgdb"].contains(&command);
            self.in_kdb = !leaves;
            line.text = Cow::Owned(command.to_owned());
        }
        true
    }
}

/// Marks the tracer's buffers among lines that come off no channel.
pub(crate) fn mark_dumps(lines: &mut [Line<'static>]) {
    let mut session = Session::default();
    for line in lines.iter_mut().filter(|line| line.kind == LineKind::Kernel) {
        session.classify(line);
        if line.kind == LineKind::Kdb {
            line.kind = LineKind::Kernel;
        }
    }
}

enum Step {
    Inside,
    Last,
    /// A line of the kernel among those of the dump.
    Stray,
    /// The dump has ended without saying so.
    Beyond,
}

impl Dump {
    fn step(&mut self, text: &str) -> Step {
        let body = text.trim();
        if body == "(ftrace buffer empty)" {
            return Step::Last;
        }
        if body.len() >= 20 && body.bytes().all(|b| b == b'-') {
            let closing = std::mem::replace(&mut self.ruled, true);
            return if closing { Step::Last } else { Step::Inside };
        }
        if self.ruled && is_trace_line(text) {
            self.strays = 0;
            return Step::Inside;
        }
        self.strays += 1;
        if self.strays > FTRACE_STRAYS { Step::Beyond } else { Step::Stray }
    }
}

/// A line of ftrace's output: `comm-pid … 123us : event`, `CPU:0 [LOST n
/// EVENTS]`, a header with `#` in front, `(skipping N entries)`.
fn is_trace_line(text: &str) -> bool {
    let body = text.trim_start();
    if body.starts_with('#') || body.contains("EVENTS]") || body.starts_with("(skipping ") {
        return true;
    }
    let Some(time) =
        body.find("us").filter(|&at| at > 0 && body.as_bytes()[at - 1].is_ascii_digit())
    else {
        // `comm-pid [000] d..1  12.345678: event`
        return body.split_whitespace().any(|word| {
            let Some((seconds, fraction)) = word.trim_end_matches(':').split_once('.') else {
                return false;
            };
            word.ends_with(':')
                && fraction.len() == 6
                && seconds.parse::<u64>().is_ok()
                && fraction.parse::<u64>().is_ok()
        });
    };
    let tail = body[time + 2..].trim_start_matches(|c: char| " +!#*@$".contains(c));
    tail.starts_with(':') && body[..time].contains('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customs() -> Customs {
        Customs { stamped: true, callers: true, ..Customs::default() }
    }

    fn run(rows: &[(&str, Context)]) -> Vec<(String, LineKind, Context)> {
        let mut session = Session::default();
        let mut out = VecDeque::new();
        for (text, context) in rows {
            let line = Line { text: Cow::Borrowed(text), context: *context, ..Line::default() };
            session.push(line, &customs(), &mut out);
        }
        session.flush(&mut out);
        out.into_iter().map(|l| (l.text.into_owned(), l.kind, l.context)).collect()
    }

    fn texts(rows: &[&str]) -> Vec<String> {
        let rows: Vec<_> = rows.iter().map(|r| (*r, Context::Console)).collect();
        run(&rows).into_iter().map(|(text, ..)| text).collect()
    }

    #[test]
    fn glued_records_are_two() {
        let got = run(&[("ffff8801a32576d8<4>[   62.907092][ T7] binder: x", Context::Console)]);
        assert_eq!(got[0].0, "ffff8801a32576d8");
        assert_eq!((got[1].0.as_str(), got[1].2), ("binder: x", Context::Task(7)));
    }

    #[test]
    fn replayed_lines_come_once() {
        let mark = "** replaying previous printk message **";
        assert_eq!(texts(&["a", "BUG: una", mark, "BUG: unable", "b"]), ["a", "BUG: unable", "b"]);
        assert_eq!(texts(&[&format!("BUG: una{mark}"), "BUG: unable"]), ["BUG: unable"]);
        assert_eq!(texts(&["BUG: una", mark, "something else"]), ["BUG: una", "something else"]);
    }

    #[test]
    fn ftrace_dumps_are_marked() {
        let rule = "---------------------------------";
        let rows = [
            "Dumping ftrace buffer:",
            rule,
            "    bash-1068    9.... 14093375us : oops_begin <- no_context",
            rule,
            "Modules linked in:",
            "Dumping ftrace buffer:",
            "   (ftrace buffer empty)",
            "CPU: 1",
        ];
        let rows: Vec<_> = rows.iter().map(|r| (*r, Context::Console)).collect();
        let kinds: Vec<bool> =
            run(&rows).iter().map(|(_, kind, _)| *kind == LineKind::Ftrace).collect();
        assert_eq!(kinds, [true, true, true, true, false, true, true, false]);
    }

    #[test]
    fn an_ftrace_dump_without_end_swallows_nothing() {
        let rule = "---------------------------------";
        let rows = [
            "Dumping ftrace buffer:",
            rule,
            "RIP: 0010:f+0x1/0x2",
            "Call Trace:",
            " g+0x1/0x2",
            rule,
        ];
        let rows: Vec<_> = rows.iter().map(|r| (*r, Context::Console)).collect();
        let kept = run(&rows).iter().filter(|(_, kind, _)| *kind == LineKind::Kernel).count();
        assert_eq!(kept, 4);
    }

    #[test]
    fn kdb_sessions_are_marked() {
        let got = run(&[
            ("Oops: 0002 [#1] SMP", Context::Console),
            ("Entering kdb (current=0xffff, pid 1) on processor 0 due to oops", Context::None),
            ("[0]kdb> bt", Context::None),
            ("Stack traceback for pid 1", Context::None),
            ("[0]kdb> go", Context::None),
            ("RIP: 0010:f+0x1/0x2", Context::None),
        ]);
        let kinds: Vec<bool> = got.iter().map(|(_, kind, _)| *kind == LineKind::Kdb).collect();
        assert_eq!(kinds, [false, true, true, true, true, false]);
        assert_eq!(got[2].0, "bt");
    }
}
