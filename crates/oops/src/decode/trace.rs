//! Call traces of every architecture.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::Frame;

/// Longest trace kept, in frames: a stack that recursed away is longer.
const LONGEST: usize = 512;

static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^[ \t]*(\()?(?:\[<?([0-9a-f]{4,16})>?\] *)?(?:\[<?([0-9a-f]{4,16})>?\] *)?(\? )?([a-zA-Z_$.][a-zA-Z0-9_$.:<>{}*&,~@]*?(?: [a-z_][a-z0-9_]*)?)\+0?x?([0-9a-f]+)(?:/(?:0x)?([0-9a-f]+))?(?: +\[([a-zA-Z0-9_\-]+)(?: +([0-9a-f]{16,40}))?\])?( \(unreliable\))?(?: \([A-Z]+\))?\)?(?: +([^ ]+\.[a-zA-Z]+):([0-9]+))?( \[inline\])?",
    )
});
static INLINED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *([a-zA-Z_][a-zA-Z0-9_.]*) ([^ ]+\.[a-zA-Z]+):([0-9]+) \[inline\]$")
});
/// `(f) from (g+0x1/0x2)`; kernels before 3.13 put an offset on both sides, new ones neither
/// address nor brackets (`dump_backtrace_entry`, `arch/arm/kernel/traps.c`).
static ARM: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(?:\[<([0-9a-f]{8})>\] ?)?\(?([a-zA-Z_][a-zA-Z0-9_.]*)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[([a-zA-Z0-9_\-]+)\])?\)? from (?:\[<([0-9a-f]{8})>\] ?)?\(?(?:0x[0-9a-f]+|([a-zA-Z_][a-zA-Z0-9_.]*)\+0x([0-9a-f]+)/0x([0-9a-f]+))(?: \[([a-zA-Z0-9_\-]+)\])?\)?",
    )
});
/// What `scripts/decode_stacktrace.sh` makes of a frame: `f (fs/a.c:1 fs/b.c:2) module`.
static DECODED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(?:\[<?[0-9a-f]{8,16}>?\] *)?(\? )?([a-zA-Z_][a-zA-Z0-9_.]*) \(([^\s():]+):([0-9]+|\?)(?::[0-9]+)?(?:[^)]*|[^()]*\(discriminator [0-9]+\)[^)]*)\)(?: ([a-zA-Z0-9_\-]+))?(?: \([A-Z]+\))? *$",
    )
});
/// A frame without a symbol; kernels without any name modules by where they are loaded.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^[ \t]*(?:\[<([0-9a-f]{8,16})>\] 0x[0-9a-f]+|0x([0-9a-f]{8,16}))(?: \[([a-zA-Z0-9_]+)@[0-9a-f]+\+0x[0-9a-f]+\])? *$",
    )
});
/// `bt` of crash: the exception's place, or a frame.
static DEBUGGER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\[exception RIP: ([a-zA-Z_][a-zA-Z0-9_. ]*?)(?:\+([0-9]+))?\]|^ *#[0-9]+ (?:\[[0-9a-f]+\] |\()([a-zA-Z_][a-zA-Z0-9_. ]*?)(?:\+[0-9]+)? at ([0-9a-f]+)(?: \[([^\]]+)\])?",
    )
});
/// A line of drgn's stack trace, or of gdb's: `#3  f (fs/a.c:12:3)`, `#4  f+0x1c/0x30`,
/// `#5  0xffffffff81000000 in f (…) at fs/a.c:12`.
static DRGN: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *#[0-9]+ +(?:0x([0-9a-f]+) in )?([a-zA-Z_][a-zA-Z0-9_.]*)(?:\+0x([0-9a-f]+)(?:/0x([0-9a-f]+))?)?(?: \(([^\s():]+):([0-9]+)(?::[0-9]+)?\)| \(.*\)(?: at ([^\s:]+):([0-9]+))?)? *$",
    )
});
/// x86_64's frames before 2.6.16, several a line, offsets in decimal:
/// `<ffffffff80131d5b>{f+141} <ffffffff8816a7c5>{:ext3:g+5}`.
static BRACED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"<([0-9a-f]{16})>\{(?::([a-zA-Z0-9_\-]+):)?([a-zA-Z_.][a-zA-Z0-9_.]*)\+([0-9]+)\}")
});
/// What ksymoops made of the bare addresses of 2.4: `Trace; c0137c5d <f+5d/a0>`.
static KSYMOOPS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^(?:>>([ER]IP|PC|NIP|EPC)|Trace); ([0-9a-f]{8,16}) <(?:\[([a-zA-Z0-9_\-]+)\])?([a-zA-Z_.][a-zA-Z0-9_.]*)\+([0-9a-f]+)/([0-9a-f]+)>",
    )
});
/// i386's frames of 2.6.16 and 2.6.17, two a line: `<c020bb5d> f+0x10d/0x210   <c020ba50> g+0x0/0x210`.
static ANGLED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"<([0-9a-f]{8})> ([a-zA-Z_.][a-zA-Z0-9_.]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: \[([a-zA-Z0-9_\-]+)\])?",
    )
});
/// Red Hat's 2.4: `[<c012cdfc>] f [kernel] 0x1bc`, `EIP is at f [kernel] 0x5e (2.4.18)`.
static SPACED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^(?:.*EIP is at| *\[<([0-9a-f]{8})>\]) ([a-zA-Z_][a-zA-Z0-9_.]*) \[([a-zA-Z0-9_\-]+)\] 0x([0-9a-f]+)\b",
    )
});
static XMON: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^ *\[([0-9a-f]{8,16})\] ([0-9a-f]{8,16}) ([.a-zA-Z_].*\+0x.*)$"));
static MODULE_FIRST: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^( *(?:\[<[0-9a-f]+>\] +)+(?:\? )?):([a-zA-Z0-9_\-]+):([a-zA-Z_][a-zA-Z0-9_.]*\+0x[0-9a-f]+/0x[0-9a-f]+) *$",
    )
});
static MARK: LazyLock<Regex> = LazyLock::new(|| compile(r"<?<(/?)([A-Z#][A-Z0-9]*)>>?"));

