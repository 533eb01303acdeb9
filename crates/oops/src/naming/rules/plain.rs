//! Reports that the well-known style has no title for: they are looked for
//! only where plain titles are asked for.

use super::Step::{Line, Stack};
use super::{Frame, Header, POINTER_TRACE, Rule, TRACE};
use necropsy_lexicon::Symptom;

const EXCEPTION: Frame =
    Frame::new(&[Line(r"exception RIP: ([a-zA-Z_][a-zA-Z0-9_]*)(?:\+|\])")]).foreign();

const LOCKUP: &[Rule] =
    &[Rule::new(r"(?i)hard LOCKUP", "Hard lockup in {F}", Symptom::HardLockup).at(POINTER_TRACE)];

/// What SLUB says of an object (`mm/slub.c`, `slab_bug`).
const SLUB: &[Rule] = &[Rule::new(
    r"BUG ([^ ]+?)(?: \(.*\))?: (.*)",
    "Slab corruption: {2}, cache {1}, in {F}",
    Symptom::Slab,
)
.at(TRACE)];

pub(super) const HEADERS: &[Header] = &[
    Header::new("hard LOCKUP", LOCKUP).inner(),
    Header::new("Hard LOCKUP", LOCKUP).inner(),
    Header::new(
        "invoked oom-killer",
        &[Rule::new(
            r"([^ ]+) invoked oom-killer",
            "Out of memory, noticed by {1}",
            Symptom::OutOfMemory,
        )
        .no_stack()],
    ),
    // the line of the kill alone
    Header::new(
        "ut of memory: Kill",
        &[Rule::new(
            r"[Oo]ut of memory: Kill(?:ed)? process [0-9]+ \((.*?)\)",
            "Out of memory",
            Symptom::OutOfMemory,
        )
        .no_stack()],
    )
    .inner(),
    Header::new(
        "page allocation failure",
        &[Rule::new(
            r"page allocation failure",
            "Page allocation failure in {F}",
            Symptom::AllocationFailure,
        )
        .at(TRACE)],
    ),
    Header::new(
        "[Hardware Error]: CPU ",
        &[Rule::new(
            r"\[Hardware Error\]: CPU [0-9]+: (Machine Check[^:]*)",
            "{1}",
            Symptom::MachineCheck,
        )
        .no_stack()],
    )
    .inner()
    .only(r"CPU [0-9]+: Machine Check"),
    Header::new(
        "[Hardware Error]: CPU:",
        &[Rule::new(r"\[Hardware Error\]: CPU:", "Machine check", Symptom::MachineCheck)
            .no_stack()],
    )
    .inner()
    .only(r"CPU:[0-9]+ .*_STATUS"),
    // x86 before 2.6.32
    Header::new(
        ": Machine Check Exception:",
        &[Rule::new(r"Machine Check Exception:", "Machine check", Symptom::MachineCheck)
            .no_stack()],
    )
    .inner()
    .except(&[r"\[Hardware Error\]"])
    .only(r"CPU ?[0-9]+: Machine Check Exception:"),
    Header::new(
        ": Machine Check Event: ",
        &[Rule::new(r"Machine Check Event: ", "Machine check", Symptom::MachineCheck).no_stack()],
    )
    .inner(),
    Header::new(
        "EDAC MC",
        &[Rule::new(r"EDAC MC[0-9]+: ", "Machine check", Symptom::MachineCheck).no_stack()],
    )
    .inner()
    .only(r"EDAC MC[0-9]+: [0-9]+ (?:CE|UE|FE) "),
    Header::new(
        "Hardware error from APEI",
        &[Rule::new(
            r"Hardware error from APEI",
            "Hardware error reported by the firmware",
            Symptom::MachineCheck,
        )
        .no_stack()],
    )
    .inner(),
    // `ex_handler_msr` (`arch/x86/mm/extable.c`)
    Header::new(
        "unchecked MSR access error: ",
        &[Rule::new(
            r"unchecked MSR access error: (WRMSR to|RDMSR from) (0x[0-9a-f]+)",
            "Unchecked MSR access ({1} {2}) in {F}",
            Symptom::Warning,
        )
        .at(Frame::new(&[Line(r"at rIP: 0x[0-9a-f]+ \(@FUNC")]).or(&[Line("@CT"), Stack]))
        .no_stack()],
    ),
    // SysRq w
    Header::new(
        ": Show Blocked State",
        &[Rule::new(r"Show Blocked State", "Blocked tasks in {F}", Symptom::HungTask)
            .at(TRACE)
            .no_stack()],
    )
    .only(r"(?i)sysrq ?: Show Blocked State"),
    // what an interrupt's line is left with (`kernel/irq/spurious.c`)
    Header::new(
        ": nobody cared",
        &[Rule::new(
            r"irq ([0-9]+): nobody cared",
            "Interrupt {1}: nobody cared",
            Symptom::Warning,
        )
        .nobody()],
    )
    .only(r"irq [0-9]+: nobody cared"),
    // a call to a function of another type (`kernel/cfi.c`)
    Header::new(
        "CFI failure at ",
        &[Rule::new(r"CFI failure at ", "Wrong type of function called in {F}", Symptom::KernelBug)
            .at(Frame::new(&[Line(r"CFI failure at @FUNC")]))
            .no_stack()],
    )
    .only(r"CFI failure at [a-zA-Z_][a-zA-Z0-9_.]*\+0x"),
    // a file system's own check (`fs/xfs/xfs_error.c`)
    Header::new(
        "nternal error ",
        &[Rule::new(
            r"XFS.*[Ii]nternal error .* at line [0-9]+ of file",
            "XFS internal error in {F}",
            Symptom::Warning,
        )
        .at(Frame::new(&[Line(r"Caller (?:0x[0-9a-f]+|@FUNC)")]).or(&[Line("@CT"), Stack]))
        .no_stack()],
    )
    .only(r"XFS.*[Ii]nternal error .* at line [0-9]+ of file"),
    // the head of an oops is lost, the rest stands
    Header::new(
        "Oops: ",
        &[
            Rule::new(r"Oops: (?:Oops: )?[0-9a-f]{4,8} ", "Oops in {F}", Symptom::PageFault)
                .at(POINTER_TRACE)
                .corrupted(),
            Rule::new(r"Oops: ", "Oops in {F}", Symptom::Trap).at(POINTER_TRACE).corrupted(),
        ],
    )
    .inner()
    .only(r"Oops: (?:Oops: )?(?:(?:0x)?[0-9a-f]{1,16}\b|.*\[#|[A-Z][a-z].*, sig: )")
    .except(&[r"[a-zA-Z]Oops: "]),
    Header::new(
        "double fault: ",
        &[Rule::new(r"double fault: [0-9a-f]{4} ", "Double fault in {F}", Symptom::DoubleFault)
            .at(POINTER_TRACE)],
    )
    .inner(),
    // `bt` of a debugger, pasted
    Header::new(
        "[exception RIP:",
        &[
            Rule::new(r"PID: [0-9]+ +TASK: ", "Page fault in {F}", Symptom::PageFault)
                .whole(r"(?:page_fault(?:.*\n)+?.*exception RIP)")
                .at(EXCEPTION)
                .no_stack(),
            Rule::new(r"PID: [0-9]+ +TASK: |exception RIP", "Exception in {F}", Symptom::Trap)
                .at(EXCEPTION)
                .no_stack(),
        ],
    )
    .since("PID: "),
    // s390
    Header::new(
        " ilc:",
        &[Rule::new(
            r"([a-z\- ]+(?:exception|operation|event)): [0-9a-f]{4} ilc:",
            "{1} in {F}",
            Symptom::Trap,
        )
        .at(Frame::new(&[Line("@RIP"), Line("@CT"), Stack]))],
    )
    .inner(),
    // the report of kmemleak, as /sys/kernel/debug/kmemleak has it
    Header::new(
        "unreferenced object ",
        &[Rule::new(r"unreferenced object ", "Memory leak in {F}", Symptom::MemoryLeak)
            .at(Frame::new(&[Line("backtrace"), Stack]).skip(&["leak"]))],
    )
    .inner()
    .only(r"unreferenced object (?:\(percpu\) )?0x[0-9a-f]+ \(size [0-9]+\):"),
    // arm64, arm and riscv: the panic comes some lines below
    Header::new(
        "Insufficient stack space to handle exception",
        &[Rule::new(
            r"Insufficient stack space to handle exception",
            "Kernel stack overflow in {F}",
            Symptom::StackOverflow,
        )
        .at(POINTER_TRACE)],
    ),
    // arm64
    Header::new(
        "SError Interrupt on CPU",
        &[Rule::new(r"SError Interrupt on CPU", "SError in {F}", Symptom::InternalError)
            .at(POINTER_TRACE)],
    ),
    Header::new(
        "Bad mode in ",
        &[Rule::new(r"Bad mode in (.*) detected", "Bad mode ({1}) in {F}", Symptom::InternalError)
            .at(POINTER_TRACE)],
    )
    .only(r"Bad mode in .* detected"),
    Header::new(
        "Unhandled fault at 0x",
        &[Rule::new(r"Unhandled fault at 0x", "Unhandled fault in {F}", Symptom::InternalError)
            .at(POINTER_TRACE)],
    ),
    // mips, loongarch, riscv
    Header::new(
        "Kernel bug detected",
        &[Rule::new(r"Kernel bug detected", "BUG in {F}", Symptom::KernelBug).at(POINTER_TRACE)],
    ),
    Header::new(
        "Reserved instruction in kernel code",
        &[Rule::new(
            r"Reserved instruction in kernel code",
            "Reserved instruction in {F}",
            Symptom::InvalidOpcode,
        )
        .at(POINTER_TRACE)],
    ),
    Header::new(
        "Got mcheck at ",
        &[Rule::new(r"Got mcheck at ", "Machine check in {F}", Symptom::MachineCheck)
            .at(POINTER_TRACE)
            .no_stack()],
    )
    .only(r"Got mcheck at [0-9a-f]{8}"),
    // PowerPC's debugger
    Header::new(
        ": Vector: ",
        &[Rule::new(r"Vector: [0-9a-f]+ \((.*?)\) at", "{1} in {F}", Symptom::Trap)
            .at(Frame::new(&[Line(r"^ +pc: [0-9a-f]+: \.?@FUNC")]))
            .no_stack()],
    )
    .inner()
    .only(r"[cC]pu 0x[0-9a-f]+: Vector: [0-9a-f]+ \("),
    Header::new(
        "Unrecoverable Machine Check exception",
        &[Rule::new(
            r"Unrecoverable Machine Check",
            "Unrecoverable machine check in {F}",
            Symptom::MachineCheck,
        )
        .at(POINTER_TRACE)
        .no_stack()],
    )
    .inner(),
    Header::new(
        " bus error, ",
        &[Rule::new(
            r"(Data|Instruction) bus error, (?:epc|era)",
            "{1} bus error in {F}",
            Symptom::InternalError,
        )
        .at(POINTER_TRACE)],
    )
    .only(r"(?:Data|Instruction) bus error, (?:epc|era)"),
    Header::new(
        "Oops - ",
        &[Rule::new(r"Oops - ([a-z ]+) \[#", "{1} in {F}", Symptom::Trap).at(POINTER_TRACE)],
    )
    .inner(),
    Header::new("Oops[#", &[Rule::new(r"Oops\[#", "Oops in {F}", Symptom::Trap).at(POINTER_TRACE)])
        .inner(),
    Header::new(
        "Oops [#",
        &[Rule::new(r"Oops \[#", "Oops in {F}", Symptom::Trap).at(POINTER_TRACE)],
    )
    .inner(),
    Header::new(
        "Unhandled kernel unaligned access",
        &[Rule::new(
            r"Unhandled kernel unaligned access",
            "Unaligned access in {F}",
            Symptom::Alignment,
        )
        .at(POINTER_TRACE)],
    ),
    // sparc, parisc
    Header::new(
        "Kernel unaligned access at TPC",
        &[Rule::new(
            r"Kernel unaligned access at TPC",
            "Unaligned access in {F}",
            Symptom::Alignment,
        )
        .at(Frame::new(&[Line(r"TPC\[[0-9a-f]+\] @FUNC|TPC<([a-zA-Z_][a-zA-Z0-9_]*)")]))],
    ),
    Header::new(
        "Kernel Fault: Code=",
        &[Rule::new(r"Kernel Fault: Code=[0-9]+ \((.*?)\)", "{1} in {F}", Symptom::PageFault)
            .at(POINTER_TRACE)],
    ),
    // the allocator's own checks
    Header::new("BUG ", SLUB).only(
        r"\bBUG [^ ]+? \([^)]*\): |\bBUG [^ ]+: (?:Objects remaining|Object |Invalid object|Freepointer|Freechain|Freelist|Wrong object|Attempt to free|Not a valid|Slab has|inuse |objects |(?:Poison|Redzone|Padding|Left Redzone|Right Redzone|Object padding|Slab padding|Alignment padding) )",
    ).except(&["kasan: bad access"]),
    Header::new(
        "allocated objects but",
        &[Rule::new(
            r"Slab has [0-9]+ allocated objects but [0-9]+ are to be freed",
            "Slab corruption: wrong object count in {F}",
            Symptom::Slab,
        )
        .at(TRACE)],
    ),
    // OpenZFS and its portability layer; Lustre
    Header::new(
        "PANIC at ",
        &[Rule::new(
            r"PANIC at ([^ :]+):[0-9]+:([a-zA-Z_0-9]+)\(\)",
            "Assertion failed in {F}",
            Symptom::KernelBug,
        )
        .at(Frame::new(&[Line(r"PANIC at [^ :]+:[0-9]+:([a-zA-Z_0-9]+)\(\)")])
            .or(&[Line("@CT"), Stack]))
        .no_stack()],
    )
    .since("VERIFY")
    .only(r"PANIC at [^ :]+:[0-9]+:"),
    Header::new(
        "SPL PANIC",
        &[Rule::new(
            r":([a-zA-Z_0-9]+)\(\)\) SPL PANIC",
            "Assertion failed in {1}",
            Symptom::KernelBug,
        )
        .no_stack()],
    )
    .since("VERIFY"),
    Header::new(
        "ASSERTION(",
        &[Rule::new(
            r":([a-zA-Z_0-9]+)\(\)\) ASSERTION\(",
            "Assertion failed in {1}",
            Symptom::KernelBug,
        )
        .no_stack()],
    )
    .only(r"\(\)\) ASSERTION\("),
    // whatever else an architecture died of: `die()` counts what it prints
    Header::new(
        "[#",
        &[Rule::new(
            r"^[ \t]*(?:.*?\): )?([A-Za-z][^\[\n]*?)(?:[:,]? ?(?:0x)?[0-9a-f]{4,16})? ?:? ?\[#[0-9]+\]",
            "{1} in {F}",
            Symptom::Trap,
        )
        .at(POINTER_TRACE)],
    )
    .inner()
    .only(r"[A-Za-z0-9:] ?\[#[0-9]+\](?::| |$)"),
];
