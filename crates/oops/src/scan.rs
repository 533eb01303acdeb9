//! From a log to its reports: all at once, or as the log comes in.

use std::collections::HashSet;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use necropsy_lexicon::Symptom;

use crate::channel::{self, Feed};
use crate::decode::machine_check::gravest;
use crate::decode::{self, Findings};
use crate::line::{Line, LineKind};
use crate::naming::{self, Naming};
use crate::report::{Names, Report, TitleStyle};
use crate::search::Search;
use crate::segment::{self, Region};
use crate::system::System;
use crate::{fragment, kdb, signature, titles, twins};

/// Choices for reading a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Style of the titles.
    pub style: TitleStyle,
}

/// Raw text is searched in blocks of so many bytes.
const BLOCK: usize = 64 << 10;
/// A line longer than this is cut.
const LONGEST_LINE: usize = 1 << 20;
/// So many blocks after the last sign of a crash still belong to it.
const AFTERMATH: u32 = 4;
/// Lines kept before those whose reports are settled are dropped.
const KEPT: usize = 20_000;
/// A report is settled when so many lines follow its header.
const SETTLED: usize = segment::LONGEST_LINES;

/// Signs of a crash in raw text: headers, and what every oops holds, so that
/// a misread header does not hide it.
static SIGNS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let oops = ["+0x", "+Ox", "Call Trace", "Call trace", "[ cut here ]", "end trace"];
    // what the noise below has in common
    let noise = ["stack smashing", "out of memory", "Killed process", "lowmemorykiller"];
    // of so many words the builder would make a slower automaton
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(naming::needles().chain(oops).chain(noise).chain(System::signs()))
        .ok()
});

/// Noise that explains reports away: the test's own processes dying.
static NOISE: LazyLock<Option<regex::bytes::RegexSet>> = LazyLock::new(|| {
    regex::bytes::RegexSet::new([
        r"fatal error: runtime: out of memory",
        r"fatal error: runtime: cannot allocate memory",
        r"fatal error: out of memory",
        r"fatal error: newosproc",
        r"panic: failed to start executor binary",
        r"panic: executor failed: pthread_create failed",
        r"panic: failed to create temp dir",
        r"Out of memory: Kill(?:ed)? process .* \((?:syz-fuzzer|sshd|syz-execprog|syz-manager)\)",
        r"Killed process .* \((?:syz-fuzzer|sshd|syz-execprog)\)",
        r"lowmemorykiller: Killing '(?:syz-fuzzer|sshd)'",
        r"\*\*\* stack smashing detected \*\*\*",
        r"init\[1\]: segfault|init: segfault",
        r"ptrace .*get regs failed: no such process|panic: ptrace set fpregs failed",
        r"panic: vop_generic_bclient_loop|vop_generic_bclient_loop",
    ])
    .ok()
});

/// The reports of a log that is all there.
pub fn reports(input: &[u8], options: &Options) -> Vec<Report> {
    let mut all = Vec::new();
    for stream in channel::unwrap(&[(None, input)]) {
        all.extend(reports_of_text(&stream.text, options));
    }
    for (index, report) in all.iter_mut().enumerate() {
        report.index = index;
    }
    all
}

/// The reports of one stream of text.
fn reports_of_text(text: &[u8], options: &Options) -> Vec<Report> {
    let mut scanner = Scanner::new(*options);
    let mut all = scanner.push(text);
    all.extend(scanner.finish());
    all.iter_mut().for_each(|report| scanner.update(report));
    all
}

/// The reports of records that are lines already, as the kernel's own buffer
/// in a dump has them.
pub fn reports_of_lines(lines: Vec<Line<'static>>, options: &Options) -> Vec<Report> {
    let mut scanner = Scanner::new(*options);
    let mut lines = lines;
    channel::mark_dumps(&mut lines);
    for line in &lines {
        scanner.panicked |= line.text.contains(PANIC);
    }
    scanner.lines = lines;
    let mut all = Vec::new();
    scanner.settle(true, &mut all);
    all
}

const PANIC: &str = "Kernel panic - not syncing";

