//! Decoding a report: what each of its lines says.

mod arch;
pub(crate) mod code;
mod events;
pub(crate) mod fault;
pub(crate) mod foreign;
mod head;
mod hints;
pub(crate) mod machine_check;
pub(crate) mod meaning;
mod operand;
mod registers;
pub(crate) mod said;
mod taint;
pub(crate) mod trace;
pub(crate) mod user;

use std::sync::LazyLock;

use necropsy_lexicon::Arch;
use regex::Regex;

use crate::naming;
use crate::naming::pattern::compile;
use crate::naming::stack;
use crate::report::{Frame, Report, Value};
use fault::Access;
use registers::Registers;
use said::Said;
use trace::Trace;

/// A user-mode instruction pointer: code segment 0x33 or 0x23 (0x2b, 0x73).
static USER_POINTER: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\bR?E?IP: (0033|0023|0073|002b):"));
/// One without a segment, as i386 and debuggers print it. The kernel itself may have jumped there:
/// only below a trace it is where a program was.
static BARE_POINTER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\bRIP: 0000[0-7][0-9a-f]{11}\b|\bEIP: 0x(?:[0-9ab][0-9a-f]{7}|[1-9a-f][0-9a-f]{4,6})\b",
    )
});
static POINTER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:^|[^A-Za-z])(?:EIP is at|[Rr]IP|EIP|IP|NIP|(?:PC|pc|ip) is at|pc :|epc ?:|epc +: [0-9a-f]+|ERA: +[0-9a-f]+|Krnl PSW|TPC:|PC: \[<[0-9a-f]+>\]|IAOQ\[0\]|^ +pc: [0-9a-f]{8,16})[: ].*?\b([a-zA-Z_.][a-zA-Z0-9_.]*(?: [a-z_][a-z0-9_]*)?(?:\+(?:0x[0-9a-f]+/ ?(?:0x)?[0-9a-f]+.*|[0-9]+\])| \([^ ():]+\.[a-zA-Z]+:[0-9]+.*))",
    )
});
/// The function in the line of a warning, old form and new.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"WARNING:.*? at ?[^ ]+:[0-9]+ ([a-zA-Z_][a-zA-Z0-9_.]*)\+0x|WARNING: .*? at ([a-zA-Z_][a-zA-Z0-9_.]*)\+0x[0-9a-f]+/0x[0-9a-f]+.*, CPU",
    )
});
/// The function in the line of a memory checker.
static CHECKED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"BUG: K[A-Z]+: [a-z\- ]+ in ([a-zA-Z_][a-zA-Z0-9_.]*)(?:\+0x| \(| / |$)")
});
/// The link register, as architectures that have one print it with a symbol.
static CALLER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(?:LR is at |lr : |ra : |ra +: [0-9a-f]+ |LR \[[0-9a-f]+\] |PR is at |ra is at |I7: <|RPC: <|RP\(r2\): |lr: [0-9a-f]{8,16}: )([a-zA-Z_.][a-zA-Z0-9_.]*\+0x[0-9a-f]+/0x[0-9a-f]+.*)",
    )
});
/// How many bits of an address a page table of the machine maps.
static ADDRESS_BITS: LazyLock<Regex> = LazyLock::new(|| compile(r"\b([0-9]{2})-bit VAs"));

/// What decoding found that naming wants as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) access: Option<Access>,
    /// Where the instruction pointer is.
    pub(crate) pointer: Option<Frame>,
    /// The function that the line of a warning or of a memory checker names.
    pub(crate) named: Option<String>,
    /// Where the link register leads.
    pub(crate) caller: Option<Frame>,
}

/// Read the lines of a report into it. `before` is what was said just before its first line,
/// `events` are lines of the tracer's buffer among its own.
pub(crate) fn decode(
    before: &[&str],
    lines: &[&str],
    events: &[&str],
    report: &mut Report,
) -> Findings {
    let arch = arch::of(lines);
    let mut reading = Reading::new(arch);
    reading.lost = report.corrupted_why == Some(naming::HEAD_LOST);
    let cut = before.iter().rposition(|line| line.contains("[ cut here ]")).map(|at| at + 1);
    for (at, line) in before.iter().enumerate() {
        said::before(line, cut.is_some_and(|cut| at >= cut), report);
    }
    let mut lines = lines.iter().copied().peekable();
    while let Some(line) = lines.next() {
        if let Some(bytes) = reading.line(line, report) {
            // the line may have been broken by what carried it
            let mut bytes = bytes.to_owned();
            while let Some(next) = lines.peek()
                && is_code(next)
            {
                bytes.push(' ');
                bytes.push_str(next);
                lines.next();
            }
            reading.code = code::read(&bytes);
        }
    }
    let findings = reading.finish(report);
    report.events = events::read(events.iter().copied(), report.cpu);
    findings
}

