//! Call traces of every architecture.

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::Frame;

/// Longest trace kept, in frames: a stack that recursed away is longer.
const LONGEST: usize = 512;

static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(\()?(?:\[<?([0-9a-f]{4,16})>?\] *)?(?:\[<?([0-9a-f]{4,16})>?\] *)?(\? )?([a-zA-Z_$.][a-zA-Z0-9_$.:<>{}*&,~@]*?(?: [a-z_][a-z0-9_]*)?)\+0?x?([0-9a-f]+)(?:/(?:0x)?([0-9a-f]+))?(?: +\[([a-zA-Z0-9_\-]+)(?: +([0-9a-f]{16,40}))?\])?( \(unreliable\))?(?: \([A-Z]+\))?\)?(?: +([^ ]+\.[a-zA-Z]+):([0-9]+))?( \[inline\])?",
    )
});
static INLINED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *([a-zA-Z_][a-zA-Z0-9_.]*) ([^ ]+\.[a-zA-Z]+):([0-9]+) \[inline\]$")
});
static ARM: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(?:\[<([0-9a-f]{8})>\] )?\(?([a-zA-Z_][a-zA-Z0-9_.]*)(?: \[([a-zA-Z0-9_\-]+)\])?\)? from (?:\[<([0-9a-f]{8})>\] )?\(?([a-zA-Z_][a-zA-Z0-9_.]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: \[([a-zA-Z0-9_\-]+)\])?\)?",
    )
});
static BARE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^ *\[<([0-9a-f]{8,16})>\] 0x[0-9a-f]+ *$"));
/// `bt` of crash: the exception's place, or a frame.
static DEBUGGER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\[exception RIP: ([a-zA-Z_][a-zA-Z0-9_. ]*)\+([0-9]+)\]|^ *#[0-9]+ \[[0-9a-f]+\] ([a-zA-Z_][a-zA-Z0-9_. ]*?) at ([0-9a-f]+)(?: \[([^\]]+)\])?",
    )
});
static MARK: LazyLock<Regex> = LazyLock::new(|| compile(r"<(/?)([A-Z#][A-Z0-9]*)>"));

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
        let Some(groups) = DEBUGGER.captures(line) else {
            return false;
        };
        // what comes above the exception handled it
        if let Some(pointer) = groups.get(1) {
            self.frames.clear();
            self.push(Frame {
                function: pointer.as_str().replace(' ', "_"),
                offset: groups[2].parse().ok(),
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

    fn frame(&mut self, line: &str) -> bool {
        if self.frames.len() >= LONGEST {
            return parse(line).is_some() || ARM.is_match(line);
        }
        if let Some(groups) = ARM.captures(line) {
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
            self.push(Frame {
                function: groups[5].to_owned(),
                address: groups.get(4).and_then(|m| number(m.as_str())),
                offset: number(&groups[6]),
                size: number(&groups[7]),
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
                address: number(&groups[1]),
                reliable: true,
                ..Frame::default()
            });
            return true;
        }
        false
    }

    fn push(&mut self, mut frame: Frame) {
        frame.stack = self.stack;
        self.frames.push(frame);
    }
}

/// One frame in any architecture's form but arm's.
pub(crate) fn parse(line: &str) -> Option<Frame> {
    let groups = FRAME.captures(line)?;
    let function = groups[5].trim();
    // a blank in a name is an underscore that a transcriber lost
    let function =
        if function.contains(' ') { function.replace(' ', "_") } else { function.to_owned() };
    let text = |index: usize| groups.get(index).map(|m| m.as_str());
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
        file: text(11).map(str::to_owned),
        line: text(12).and_then(|line| line.parse().ok()),
        inlined: text(13).is_some(),
        exact: false,
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
            ("[c00000001] [c0000002] .foo+0x1c/0x20 (unreliable)", ".foo", 0x1c, false),
            ("crash ioctl+0x16f/0x197 [crash]", "crash_ioctl", 0x16f, true),
            (" foo+0x5/0x10 fs/x.c:12", "foo", 5, true),
        ] {
            let frame = parse(line).expect(line);
            assert_eq!(frame.function, function, "{line}");
            assert_eq!(frame.offset, Some(offset), "{line}");
            assert_eq!(frame.reliable, reliable, "{line}");
        }
        assert!(parse("just words").is_none());
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
