//! What panics of other systems say by their own words: FreeBSD's trap frame and backtrace, the
//! backtraces of the other BSDs' debugger.

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::{Frame, Report, Value};

/// Frames kept.
const LONGEST: usize = 256;

/// `#6 0xffffffff82a1afe1 at demo_ioctl+0x91` (`sys/kern/subr_stack.c`).
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *#[0-9]+ (?:0x)?([0-9a-f]{8,16}) at ([A-Za-z_][A-Za-z0-9_.]*)\+(?:0x)?([0-9a-f]+)")
});
/// `demo_ioctl(0,1) at demo_ioctl+0x91`, `demo_ioctl() at netbsd:demo_ioctl+0x91` (ddb).
static CALLED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *[A-Za-z_][A-Za-z0-9_.]*\(.*\) at (?:[a-z0-9_]+:)?([A-Za-z_][A-Za-z0-9_.]*)\+(?:0x)?([0-9a-f]+)",
    )
});
/// `   [<ffff82d080236ff2>] demo_assign+0x72/0x180` of Xen (`show_trace`); `F` and `S` mark how sure
/// it is.
static BRACKETED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *\[<([0-9a-f]{16})>\] (?:[FRS] )?([A-Za-z_][A-Za-z0-9_.#/]*)\+0x([0-9a-f]+)/0x")
});
static CPU: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^cpuid = ([0-9]+)|^Panic on CPU ([0-9]+):"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^fault virtual address\s*= 0x([0-9a-f]+)|^uvm_fault\([^,]*, 0x([0-9a-f]+),")
});
static PROCESS: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^current process\s*= ([0-9]+) \((.*)\)"));

/// Takes the lines into the report.
pub(crate) fn read(lines: &[&str], report: &mut Report) {
    for line in lines {
        if report.cpu.is_none()
            && let Some(groups) = CPU.captures(line)
        {
            report.cpu = groups.iter().skip(1).flatten().find_map(|m| m.as_str().parse().ok());
        }
        if report.address.is_none()
            && let Some(groups) = ADDRESS.captures(line)
            && let Some(text) = groups.get(1).or(groups.get(2))
        {
            let value = u64::from_str_radix(text.as_str(), 16).ok();
            report.address = value.map(|value| Value { value, meaning: String::new() });
        }
        if report.pid.is_none()
            && let Some(groups) = PROCESS.captures(line)
        {
            report.pid = groups[1].parse().ok();
            report.comm = Some(groups[2].to_owned());
        }
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let frame = match NUMBERED.captures(line).or_else(|| BRACKETED.captures(line)) {
            Some(groups) => Some((number(&groups[1]), groups[2].to_owned(), number(&groups[3]))),
            None => {
                CALLED.captures(line).map(|groups| (None, groups[1].to_owned(), number(&groups[2])))
            }
        };
        if let Some((address, function, offset)) = frame
            && report.trace.len() < LONGEST
        {
            report.trace.push(Frame {
                function,
                address,
                offset,
                reliable: true,
                stack: "task",
                ..Frame::default()
            });
        }
    }
}