/// Reads a log as it comes in, in bounded memory.
#[derive(Debug)]
pub struct Scanner {
    options: Options,
    feed: Feed,
    /// Bytes that are no whole block yet.
    pending: Vec<u8>,
    /// Blocks to read on although nothing was found in them.
    aftermath: u32,
    lines: Vec<Line<'static>>,
    /// Where to look on, and lines before that belong to reports.
    from: usize,
    claimed: HashSet<usize>,
    found: usize,
    panicked: bool,
    suppressed: bool,
    booted: bool,
}

impl Scanner {
    /// A scanner at the start of a log.
    pub fn new(options: Options) -> Scanner {
        Scanner {
            options,
            feed: Feed::default(),
            pending: Vec::new(),
            aftermath: 0,
            lines: Vec::new(),
            from: 0,
            claimed: HashSet::new(),
            found: 0,
            panicked: false,
            suppressed: false,
            booted: false,
        }
    }

    /// Take more bytes; the reports that are complete come out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Report> {
        let mut out = Vec::new();
        let mut rest = bytes;
        // whole blocks need not be copied
        while !rest.is_empty() {
            if self.pending.is_empty()
                && rest.len() > BLOCK
                && let Some(end) = memchr::memrchr(b'\n', &rest[..BLOCK])
            {
                self.block(&rest[..=end], &mut out);
                rest = &rest[end + 1..];
                continue;
            }
            let room = LONGEST_LINE.saturating_sub(self.pending.len()).min(BLOCK);
            let (now, later) = rest.split_at(rest.len().min(room.max(1)));
            self.pending.extend_from_slice(now);
            rest = later;
            if self.pending.len() >= BLOCK {
                let end = memchr::memrchr(b'\n', &self.pending).map(|at| at + 1);
                let end =
                    end.or((self.pending.len() >= LONGEST_LINE).then_some(self.pending.len()));
                if let Some(end) = end {
                    let after = self.pending.split_off(end);
                    let block = std::mem::replace(&mut self.pending, after);
                    self.block(&block, &mut out);
                }
            }
        }
        out
    }

    /// The log has fallen silent: what looks complete comes out.
    pub fn idle(&mut self) -> Vec<Report> {
        let mut out = Vec::new();
        if let Some(end) = memchr::memrchr(b'\n', &self.pending) {
            let after = self.pending.split_off(end + 1);
            let block = std::mem::replace(&mut self.pending, after);
            self.block(&block, &mut out);
        }
        self.feed.flush(&mut self.lines);
        self.settle(true, &mut out);
        out
    }

    /// The log is over.
    pub fn finish(&mut self) -> Vec<Report> {
        let mut out = Vec::new();
        let block = std::mem::take(&mut self.pending);
        self.block(&block, &mut out);
        self.feed.finish(&mut self.lines);
        self.settle(true, &mut out);
        out
    }

    /// Tell a report what later text said of it: that the kernel panicked, that
    /// noise explains it.
    pub fn update(&self, report: &mut Report) {
        report.panicked = self.panicked;
        report.suppressed = self.suppressed;
    }

    /// Take a block of whole lines.
    fn block(&mut self, block: &[u8], out: &mut Vec<Report>) {
        if block.is_empty() {
            return;
        }
        let sign = SIGNS.as_ref().is_none_or(|signs| signs.is_match(block));
        if sign {
            self.aftermath = AFTERMATH;
            self.panicked |= memchr::memmem::find(block, PANIC.as_bytes()).is_some();
        }
        // its search is slow: only where there is a sign of anything
        if sign && !self.suppressed {
            self.suppressed = NOISE.as_ref().is_some_and(|noise| noise.is_match(block));
        }
        if self.aftermath == 0 {
            self.booted |= self.found > 0 && memchr::memmem::find(block, BOOT.as_bytes()).is_some();
            self.feed.pass_over(block, &mut self.lines);
            if !self.lines.is_empty() {
                self.settle(true, out);
            }
            return;
        }
        if !sign {
            self.aftermath -= 1;
        }
        self.feed.push(block, &mut self.lines);
        if self.lines.len() > KEPT {
            self.settle(false, out);
        }
    }

    /// Find the reports in the lines at hand and drop what is done with.
    fn settle(&mut self, all: bool, out: &mut Vec<Report>) {
        // without a report, what a debugger printed may be one
        let plain = self.options.style == TitleStyle::Plain;
        let alone =
            plain && all && self.found == 0 && self.lines.iter().any(|l| l.kind == LineKind::Kdb);
        let session = if alone { self.lines.clone() } else { Vec::new() };
        if plain {
            kdb::lend(&mut self.lines);
        }
        self.lines.retain(|line| matches!(line.kind, LineKind::Kernel | LineKind::Ftrace));
        let system = System::of(&self.lines);
        if plain && system.is_none() {
            twins::part(&mut self.lines);
        }
        let mut search = Search { system, all: plain, first: self.found == 0 };
        while let Some(region) = segment::next(&self.lines, self.from, &self.claimed, search) {
            if !all && region.start + SETTLED > self.lines.len() {
                self.drop_before(region.start);
                return;
            }
            self.booted |= self.lines[self.from.min(region.at)..region.at].iter().any(boots);
            // a fragment has no head that another could be looked for behind
            let fragment = std::ptr::eq(region.header, naming::fragment());
            let over = region.lines.get(region.own.saturating_sub(1)).copied();
            self.from =
                1 + if fragment { over.unwrap_or(region.at).max(region.at) } else { region.at };
            search.first = false;
            self.claimed.extend(segment::inner(&region, &self.lines, search));
            let report = self.report(&region, system);
            let told = plain && system.is_none();
            let debugger = region.header.header.text.contains("exception RIP");
            if told && (titles::unfounded(&report) || debugger && shown_again(&report, out)) {
                continue;
            }
            out.push(report);
            self.found += 1;
        }
        if plain && all && self.found == 0 && system.is_none() {
            let kept = std::mem::take(&mut self.lines);
            for lines in [kept.clone(), session] {
                let Some(region) = fragment::fragment(&lines).filter(|_| self.found == 0) else {
                    continue;
                };
                self.lines = lines;
                let mut report = self.report(&region, None);
                report.corrupted_why = Some("fragment: head lost");
                if let Some(head) = fragment::head(&self.lines, region.start, &report.text) {
                    // what no rule knows goes by its own words
                    report.start_line = head.number;
                    report.names[0].title = titles::of_message(&head.text, &report.names[0]);
                    report.names[0].corrupted = None;
                    report.set_style(self.options.style);
                }
                out.push(report);
                self.found += 1;
            }
            self.lines = kept;
        }
        let done = self.lines.len();
        self.booted |= self.lines[self.from.min(done)..].iter().any(boots);
        self.drop_before(done);
    }

    fn drop_before(&mut self, done: usize) {
        self.lines.drain(..done.min(self.lines.len()));
        self.from = self.from.saturating_sub(done);
        self.claimed = self.claimed.iter().filter_map(|at| at.checked_sub(done)).collect();
    }

    /// Name and decode one report.
    fn report(&mut self, region: &Region, system: Option<&'static System>) -> Report {
        let mut naming = naming::name(region.header, &region.text, region.head);
        if system.is_some() {
            naming.corrupted = None;
        }
        let start = &self.lines[region.start];
        let own = region.lines.get(..region.own).unwrap_or(&region.lines);
        let last = own.last().map_or(start, |at| &self.lines[*at]);
        let mut report = blank(&naming);
        report.index = self.found;
        let booted = std::mem::take(&mut self.booted);
        report.first = self.found == 0 || booted;
        report.start_line = start.number;
        report.end_line = last.number;
        report.time = start.time_ns.map(|ns| ns as f64 / 1e9);
        report.panicked = self.panicked;
        report.suppressed = self.suppressed;
        let (events, own): (Vec<&Line<'_>>, Vec<&Line<'_>>) =
            own.iter().map(|at| &self.lines[*at]).partition(|line| line.kind == LineKind::Ftrace);
        let text =
            |lines: &[&'_ Line<'static>]| lines.iter().map(|line| line.text.to_string()).collect();
        let texts: Vec<String> = text(&own);
        let events: Vec<String> = text(&events);
        let before: Vec<&str> = match system {
            None => segment::before(region, &self.lines),
            Some(_) => Vec::new(),
        }
        .into_iter()
        .map(|at| &*self.lines[at].text)
        .collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let findings = match system {
            None => decode::decode(&before, &borrowed, &events, &mut report),
            Some(system) => {
                report.system = Some(system.label);
                decode::foreign::read(&borrowed, &mut report);
                Findings::default()
            }
        };
        let known = Names {
            title: naming.title.clone(),
            alt: naming.alt.clone(),
            frame: naming.frame.clone(),
            corrupted: naming.corrupted,
        };
        report.text = texts;
        report.class = titles::class(&naming, &report);
        naming.class = report.class;
        // of several, the gravest is what the report is of
        if report.class == Symptom::MachineCheck {
            let cpu = gravest(&report.machine_checks).and_then(|check| check.cpu);
            report.cpu = cpu.or(report.cpu);
        }
        // an instruction that was only interrupted did nothing wrong
        if titles::interrupted(report.class) {
            report.cause = None;
            report.went_by.clear();
        }
        report.names = [titles::plain(&naming, &findings, &report), known];
        report.frame = report.names[0].frame.clone();
        report.signatures = signature::of(&report);
        report.set_style(self.options.style);
        report
    }
}