/// A trace being read.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) frames: Vec<Frame>,
    stack: &'static str,
    arm: bool,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { frames: Vec::new(), stack: "task", arm: false }
    }
}

impl Trace {
    /// Take a line; was it a frame or a mark of a stack?
    pub(crate) fn read(&mut self, line: &str) -> bool {
        let mut rest = line;
        let mut marked = false;
        let mut left = None;
        while let Some(groups) = MARK.captures(rest.trim_start()) {
            let Some(whole) = groups.get(0) else { break };
            if whole.start() != 0 {
                break;
            }
            marked = true;
            let name = stack_name(&groups[2]);
            if groups[1].is_empty() && name != "end" {
                self.stack = name;
            } else {
                left = Some("task");
            }
            rest = rest.trim_start().get(whole.end()..).unwrap_or("");
        }
        // `<EOI>` and closing marks end the inner stack before this frame
        if let Some(stack) = left {
            self.stack = stack;
        }
        let read = self.frame(rest);
        marked || read
    }

    /// Take a line of a debugger's backtrace; was it one?
    pub(crate) fn read_debugger(&mut self, line: &str) -> bool {
        let bytes = line.trim_start().as_bytes();
        if !matches!(bytes, [b'#', b'0'..=b'9', ..]) && !line.contains("[exception RIP:") {
            return false;
        }
        let Some(groups) = DEBUGGER.captures(line) else {
            return self.read_drgn(line);
        };
        // what comes above the exception handled it
        if let Some(pointer) = groups.get(1) {
            self.frames.clear();
            self.push(Frame {
                function: pointer.as_str().replace(' ', "_"),
                offset: groups.get(2).and_then(|offset| offset.as_str().parse().ok()),
                reliable: true,
                exact: true,
                ..Frame::default()
            });
        } else if self.frames.len() < LONGEST {
            self.push(Frame {
                function: groups[3].replace(' ', "_"),
                address: number(&groups[4]),
                module: groups.get(5).map(|module| module.as_str().to_owned()),
                reliable: true,
                ..Frame::default()
            });
        }
        true
    }

    fn read_drgn(&mut self, line: &str) -> bool {
        let Some(groups) = DRGN.captures(line).filter(|_| self.frames.len() < LONGEST) else {
            return false;
        };
        let text = |at: usize| groups.get(at).map(|m| m.as_str());
        self.push(Frame {
            function: groups[2].to_owned(),
            address: text(1).and_then(number),
            offset: text(3).and_then(number),
            size: text(4).and_then(number),
            file: text(5).or(text(7)).map(str::to_owned),
            line: text(6).or(text(8)).and_then(|line| line.parse().ok()),
            reliable: true,
            ..Frame::default()
        });
        true
    }

    /// Is the line a frame of an arm trace, which has no line above it?
    pub(crate) fn is_arm(line: &str) -> bool {
        line.contains(" from ") && ARM.is_match(line)
    }