/// Where reading has got to.
struct Reading {
    findings: Findings,
    kernel: Registers,
    outside: Registers,
    compat: bool,
    /// The registers that come are user space's.
    in_user: bool,
    /// A user program's code stands right below its instruction pointer.
    user_code: bool,
    trace: Trace,
    /// Stacks begun; only the first is the report's.
    traces: usize,
    /// The first is over.
    closed: bool,
    innermost: Option<Frame>,
    modules: Option<String>,
    code: Option<code::Bytes>,
    said: Said,
    /// A faulting address from a row of registers.
    late_address: Option<u64>,
    /// The report's head is lost.
    lost: bool,
    /// Lines of a warning's own message so far, while they may go on.
    told: Option<usize>,
    /// The next line is where control came from, as s390 remembers.
    breaking: bool,
}

impl Reading {
    fn new(arch: Option<Arch>) -> Reading {
        Reading {
            findings: Findings::default(),
            kernel: Registers::of(arch),
            outside: Registers::of(arch),
            compat: false,
            in_user: false,
            user_code: false,
            trace: Trace::default(),
            traces: 0,
            closed: false,
            innermost: None,
            modules: None,
            code: None,
            said: Said::default(),
            late_address: None,
            lost: false,
            told: None,
            breaking: false,
        }
    }