/// Did the log tell of what a debugger shows below it: the same task at the same place?
fn shown_again(report: &Report, known: &[Report]) -> bool {
    let place = |report: &Report| {
        let frame = report.trace.iter().find(|frame| frame.exact)?;
        Some((report.pid?, frame.function.clone(), frame.offset?))
    };
    place(report).is_some_and(|at| known.iter().any(|known| place(known).as_ref() == Some(&at)))
}

/// The first message of every kernel.
const BOOT: &str = "Linux version ";

fn boots(line: &Line<'_>) -> bool {
    line.text.starts_with(BOOT)
}

fn blank(naming: &Naming) -> Report {
    Report {
        index: 0,
        first: false,
        class: naming.class,
        title: String::new(),
        alt_titles: Vec::new(),
        kind: None,
        frame: None,
        corrupted: naming.corrupted.is_some(),
        corrupted_why: naming.corrupted,
        panicked: false,
        suppressed: false,
        start_line: 0,
        end_line: 0,
        time: None,
        cpu: None,
        pid: None,
        comm: None,
        release: None,
        hardware: None,
        workqueue: None,
        arch: None,
        access: None,
        system: None,
        said: Vec::new(),
        source_line: None,
        object: None,
        stacks: Vec::new(),
        pointers: Vec::new(),
        stall: None,
        victim: None,
        machine_checks: Vec::new(),
        events: Vec::new(),
        hints: Vec::new(),
        address_bits: None,
        taint: Vec::new(),
        error_code: None,
        address: None,
        registers: Vec::new(),
        trace: Vec::new(),
        code: Vec::new(),
        cause: None,
        went_by: Vec::new(),
        user: None,
        modules: Vec::new(),
        signatures: Vec::new(),
        text: Vec::new(),
        names: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTED: &str = "[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n";

    fn oops(function: &str) -> String {
        format!(
            "[    9.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n\
             [    9.000001] RIP: 0010:{function}+0x10/0x20\n\
             [    9.000002] Call Trace:\n\
             [    9.000003]  vfs_write+0x30/0x40\n\
             [    9.000004] ---[ end trace 0000000000000000 ]---\n"
        )
    }

    fn firsts(log: &str) -> Vec<bool> {
        reports(log.as_bytes(), &Options::default()).iter().map(|report| report.first).collect()
    }

    #[test]
    fn the_first_of_every_boot() {
        let boot = |functions: &[&str]| {
            BOOTED.to_owned() + &functions.iter().map(|name| oops(name)).collect::<String>()
        };
        assert_eq!(firsts(&boot(&["a", "b"])), [true, false]);
        let twice = boot(&["a", "b"]) + &boot(&["c", "d"]);
        assert_eq!(firsts(&twice), [true, false, true, false]);
        // with so much in between that it is passed over
        let noise = "[    1.000000] nothing to see\n".repeat(40_000);
        let far = oops("a") + &noise + BOOTED + &noise + &oops("b") + &oops("c");
        assert_eq!(firsts(&far), [true, true, false]);
    }
}
