//! Faults of the processor, and every header that is none of the big four.

use super::{Header, POINTER, POINTER_TRACE, Rule, TRACE};
use necropsy_lexicon::Symptom;

const BAD_ACCESS: &[&str] = &["bad-access in {F}"];

/// Tried before `Kernel panic`.
pub(super) const FAULTS: &[Header] = &[
    Header::new(
        "Unable to handle kernel",
        &[
            Rule::new(
                r"Unable to handle kernel (NULL pointer dereference)",
                "BUG: unable to handle kernel {1} in {F}",
                Symptom::NullPointer,
            )
            .at(POINTER_TRACE)
            .alt(BAD_ACCESS),
            Rule::new(
                r"Unable to handle kernel (paging request|access to user memory)",
                "BUG: unable to handle kernel {1} in {F}",
                Symptom::PageFault,
            )
            .at(POINTER_TRACE)
            .alt(BAD_ACCESS),
            Rule::new(
                r"Unable to handle kernel (?:read from unreadable memory|write to read-only memory|execut(?:e|ion) (?:from|of) (?:non-executable|user) memory|pointer dereference)",
                "BUG: unable to handle kernel paging request in {F}",
                Symptom::PageFault,
            )
            .at(POINTER_TRACE)
            .alt(BAD_ACCESS),
        ],
    ),
    Header::new(
        "general protection fault",
        &[Rule::new(
            r"general protection fault.*:",
            "general protection fault in {F}",
            Symptom::GeneralProtection,
        )
        .at(POINTER_TRACE)
        .alt(BAD_ACCESS)],
    )
    .except(&[
        // a user program's fault, told by the kernel
        r"general protection fault:? (?:ip|rip):|general protection ip:|general protection fault.* error:[0-9a-f]+ in ",
    ]),
    Header::new(
        "stack segment: ",
        &[Rule::new(
            r"stack segment: ",
            "stack segment fault in {F}",
            Symptom::StackSegment,
        )
        .at(POINTER_TRACE)],
    ),
];