    /// Frames in the forms of the oldest kernels; were there any?
    fn old(&mut self, line: &str) -> bool {
        if let Some((false, frame)) = ksymoops(line) {
            self.push(frame);
            return true;
        }
        let before = self.frames.len();
        if line.contains("] 0x")
            && let Some(frame) = spaced(line)
        {
            self.push(frame);
            return true;
        }
        if line.trim_start().starts_with('<') {
            for groups in ANGLED.captures_iter(line).take(LONGEST.saturating_sub(before)) {
                self.push(Frame {
                    function: groups[2].to_owned(),
                    address: number(&groups[1]),
                    offset: number(&groups[3]),
                    size: number(&groups[4]),
                    module: groups.get(5).map(|module| module.as_str().to_owned()),
                    reliable: true,
                    ..Frame::default()
                });
            }
            if self.frames.len() > before {
                return true;
            }
        }
        if !line.contains(">{") {
            return false;
        }
        for groups in BRACED.captures_iter(line).take(LONGEST.saturating_sub(before)) {
            self.push(braced(&groups));
        }
        self.frames.len() > before
    }

    fn frame(&mut self, line: &str) -> bool {
        if self.frames.len() >= LONGEST {
            return parse(line).is_some() || ARM.is_match(line);
        }
        if self.old(line) {
            return true;
        }
        if line.contains(" from ")
            && let Some(groups) = ARM.captures(line)
        {
            // each line names a function and its caller: the first line's
            // function is the innermost, the rest are callers
            if !self.arm {
                self.arm = true;
                self.push(Frame {
                    function: groups[2].to_owned(),
                    module: groups.get(3).map(|m| m.as_str().to_owned()),
                    reliable: true,
                    ..Frame::default()
                });
            }
            let text = |at: usize| groups.get(at).map(|m| m.as_str());
            self.push(Frame {
                function: text(5).unwrap_or_default().to_owned(),
                address: text(4).and_then(number),
                offset: text(6).and_then(number),
                size: text(7).and_then(number),
                module: groups.get(8).map(|m| m.as_str().to_owned()),
                reliable: true,
                ..Frame::default()
            });
            return true;
        }
        if let Some(groups) = INLINED.captures(line) {
            self.push(Frame {
                function: groups[1].to_owned(),
                file: Some(groups[2].to_owned()),
                line: groups[3].parse().ok(),
                reliable: true,
                inlined: true,
                ..Frame::default()
            });
            return true;
        }
        if let Some(frame) = parse(line) {
            self.push(frame);
            return true;
        }
        if let Some(groups) = BARE.captures(line) {
            self.push(Frame {
                function: String::new(),
                address: groups.get(1).or(groups.get(2)).and_then(|m| number(m.as_str())),
                module: groups.get(3).map(|module| module.as_str().to_owned()),
                reliable: true,
                ..Frame::default()
            });
            return true;
        }
        false
    }

    /// The place that an exception within the trace came from.
    pub(crate) fn interrupted(&mut self, frame: Frame) {
        if self.frames.len() < LONGEST {
            self.push(Frame { reliable: true, exact: true, ..frame });
        }
    }

    fn push(&mut self, mut frame: Frame) {
        frame.stack = self.stack;
        self.frames.push(frame);
    }
}

fn braced(groups: &regex::Captures<'_>) -> Frame {
    Frame {
        function: groups[3].trim_start_matches('.').to_owned(),
        address: number(&groups[1]),
        offset: groups[4].parse().ok(),
        module: groups.get(2).map(|module| module.as_str().to_owned()),
        reliable: true,
        ..Frame::default()
    }
}

fn spaced(line: &str) -> Option<Frame> {
    let groups = SPACED.captures(line)?;
    Some(Frame {
        function: groups[2].to_owned(),
        address: groups.get(1).and_then(|address| number(address.as_str())),
        offset: number(&groups[4]),
        module: Some(groups[3].to_owned()).filter(|module| module != "kernel"),
        reliable: true,
        ..Frame::default()
    })
}

/// A line of ksymoops: is it the instruction pointer's, and the frame.
fn ksymoops(line: &str) -> Option<(bool, Frame)> {
    if !line.contains("; ") {
        return None;
    }
    let groups = KSYMOOPS.captures(line)?;
    let frame = Frame {
        function: groups[4].to_owned(),
        address: number(&groups[2]),
        offset: number(&groups[5]),
        size: number(&groups[6]),
        module: groups.get(3).map(|module| module.as_str().to_owned()),
        reliable: true,
        ..Frame::default()
    };
    Some((groups.get(1).is_some(), frame))
}

