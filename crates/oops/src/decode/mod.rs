//! Decoding a report: what each of its lines says.

pub(crate) mod code;
pub(crate) mod fault;
mod head;
pub(crate) mod meaning;
mod operand;
mod registers;
mod taint;
pub(crate) mod trace;
pub(crate) mod user;

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::naming::stack;
use crate::report::{Frame, Report, Value};
use fault::Access;
use registers::Registers;
use trace::Trace;

/// A user-mode instruction pointer: code segment 0x33 or 0x23 (0x2b, 0x73).
static USER_POINTER: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\bR?E?IP: (?:(0033|0023|0073|002b):|0000[0-7][0-9a-f]{11}\b)"));
static POINTER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:^|[^A-Za-z])(?:RIP|EIP|IP|NIP|PC is at|pc :|epc :|ERA:|Krnl PSW)[: ].*?\b([a-zA-Z_.][a-zA-Z0-9_.]*(?: [a-z_][a-z0-9_]*)?\+(?:0x[0-9a-f]+/ ?(?:0x)?[0-9a-f]+.*|[0-9]+\]))",
    )
});

/// What decoding found that naming wants as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) access: Option<Access>,
    /// Where the instruction pointer is.
    pub(crate) pointer: Option<Frame>,
}

/// Read the lines of a report into it.
pub(crate) fn decode(lines: &[&str], report: &mut Report) -> Findings {
    let mut findings = Findings::default();
    let mut kernel = Registers::default();
    let mut outside = Registers::default();
    let mut compat = false;
    let mut in_user = false;
    // a user program's code stands right below its instruction pointer
    let mut user_code = false;
    let mut trace = Trace::default();
    let mut traces = 0;
    let mut innermost = None;
    let mut modules: Option<String> = None;
    let mut code = None;
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let line: &str = line;
        let below_user_pointer = std::mem::take(&mut user_code);
        if let Some(text) = &mut modules {
            let goes_on = !line.contains(": ") && !line.trim().is_empty() && text.len() < 1 << 16;
            if goes_on && !text.contains("[last unloaded:") {
                text.push(' ');
                text.push_str(line);
                continue;
            }
            if report.modules.is_empty() {
                head::modules(text, &mut report.modules);
            }
            modules = None;
        }
        if let Some((_, listed)) = line.split_once("Modules linked in:") {
            modules = Some(listed.to_owned());
            continue;
        }
        if head::read(line, report) {
            // a second dump of the same processor is a consequence
            continue;
        }
        if report.address.is_none()
            && let Some(value) = fault::address(line)
        {
            report.address = Some(Value { value, meaning: String::new() });
        }
        if report.error_code.as_ref().is_none_or(|code| code.value == 0)
            && let Some((code, access)) = fault::error_code(line, kernel.arch)
        {
            report.error_code = Some(code);
            findings.access = findings.access.or(access);
        }
        if let Some(groups) = USER_POINTER.captures(line) {
            in_user = true;
            user_code = true;
            compat =
                groups.get(1).is_some_and(|segment| matches!(segment.as_str(), "0023" | "0073"));
        }
        if let Some(bytes) = code_of(line) {
            if !below_user_pointer && code.is_none() && !line.contains("Krnl Code") {
                let mut bytes = bytes.to_owned();
                // the line may have been broken by what carried it
                while let Some(next) = lines.peek()
                    && is_code(next)
                {
                    bytes.push(' ');
                    bytes.push_str(next);
                    lines.next();
                }
                code = code::read(&bytes);
            }
            continue;
        }
        if stack::starts_stack(line) {
            traces += 1;
            in_user = false;
            continue;
        }
        if let Some(groups) = POINTER.captures(line)
            && let Some(frame) = trace::parse(&groups[1])
        {
            if traces == 0 && !line.contains("[exception") {
                innermost.get_or_insert(frame.clone());
            }
            findings.pointer.get_or_insert(frame);
        }
        let registers = if in_user { &mut outside } else { &mut kernel };
        if registers.read(line) {
            continue;
        }
        if traces <= 1 && trace.read_debugger(line) || traces == 1 && trace.read(line) {
            continue;
        }
    }
    if let Some(text) = modules
        && report.modules.is_empty()
    {
        head::modules(&text, &mut report.modules);
    }
    if kernel.arch.is_none() {
        kernel.arch = outside.arch;
    }
    if outside.arch.is_none() {
        outside.arch = kernel.arch;
    }
    report.arch = kernel.arch;
    let layout = kernel.layout();
    report.registers = kernel.explain(layout);
    if let Some(address) = &mut report.address {
        address.meaning = meaning::of(address.value, layout);
    }
    report.user = user::decode(&outside, compat);
    report.trace = trace.frames;
    if let Some(pointer) = innermost {
        add_pointer(&mut report.trace, pointer);
    }
    if let Some(code) = code {
        let place = code::Trap::new(findings.pointer.as_ref(), &kernel);
        report.code = code::disassemble(&code, kernel.arch, &place);
        report.cause = code::cause(&code, kernel.arch, &kernel, &place);
    }
    findings
}

/// Put the instruction pointer in front: what ran is the innermost frame, and
/// rarely part of the printed trace.
fn add_pointer(trace: &mut Vec<Frame>, pointer: Frame) {
    let same = |frame: &Frame| frame.function == pointer.function && frame.offset == pointer.offset;
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
    let dump = || line.trim_end().strip_suffix("Instruction dump:").map(|_| "");
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
        assert_eq!(report.arch, Some(Arch::Powerpc));
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
        assert_eq!(report.arch, Some(Arch::Arm64));
        let trap = report.code.iter().find(|code| code.trapping).unwrap();
        assert_eq!(trap.text.split_whitespace().next(), Some("ldr"));
        assert_eq!(
            report.cause.as_deref(),
            Some("ldr x1, [x0, #16]: x0 = 0x0: a read at NULL + 0x10")
        );
    }
}