/// Tried after `Kernel panic`.
pub(super) const REST: &[Header] = &[
    Header::new(
        "PANIC: double fault",
        &[Rule::new(r"PANIC: double fault", "PANIC: double fault in {F}", Symptom::DoubleFault)
            .at(POINTER)],
    )
    .inner(),
    Header::new(
        "rust_kernel: panicked",
        &[Rule::new(r"rust_kernel: panicked", "{1} in {F}", Symptom::RustPanic)
            .whole(r"rust_kernel: panicked at .*\n(.*)\n")
            .at(TRACE.skip(&["rust-unwind"]))],
    ),
    Header::new(
        "kernel BUG",
        &[
            Rule::new(
                r"kernel BUG at .*mm/usercopy\.c",
                "BUG: bad usercopy in {F}",
                Symptom::Usercopy,
            )
            .at(TRACE.skip(&["usercopy"])),
            Rule::new(
                r"kernel BUG at .*lib/list_debug\.c",
                "BUG: corrupted list in {F}",
                Symptom::ListCorruption,
            )
            .at(TRACE)
            .alt(BAD_ACCESS),
            Rule::new(r"kernel BUG at ", "kernel BUG in {F}", Symptom::KernelBug)
                .at(POINTER_TRACE.skip(&["skb-wrap"])),
        ],
    ),
    Header::new(
        "Kernel BUG",
        &[Rule::new(r"Kernel BUG (.*)", "kernel BUG {1}", Symptom::KernelBug)],
    ),
    Header::new(
        "BUG kmalloc-",
        &[Rule::new(
            r"BUG kmalloc-.*: Object already free",
            "BUG: Object already free",
            Symptom::Slab,
        )],
    )
    .narrow(),
    Header::new(
        "divide error:",
        &[Rule::new(r"divide error: ", "divide error in {F}", Symptom::DivideError).at(POINTER)],
    ),
    Header::new(
        "divide_error:",
        &[Rule::new(r"divide_error: ", "divide error in {F}", Symptom::DivideError).at(POINTER)],
    ),
    Header::new(
        "invalid opcode:",
        &[Rule::new(r"invalid opcode: ", "invalid opcode in {F}", Symptom::InvalidOpcode)
            .at(POINTER)],
    )
    .inner()
    .except(&[r"invalid opcode: ?(?:ip|rip):|trap invalid opcode"]),
    Header::new("int3:", &[Rule::new(r"int3: ", "int3 in {F}", Symptom::Trap).at(POINTER_TRACE)])
        .except(&[r"[a-zA-Z0-9_]int3:|trap int3"]),
    Header::new(
        "UBSAN:",
        &[
            Rule::new(
                r"UBSAN: array-index-out-of-bounds in",
                "UBSAN: array-index-out-of-bounds in {F}",
                Symptom::Ubsan,
            )
            .at(TRACE.skip(&["ubsan"]))
            .alt(BAD_ACCESS),
            Rule::new(
                r"UBSAN: Undefined behaviour in",
                "UBSAN: undefined-behaviour in {F}",
                Symptom::Ubsan,
            )
            .at(TRACE.skip(&["ubsan"])),
            Rule::new(r"UBSAN: ([a-z\-]+) in", "UBSAN: {1} in {F}", Symptom::Ubsan)
                .at(TRACE.skip(&["ubsan"])),
        ],
    )
    .except(&[r"[a-zA-Z0-9_]UBSAN:"]),
    Header::new(
        "Booting the kernel.",
        &[Rule::new(r"^Booting the kernel\.", "unexpected kernel reboot", Symptom::Reboot)
            .no_stack()],
    )
    .except(&[r"[^\s].*Booting the kernel\."]),
    Header::new(
        "unregister_netdevice: waiting for",
        &[Rule::new(
            r"unregister_netdevice: waiting for .* to become free",
            "unregister_netdevice: waiting for DEV to become free",
            Symptom::DeviceReference,
        )
        .no_stack()],
    )
    .inner(),
    Header::new(
        "VFS: Close: file count is 0",
        &[Rule::new(
            r"VFS: Close: file count is 0",
            "VFS: Close: file count is zero (use-after-free)",
            Symptom::Vfs,
        )
        .no_stack()],
    ),
    Header::new(
        "VFS: Busy inodes after unmount",
        &[Rule::new(
            r"VFS: Busy inodes after unmount",
            "VFS: Busy inodes after unmount (use-after-free)",
            Symptom::Vfs,
        )
        .no_stack()],
    ),
    Header::new(
        "Internal error:",
        &[Rule::new(r"Internal error: ", "Internal error in {F}", Symptom::InternalError)
            .at(POINTER_TRACE)
            .alt(BAD_ACCESS)],
    )
    .inner(),
    Header::new(
        "Unhandled fault:",
        &[Rule::new(r"Unhandled fault: ", "Unhandled fault in {F}", Symptom::InternalError)
            .at(POINTER_TRACE)
            .alt(BAD_ACCESS)],
    ),
    Header::new(
        "Alignment trap:",
        &[Rule::new(r"Alignment trap: ", "Alignment trap in {F}", Symptom::Alignment)
            .at(POINTER_TRACE)],
    ),
    Header::new(
        "trusty: panic",
        &[
            Rule::new(
                r"trusty: panic.*?ASSERT FAILED at",
                "trusty: ASSERT FAILED: {1}",
                Symptom::Firmware,
            )
            .whole(r"trusty: panic.*?ASSERT FAILED at \(.*?\): (.+)")
            .no_stack(),
            Rule::new(r"trusty: panic.*?: (.*)", "trusty: panic: {1}", Symptom::Firmware)
                .no_stack(),
        ],
    ),
    Header::new(
        "fatal error:",
        &[Rule::new(r"fatal error: ", "go runtime error", Symptom::UserProgram).no_stack()],
    )
    .except(&[r"ALSA|snd_|[Ss]ound"]),
    Header::new("SYZFAIL:", &[Rule::new(r"(SYZFAIL: .*)", "{1}", Symptom::UserProgram).no_stack()]),
    Header::new(
        "SYZFATAL:",
        &[Rule::new(r"(SYZFATAL: .*)", "{1}", Symptom::UserProgram).no_stack()],
    ),
    Header::new(
        "panic:",
        &[Rule::new(r"panic: (.*)", "panic: {1}", Symptom::UserProgram).no_stack()],
    )
    .except(&[
        r"[a-zA-Z0-9_.]panic:",
        // a setting among others
        r"panic:[^ ]",
        r"evtlog_status: |ddb\.onpanic:|init: .*panic:|kernel\.panic",
    ]),
];