/// Where the oldest kernels say that the processor was, or ksymoops for them.
pub(crate) fn old_pointer(line: &str) -> Option<Frame> {
    if let Some((true, frame)) = ksymoops(line) {
        return Some(frame);
    }
    if line.contains("EIP is at ")
        && let Some(frame) = spaced(line)
    {
        return Some(frame);
    }
    let rip = line.contains(">{") && line.trim_start().starts_with("RIP");
    let groups = rip.then(|| BRACED.captures(line)).flatten()?;
    Some(braced(&groups))
}

/// Is the line a frame as xmon prints it?
pub(crate) fn is_xmon(line: &str) -> bool {
    XMON.is_match(line)
}

/// One frame in any architecture's form but arm's.
pub(crate) fn parse(line: &str) -> Option<Frame> {
    if !line.contains('+') {
        return decoded(line);
    }
    let line = &*unusual(line);
    let Some(groups) = FRAME.captures(line) else { return decoded(line) };
    // `EIP: f+0x1/0x2` is no frame
    if groups[5].contains(": ") {
        return None;
    }
    // PowerPC's descriptors have the name, their code a dot before it
    let function = groups[5].trim().trim_start_matches('.');
    // a blank in a name is an underscore that a transcriber lost
    let function =
        if function.contains(' ') { function.replace(' ', "_") } else { function.to_owned() };
    let text = |index: usize| groups.get(index).map(|m| m.as_str());
    // `f+0x1/0x2 (fs/a.c:12)` of decode_stacktrace.sh, and of us
    let source = groups.get(0).and_then(|m| line.get(m.end()..)).and_then(source);
    Some(Frame {
        function,
        offset: number(text(6)?),
        size: text(7).and_then(number),
        module: text(8).map(str::to_owned),
        build_id: text(9).map(str::to_owned),
        // with two addresses in front, the first is the stack's
        address: text(3).or(text(2)).and_then(number),
        reliable: text(4).is_none() && text(10).is_none() && text(1).is_none(),
        stack: "task",
        file: text(11).or(source.map(|(file, _)| file)).map(str::to_owned),
        line: text(12).or(source.map(|(_, line)| line)).and_then(|line| line.parse().ok()),
        inlined: text(13).is_some(),
        exact: false,
    })
}

/// Forms of a frame that few kernels print, in the usual one: xmon's has no brackets around the
/// code's address (`[c0b09de0] c00ff480 f+0x70/0xc0`), x86_64's before 2.6.27 has the module in
/// front (`[<ffffffff881d7d92>] :nfs:f+0x45/0x88`).
fn unusual(line: &str) -> Cow<'_, str> {
    if line.contains("] :")
        && let Some(groups) = MODULE_FIRST.captures(line)
    {
        return Cow::Owned(format!("{}{} [{}]", &groups[1], &groups[3], &groups[2]));
    }
    if line.trim_start().starts_with('[')
        && let Some(groups) = XMON.captures(line)
    {
        return Cow::Owned(format!("[{}] [{}] {}", &groups[1], &groups[2], &groups[3]));
    }
    Cow::Borrowed(line)
}

/// `(fs/a.c:12` behind a frame.
fn source(rest: &str) -> Option<(&str, &str)> {
    let place = rest.trim_start().strip_prefix('(')?;
    let place = place.split([' ', ')']).next()?;
    let (file, line) = place.split_once(':')?;
    file.contains('.').then(|| (file, line.split(':').next().unwrap_or(line)))
}