    /// Take a line; gives the bytes of the kernel's code if they begin here.
    fn line<'l>(&mut self, line: &'l str, report: &mut Report) -> Option<&'l str> {
        let below_user_pointer = std::mem::take(&mut self.user_code);
        if let Some(text) = &mut self.modules {
            // `CPU 1` is no module
            let other = line.split_whitespace().any(|word| {
                word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b':')
            });
            let goes_on =
                !line.contains(": ") && !other && !line.trim().is_empty() && text.len() < 1 << 16;
            let frame = line.contains("+0x") || line.starts_with("[<");
            if goes_on && !frame && !text.contains("[last unloaded:") && !stack::starts_stack(line)
            {
                text.push(' ');
                text.push_str(line);
                return None;
            }
            if report.modules.is_empty() {
                head::modules(text, &mut report.modules);
            }
            self.modules = None;
        }
        if let Some((_, listed)) = line.split_once("Modules linked in:") {
            self.modules = Some(listed.to_owned());
            self.told = None;
            return None;
        }
        self.message(line, report);
        // a second dump of the same processor is a consequence
        let scene = head::read(line, report);
        if self.said.read(line, report) {
            self.closed |= self.traces > 0;
            return None;
        }
        machine_check::read(line, report);
        if self.findings.named.is_none()
            && line.contains("BUG: K")
            && let Some(groups) = CHECKED.captures(line)
        {
            self.findings.named = Some(groups[1].to_owned());
        }
        if self.findings.named.is_none()
            && line.contains("WARNING:")
            && let Some(groups) = NAMED.captures(line)
        {
            self.findings.named = groups.get(1).or(groups.get(2)).map(|m| m.as_str().to_owned());
        }
        // some have the flags behind a register
        if scene && !["epc", "TPC", "TRAP", "EIP"].iter().any(|name| line.contains(name)) {
            return None;
        }
        self.fault(line, report);
        if let Some(bytes) = code_of(line) {
            let wanted = !below_user_pointer && self.code.is_none() && !line.contains("Krnl Code");
            return wanted.then_some(bytes);
        }
        if stack::starts_stack(line) {
            // riscv's last row of registers is one such line
            if self.traces == 0 && line.contains("badaddr: ") {
                self.kernel.read(line);
            }
            self.traces += 1;
            self.closed = false;
            self.in_user = false;
            // some print the first frame beside the head
            if self.traces == 1
                && let Some((_, frame)) = line.split_once("Call Trace:")
                && (frame.contains('+') || frame.contains("] 0x"))
            {
                self.trace.read(frame);
            }
            return None;
        }
        if let Some(frame) = trace::old_pointer(line) {
            if self.trace.frames.iter().all(|known| known.function != frame.function) {
                self.innermost.get_or_insert(frame.clone());
            }
            self.findings.pointer.get_or_insert(frame);
        }
        if std::mem::take(&mut self.breaking)
            && self.findings.pointer.is_none()
            && let Some(frame) = trace::parse(line)
        {
            // the pointer leads nowhere: the branch that led there does not
            self.findings.caller = Some(frame);
        }
        self.breaking = line.starts_with("Last Breaking-Event-Address");
        if self.breaking || line.contains("---[ end trace") || line.starts_with("Kernel panic - ") {
            self.closed |= self.traces > 0;
        }
        if let Some(groups) = POINTER.captures(line)
            && let Some(frame) = trace::parse(&groups[1])
        {
            if self.traces == 0 && !line.contains("[exception") {
                self.innermost.get_or_insert(frame.clone());
            }
            if self.traces == 1 && !self.closed && line.contains("RIP: 0010:") {
                self.trace.interrupted(frame.clone());
            }
            self.findings.pointer.get_or_insert(frame);
        }
        if self.findings.caller.is_none()
            && self.traces == 0
            && let Some(groups) = CALLER.captures(line)
        {
            self.findings.caller = trace::parse(&groups[1]);
        }
        let registers = if self.in_user { &mut self.outside } else { &mut self.kernel };
        if registers.read(line) {
            return None;
        }
        if self.traces == 0 && self.begins_unannounced(line) {
            self.traces = 1;
        }
        // their stacks stand right below
        if self.traces == 0 && (line.contains("BUG: KFENCE:") || line.contains("BUG: KMSAN:")) {
            self.traces = 1;
            return None;
        }
        if self.traces <= 1 && self.trace.read_debugger(line) {
            return None;
        }
        if self.traces == 1 && !self.closed {
            self.trace.read(line);
        }
        None
    }

    /// Kernels before 4.x print what a warning is about below its line, up to the modules.
    fn message(&mut self, line: &str, report: &mut Report) {
        const MOST: usize = 8;
        if line.contains("WARNING:") && line.trim_end().ends_with("()") {
            self.told = Some(0);
            return;
        }
        let Some(told) = &mut self.told else { return };
        let scene = ["CPU:", "Pid:", "Call Trace", "Call trace", "Backtrace", "[<", " [<", "---"]
            .iter()
            .any(|head| line.starts_with(head));
        if scene || *told >= MOST {
            self.told = None;
        } else if !line.starts_with("Hardware name:") && !line.trim().is_empty() {
            *told += 1;
            said::own(line, report);
        }
    }

    /// Some architectures print a trace without a line above it: arm always, riscv and others
    /// behind the registers.
    fn begins_unannounced(&self, line: &str) -> bool {
        if Trace::is_arm(line) {
            return true;
        }
        // behind a lost head a trace may go on
        if self.lost && trace::parse(line).is_some() {
            return true;
        }
        // xmon has a form of its own
        if self.kernel.arch == Some(Arch::Ppc64) && trace::is_xmon(line) {
            return true;
        }
        // behind the pointer the frames may follow at once
        if self.innermost.is_some()
            && line.starts_with(' ')
            && !line.contains(": ")
            && trace::parse(line).is_some()
        {
            return true;
        }
        let other = self.kernel.arch.is_some_and(|arch| !matches!(arch, Arch::X86_64 | Arch::I386));
        other
            && !self.kernel.values.is_empty()
            && line.trim_start().starts_with("[<")
            && trace::parse(line).is_some()
    }

    fn fault(&mut self, line: &str, report: &mut Report) {
        if report.address.is_none()
            && let Some(value) = fault::address(line)
        {
            report.address = Some(Value { value, meaning: String::new() });
        }
        if self.late_address.is_none() && self.traces == 0 {
            self.late_address = fault::late_address(line);
        }
        if report.address_bits.is_none()
            && let Some(groups) = ADDRESS_BITS.captures(line)
        {
            report.address_bits = groups[1].parse().ok();
        }
        if report.error_code.as_ref().is_none_or(|code| code.value == 0)
            && let Some((code, access)) = fault::error_code(line, self.kernel.arch)
        {
            report.error_code = Some(code);
            self.findings.access = self.findings.access.or(access);
        }
        if let Some(access) = fault::teid(line) {
            self.findings.access = self.findings.access.or(Some(access));
        }
        if report.access.is_none()
            && let Some((kind, size)) = fault::access(line)
        {
            report.access = Some(crate::report::Access { kind, size });
        }
        let segment = USER_POINTER.captures(line).map(|groups| groups[1].to_owned());
        let below = self.traces > 0 || !self.trace.frames.is_empty();
        // a debugger has the stack pointer beside it
        let bare = || below && !line.contains("RSP: ffff") && BARE_POINTER.is_match(line);
        if segment.is_some() || bare() {
            self.in_user = true;
            self.user_code = true;
            self.compat = matches!(segment.as_deref(), Some("0023" | "0073"));
        }
    }

    fn finish(mut self, report: &mut Report) -> Findings {
        self.said.end(report);
        if let Some(text) = self.modules
            && report.modules.is_empty()
        {
            head::modules(&text, &mut report.modules);
        }
        let kernel = self.kernel;
        report.arch = kernel.arch;
        // s390's code for the access is that of the last one before the jump
        if kernel.arch == Some(Arch::S390x) && kernel.get("psw") == Some(0) {
            self.findings.access = Some(Access::Execute);
            report.access = None;
        }
        let layout = kernel.layout().told(report.address_bits, report.release.as_deref());
        report.registers = kernel.explain(layout);
        if report.address.is_none() && self.findings.access.is_some() {
            let late = self.late_address.filter(|_| !matches!(kernel.arch, Some(Arch::X86_64)));
            report.address = late.map(|value| Value { value, meaning: String::new() });
        }
        if let Some(address) = &mut report.address {
            address.meaning = meaning::of(address.value, layout);
        }
        report.user = user::decode(&self.outside, self.compat);
        report.trace = self.trace.frames;
        if let Some(pointer) = self.innermost {
            add_pointer(&mut report.trace, pointer);
        }
        if let Some(code) = self.code {
            let place = code::Trap::new(self.findings.pointer.as_ref(), &kernel);
            report.code = code::disassemble(&code, kernel.arch, &place);
            let told = report.address.as_ref().map(|address| address.value);
            let deed = code::cause(&code, kernel.arch, &kernel, layout, &place, told);
            if let Some(deed) = deed {
                (report.cause, report.went_by) = (Some(deed.text), deed.went_by);
            }
        }
        // a fault at the instruction's own address is of its fetch
        let fetched = report.address.as_ref().is_some_and(|address| {
            ["rip", "eip", "pc", "epc", "era", "nip"]
                .iter()
                .any(|name| kernel.get(name) == Some(address.value))
        });
        if fetched {
            self.findings.access = Some(Access::Execute);
            report.access = None;
        }
        if let Some(access) = self.findings.access {
            report.access.get_or_insert(crate::report::Access { kind: access.word(), size: None });
        }
        // no instruction to tell of it, but the kernel's own words
        if report.cause.is_none()
            && let (Some(access), Some(address)) = (report.access, &report.address)
        {
            let place = code::place_of(address.value, layout);
            report.cause = match access.kind {
                "execute" => Some(format!("a jump to {place}")),
                "read" | "write" => Some(format!("a {} at {place}", access.kind)),
                _ => None,
            };
        }
        // the register keeps the address of whatever page fault came last
        let address = report.address.as_ref().map(|address| address.value);
        if let Some(cr2) = report.registers.iter_mut().find(|register| register.name == "cr2")
            && address.is_some_and(|address| address != cr2.value)
        {
            cr2.meaning = "of another page fault".into();
        }
        said::explain(report, &|value| meaning::of(value, layout));
        report.hints = hints::of(report, layout);
        self.findings
    }
}

