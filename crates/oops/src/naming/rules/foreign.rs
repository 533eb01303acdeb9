//! Panics of systems other than Linux, each with its own headers.

use super::Step::{Line, Stack};
use super::{Frame, Header, Rule};
use crate::system::System;
use necropsy_lexicon::Symptom;

const F: Symptom = Symptom::Foreign;

/// The frames of a BSD debugger: `name(args) at name+0x12`.
const DDB: Frame = Frame::new(&[Line(r"^(?:Stopped (?:in .* )?at +(?:netbsd:)?)@FUNC")])
    .or(&[Line(r"^[a-zA-Z0-9_.]+\(.*\) at (?:netbsd:)?@FUNC")])
    .foreign();
/// Below the trap frame of a FreeBSD backtrace.
const BELOW_TRAP: Frame = Frame::new(&[
    Line(r"^KDB: stack backtrace|^Stack backtrace"),
    Line(r"^--- trap"),
    Line(r"(?:^#[0-9]+ .* |\) )at @FUNC"),
])
.or(&[Line(r" at calltrap\+"), Line(r"(?:^#[0-9]+ .* |\) )at @FUNC")])
.or_else(&[Line(r"^Stopped at +@FUNC")])
.foreign();

pub(crate) const SYSTEMS: &[System] = &[
    System {
        name: "starnix",
        label: "Starnix",
        line_bytes: None,
        marks: &["STARNIX KERNEL PANIC"],
        headers: &[Header::new(
            "STARNIX KERNEL PANIC",
            &[Rule::new("STARNIX KERNEL PANIC", "starnix kernel panic in {1}", F)
                .whole(r"STARNIX KERNEL PANIC(?:.*\n)+?.*panicked at (?:\.\./)*([^ :]+)")
                .no_stack()],
        )],
    },
    System {
        name: "fuchsia",
        label: "Fuchsia",
        line_bytes: Some(127),
        marks: &["ZIRCON KERNEL PANIC", "zircon.elf", "ZIRCON REBOOT REASON"],
        headers: &[
            Header::new(
                "ZIRCON KERNEL PANIC",
                &[
                    Rule::new("ZIRCON KERNEL PANIC", "{1} in {F}", F)
                        .whole(r"ZIRCON KERNEL PANIC(?:.*\n)+?.*(ASSERT FAILED).*\n(?:.*\n)*?bt#[0-9]+: 0x[0-9a-f]+ [^ ]")
                        .at(Frame::new(&[Line("ASSERT FAILED"), Stack]).foreign().skip(&["zircon"]))
                        .no_stack(),
                    Rule::new("ZIRCON KERNEL PANIC", "{1}: {2}", F)
                        .whole(r"ZIRCON KERNEL PANIC(?:.*\n)+?.*(ASSERT FAILED) at \(.*?\): ?(.*)")
                        .no_stack(),
                    Rule::new("ZIRCON KERNEL PANIC", "{1} in {F}", F)
                        .whole(r"ZIRCON KERNEL PANIC(?:.*\n)+?.*(recursion in interrupt handler|double fault|unhandled page fault|[a-z\-]* ?page fault)")
                        .at(Frame::new(&[Line(r"RIP: 0x[0-9a-f]+ +([a-zA-Z_~][^ (]*)")])
                            .or(&[Stack])
                            .foreign()
                            .skip(&["zircon"]))
                        .no_stack(),
                    Rule::new("ZIRCON KERNEL PANIC", "ZIRCON KERNEL PANIC", F).no_stack(),
                ],
            ),
            Header::new("ASSERT FAILED at", &[Rule::new(
                r"ASSERT FAILED at \(.*?\): ?(.*)",
                "ASSERT FAILED: {1}",
                F,
            )
            .no_stack()])
            .inner(),
        ],
    },
    System {
        name: "darwin",
        label: "macOS (XNU)",
        line_bytes: None,
        marks: &["panic(cpu ", "mach_kernel :"],
        headers: &[
            Header::new(
                "panic(cpu",
                &[
                    Rule::new(
                        r"panic\(cpu [0-9]+ caller (?:0x)?[0-9a-f]+\): Kernel trap at (?:0x)?[0-9a-f]+, type ([0-9]+)=([^,]+),",
                        "Kernel trap type {1}={2}",
                        F,
                    )
                    .no_stack(),
                    Rule::new(r#"panic\(cpu [0-9]+ caller (?:0x)?[0-9a-f]+\): "?(.*?)"?$"#, "panic: {1}", F).no_stack(),
                ],
            ),
        ],
    },
    System {
        name: "netbsd",
        label: "NetBSD",
        line_bytes: None,
        marks: &["netbsd:", "in supervisor mode", "NetBSD", "cpu0: Begin traceback"],
        headers: &[
            Header::new(
                "in supervisor mode",
                &[Rule::new(
                    r"fatal (.*?) in supervisor mode",
                    "{1} in {F}",
                    F,
                )
                .at(Frame::new(&[Line(r"Stopped in .* at +netbsd:@FUNC")]).or(&[Line(
                    r"^[a-zA-Z0-9_.]+\(.*\) at netbsd:@FUNC",
                )]).foreign())
                .no_stack()],
            ),
            Header::new(
                "panic: kernel diagnostic assertion",
                &[Rule::new(
                    r#"panic: kernel diagnostic assertion "([^"]+)" failed"#,
                    "assert failed: {1}",
                    F,
                )
                .no_stack()],
            ),
            Header::new(
                "ASan: Unauthorized Access",
                &[Rule::new(
                    r"ASan: Unauthorized Access [Ii]n .*\(([^ )]+)\)|ASan: Unauthorized Access",
                    "ASan: Unauthorized Access in {F}",
                    F,
                )
                .at(DDB.skip(&["netbsd"]))
                .no_stack()],
            ),
            Header::new(
                "MSan: Uninitialized",
                &[Rule::new(
                    r"MSan: Uninitialized ([a-zA-Z]+) Memory",
                    "MSan: Uninitialized {1} Memory in {F}",
                    F,
                )
                .at(DDB.skip(&["netbsd"]))
                .no_stack()],
            ),
            Header::new(
                "UBSan: Undefined Behavior",
                &[Rule::new(r"UBSan: Undefined Behavior in (.*?),", "UBSan: Undefined Behavior in {1}", F).no_stack()],
            ),
            Header::new(
                "Reader / writer lock error",
                &[Rule::new(
                    r"Reader / writer lock error: (.*)",
                    "Reader / writer lock error: {1}",
                    F,
                )
                .no_stack()],
            ),
            Header::new(
                "Mutex error",
                &[Rule::new(r"Mutex error: (.*)", "Mutex error: {1}", F).no_stack()],
            ),
            Header::new("panic: ", &[Rule::new(r"panic: (.*)", "panic: {1}", F).no_stack()]),
        ],
    },
    System {
        name: "illumos",
        label: "illumos or Solaris",
        line_bytes: None,
        marks: &["panic[cpu"],
        headers: &[Header::new(
            "panic[cpu",
            &[
                Rule::new(r"panic\[cpu[0-9]+\]", "panic: {1}", F)
                    .whole(r"panic\[cpu[0-9]+\]/thread=[0-9a-f]+: *\n?(?: *\n)?(.*\S.*)")
                    .no_stack(),
                Rule::new(r"panic\[cpu[0-9]+\]", "panic", F).no_stack(),
            ],
        )],
    },
    System {
        name: "xen",
        label: "Xen",
        line_bytes: None,
        marks: &["Panic on CPU ", "----[ Xen-"],
        headers: &[Header::new(
            "Panic on CPU ",
            &[
                Rule::new(r"Panic on CPU [0-9]+:", "Xen panic: {1}", F)
                    .whole(r"Panic on CPU [0-9]+:\n(.*)")
                    .no_stack(),
                Rule::new(r"Panic on CPU", "Xen panic", F).no_stack(),
            ],
        )],
    },
    System {
        name: "freebsd",
        label: "FreeBSD",
        line_bytes: None,
        marks: &["KDB: stack backtrace", "Fatal trap ", "KDB: enter", "FreeBSD"],
        headers: &[
            Header::new(
                "Fatal trap",
                &[Rule::new(r"Fatal trap ([0-9]+): (.*?) while in", "Fatal trap {1}: {2} in {F}", F)
                    .at(BELOW_TRAP)
                    .no_stack()],
            ),
            Header::new(
                "panic:",
                &[
                    Rule::new(
                        r"panic: (.*?) @ (?:.*/)?sys/(.*?):([0-9]+)",
                        "panic: {1} at sys/{2}:{3}",
                        F,
                    )
                    .no_stack(),
                    Rule::new(
                        r"panic: (.*?) at (?:/.*/)?sys/(.*?):([0-9]+)",
                        "panic: {1} at sys/{2}:{3}",
                        F,
                    )
                    .no_stack(),
                    Rule::new(r"panic: (.*)", "panic: {1}", F).no_stack(),
                ],
            )
            .except(&[r"[a-zA-Z0-9_.]panic:|ddb\.onpanic"]),
        ],
    },
    System {
        name: "openbsd",
        label: "OpenBSD",
        line_bytes: None,
        marks: &["db_enter", "ddb>", "ddb{", "end trace frame", "uvm_fault(", "fault trap, code=", "vop_generic_bclient_loop", "OpenBSD", "cleaned vnode", "panic: kernel diagnostic assertion"],
        headers: &[
            Header::new(
                "uvm_fault(",
                &[Rule::new(r"uvm_fault\(", "uvm_fault: {F}", F).at(DDB).no_stack()],
            ),
            Header::new(
                "fault trap, code=",
                &[
                    Rule::new(r"kernel: page fault trap", "uvm_fault: {F}", F).at(DDB).no_stack(),
                    Rule::new(r"kernel: ([a-z]+) fault trap", "{1}_fault: {F}", F).at(DDB).no_stack(),
                ],
            ),
            Header::new(
                "lock order reversal:",
                &[Rule::new(
                    r"lock order reversal:",
                    "witness: reversal: {1} {2}",
                    F,
                )
                .whole(r"lock order reversal:(?:.*\n)+?.*1st 0x[0-9a-f]+ ([^ ]+) .*\n.*2nd 0x[0-9a-f]+ ([^ ]+)")
                .no_stack()],
            ),
            Header::new(
                "Caught invalid memory access",
                &[Rule::new(r"Caught invalid memory access", "KASAN: invalid memory access in {F}", F).at(DDB).no_stack()],
            ),
            Header::new(
                "panic:",
                &[
                    Rule::new(
                        r#"panic: kernel diagnostic assertion "(.*?)" failed: file "(?:[^"\n]*/)?([^"/\n]+)""#,
                        "assert \"{1}\" failed in {2}",
                        F,
                    )
                    .no_stack(),
                    Rule::new(
                        r#"panic: kernel diagnostic assertion "(.*?)" failed"#,
                        "assert \"{1}\" failed",
                        F,
                    )
                    .no_stack(),
                    Rule::new(
                        r"panic: pool_cache_[a-z_]+: ([^ ]+) cpu free list modified",
                        "pool: cpu free list modified: {1}",
                        F,
                    )
                    .no_stack(),
                    Rule::new(
                        r"panic: pool_[a-z_]+: ([^ ]+) free list modified",
                        "pool: free list modified: {1}",
                        F,
                    )
                    .no_stack(),
                    Rule::new(r"panic: (timeout_add: to_ticks) \(.*\) < [0-9]+", "panic: {1} < 0", F).no_stack(),
                    Rule::new(r"panic: (.*)", "panic: {1}", F).no_stack(),
                ],
            )
            .except(&[r"[a-zA-Z0-9_.]panic:|ddb\.panic|ddb\.onpanic"]),
        ],
    },
    System {
        name: "gvisor",
        label: "gVisor",
        line_bytes: None,
        marks: &["FATAL ERROR:", "gvisor", "pkg/sentry", "WARNING: DATA RACE", "runsc"],
        headers: &[
            Header::new(
                "FATAL ERROR:",
                &[Rule::new(r"FATAL ERROR: (.*)", "FATAL ERROR: {1}", F).no_stack()],
            )
            // V8's words
            .except(&[r"JavaScript|Reached heap limit|CALL_AND_RETRY|mark-compacts|v8::|node::"]),
            Header::new(
                "WARNING: DATA RACE",
                &[Rule::new(r"WARNING: DATA RACE", "DATA RACE in {F}", F)
                    .at(Frame::new(&[Line(r"^ +(?:[a-z.\-]+/)*([a-zA-Z0-9_.()*]+)\(\)")]))
                    .no_stack()],
            ),
            Header::new(
                "panic:",
                &[Rule::new(r"panic: (.*)", "panic: {1}", F).no_stack()],
            ),
            Header::new(
                "fatal error:",
                &[Rule::new(r"(fatal error: .*)", "{1}", F).no_stack()],
            ),
            Header::new("SIGBUS:", &[Rule::new(r"(SIGBUS: .*)", "{1}", F).no_stack()]),
            Header::new(
                "SIGSEGV:",
                &[Rule::new(r"(SIGSEGV: .*)", "{1}", F).no_stack()],
            ),
        ],
    },
];