/// One frame whose offset has become a place in the source.
fn decoded(line: &str) -> Option<Frame> {
    if !line.contains(':') || !line.contains('(') {
        return None;
    }
    let groups = DECODED.captures(line)?;
    // `f (pid:12)` is none: a file has a suffix
    let file = groups[3].to_owned();
    if !file.contains('.') && &file != "??" {
        return None;
    }
    Some(Frame {
        function: groups[2].to_owned(),
        module: groups.get(5).map(|module| module.as_str().to_owned()),
        reliable: groups.get(1).is_none(),
        stack: "task",
        file: Some(file).filter(|file| file != "??"),
        line: groups[4].parse().ok(),
        ..Frame::default()
    })
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn stack_name(mark: &str) -> &'static str {
    match mark {
        "TASK" => "task",
        "IRQ" | "SOFTIRQ" => "irq",
        "NMI" => "nmi",
        "ENTRY_TRAMPOLINE" | "ENTRY" | "SYSENTER" => "entry",
        "DF" | "#DF" => "double fault",
        "DB" | "#DB" | "DEBUG" => "debug",
        "MCE" | "#MC" => "machine check",
        "VC" | "#VC" | "VC2" | "#VC2" => "hypervisor exception",
        "EOI" | "EOE" => "end",
        _ => "exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (line, function, offset, reliable) in [
            (" ? foo_bar+0x10/0x20", "foo_bar", 0x10, false),
            (" [<ffffffff81234567>] foo+0x1/0x2 [ext4]", "foo", 1, true),
            (" [<ffffffff81234567>] ? foo.isra.0+0x1/0x2", "foo.isra.0", 1, false),
            ("([<0000000000123456>] foo+0x1/0x2)", "foo", 1, false),
            ("[c00000001] [c0000002] .foo+0x1c/0x20 (unreliable)", "foo", 0x1c, false),
            ("crash ioctl+0x16f/0x197 [crash]", "crash_ioctl", 0x16f, true),
            (" foo+0x5/0x10 fs/x.c:12", "foo", 5, true),
            ("[c0b09df0] c0005a98 foo_virt+0x108/0x10c", "foo_virt", 0x108, true),
            (" [<ffffffff881d7d92>] :nfs:foo+0x45/0x88", "foo", 0x45, true),
        ] {
            let frame = parse(line).expect(line);
            assert_eq!(frame.function, function, "{line}");
            assert_eq!(frame.offset, Some(offset), "{line}");
            assert_eq!(frame.reliable, reliable, "{line}");
        }
        assert!(parse("just words").is_none());
        assert!(parse(" EIP: foo+0x59/0xb0").is_none());
    }

    #[test]
    fn forms_of_the_oldest_kernels() {
        let mut trace = Trace::default();
        let line = "<ffffffff80131d5b>{printk+141} <ffffffff8816a7c5>{:ext3:demo_read+5}";
        assert!(trace.read(line));
        assert!(trace.read("Trace; c0137c5d <demo_update+5d/a0>"));
        let seen: Vec<_> = trace
            .frames
            .iter()
            .map(|f| (f.function.as_str(), f.offset, f.module.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("printk", Some(141), None),
                ("demo_read", Some(5), Some("ext3")),
                ("demo_update", Some(0x5d), None)
            ]
        );
        let mut trace = Trace::default();
        assert!(trace.read("  <c020bb5d> demo_event+0x10d/0x210   <c020ba50> demo_sub+0x0/0x210"));
        assert!(trace.read("[<c012cdfc>] demo_range [kernel] 0x1bc"));
        let names: Vec<_> = trace.frames.iter().map(|f| f.function.as_str()).collect();
        assert_eq!(names, ["demo_event", "demo_sub", "demo_range"]);
        let pointer = old_pointer("EIP is at demo_pages [kernel] 0x5e (2.4.18-19.7.xsmp)").unwrap();
        assert_eq!((pointer.function.as_str(), pointer.offset), ("demo_pages", Some(0x5e)));
        let pointer = old_pointer(">>EIP; c0137a2e <demo_old+2e/90>").unwrap();
        assert_eq!(pointer.function, "demo_old");
        let rip = "RIP: 0010:[<ffffffff8016a7c5>] <ffffffff8016a7c5>{demo_bread+5}";
        assert_eq!(old_pointer(rip).unwrap().function, "demo_bread");
    }

    #[test]
    fn stacks() {
        let mut trace = Trace::default();
        for line in [
            " <IRQ>",
            " a+0x1/0x2",
            " </IRQ>",
            " <TASK>",
            " b+0x1/0x2",
            " <EOI>  [<ffffffff81234567>] ? c+0x1/0x2",
        ] {
            assert!(trace.read(line), "{line}");
        }
        let stacks: Vec<_> = trace.frames.iter().map(|f| f.stack).collect();
        assert_eq!(stacks, ["irq", "task", "task"]);
    }

    #[test]
    fn arm_lines_are_callers() {
        let mut trace = Trace::default();
        trace.read("[<80165504>] (kthread_stop) from [<8163f8d8>] (vhci_down+0x88/0x3a0)");
        trace.read("[<8163f850>] (vhci_down) from [<8163b930>] (event_handler+0xd0/0x1c0)");
        let names: Vec<_> = trace.frames.iter().map(|f| f.function.as_str()).collect();
        assert_eq!(names, ["kthread_stop", "vhci_down", "event_handler"]);
    }
}