/// Put the instruction pointer in front: what ran is the innermost frame, and
/// rarely part of the printed trace.
fn add_pointer(trace: &mut Vec<Frame>, pointer: Frame) {
    let same = |frame: &Frame| frame.function == pointer.function && frame.offset == pointer.offset;
    // arm names the innermost function without the place in it
    if let Some(first) = trace.first_mut()
        && first.function == pointer.function
        && first.offset.is_none()
        && first.file.is_none()
    {
        first.offset = pointer.offset;
        first.size = pointer.size;
    }
    let printed = trace.iter().find(|frame| frame.reliable).is_some_and(same);
    for frame in trace.iter_mut().filter(|frame| same(frame)) {
        frame.exact = true;
    }
    if !printed {
        let stack = trace.first().map_or("task", |frame| frame.stack);
        trace.insert(0, Frame { stack, reliable: true, exact: true, ..pointer });
    }
}

/// What stands behind `Code:`; behind PowerPC's `Instruction dump:` it is on
/// the lines below.
fn code_of(line: &str) -> Option<&str> {
    // sparc's capitals; openrisc's code begins on the next line
    let below = ["Instruction dump:", "Instruction DUMP:", " Code:"];
    let line_end = line.trim_end();
    let dump = || below.iter().any(|head| line_end.ends_with(head)).then_some("");
    line.split_once("Code: ").map(|(_, bytes)| bytes).or_else(dump)
}

/// The rest of a `Code:` line: nothing but bytes.
fn is_code(line: &str) -> bool {
    let mut tokens = line.split_whitespace().peekable();
    tokens.peek().is_some()
        && tokens.all(|token| {
            let digits = token.trim_matches(|c| matches!(c, '<' | '>' | '(' | ')'));
            code::digits_of(digits).is_some()
        })
}

#[cfg(test)]
mod tests {
    use crate::{Arch, Options, Report, reports};

    fn only(log: &str) -> Report {
        let mut found = reports(log.as_bytes(), &Options::default());
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    #[test]
    fn words_of_powerpc() {
        let report = only(
            "BUG: Kernel NULL pointer dereference on read at 0x00000008\n\
             Faulting instruction address: 0xc000000000123458\n\
             Oops: Kernel access of bad area, sig: 11 [#1]\n\
             CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1\n\
             NIP:  c000000000123458 LR: c000000000123400 CTR: 0000000000000000\n\
             NIP [c000000000123458] widget_read+0x18/0x40\n\
             LR [c000000000123400] vfs_read+0x20/0x80\n\
             Call Trace:\n\
             [c000000004567890] [c000000000234560] vfs_read+0x20/0x80\n\
             Instruction dump:\n\
             60000000 7c0802a6 f8010010 f821ffa1\n\
             38600000 <e9230008> 7d2307b4 38210060\n",
        );
        assert_eq!(report.arch, Some(Arch::Ppc64));
        assert_eq!(report.code.len(), 8);
        let trap = report.code.iter().find(|code| code.trapping).unwrap();
        assert_eq!((trap.address, trap.bytes.as_str()), (0xc000_0000_0012_3458, "e9 23 00 08"));
    }

    #[test]
    fn what_arm64_was_about_to_load() {
        let report = only(
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010\n\
             Internal error: Oops: 0000000096000004 [#1] SMP\n\
             CPU: 1 PID: 88 Comm: reader Not tainted 6.1.0 #1\n\
             pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)\n\
             pc : widget_read+0x18/0x40\n\
             lr : vfs_read+0x20/0x80\n\
             sp : ffff80000a5bbd10\n\
             x2 : 0000000000000003 x1 : 0000000000000002 x0 : 0000000000000000\n\
             Call trace:\n \
             widget_read+0x18/0x40\n \
             vfs_read+0x20/0x80\n\
             Code: d503201f a9bf7bfd 910003fd aa0003f3 (f9400801)\n\
             ---[ end trace 0000000000000000 ]---\n",
        );
        assert_eq!(report.arch, Some(Arch::Aarch64));
        let trap = report.code.iter().find(|code| code.trapping).unwrap();
        assert_eq!(trap.text.split_whitespace().next(), Some("ldr"));
        assert_eq!(
            report.cause.as_deref(),
            Some("ldr x1, [x0, #16]: x0 = 0x0: a read at NULL + 0x10")
        );
    }
}
