//! Reports that the well-known style has no title for: they are looked for
//! only where plain titles are asked for.

use super::Step::{Line, Stack};
use super::{Frame, Header, POINTER_TRACE, Rule, TRACE};
use crate::class::Class;

const EXCEPTION: Frame =
    Frame::new(&[Line(r"exception RIP: ([a-zA-Z_][a-zA-Z0-9_]*)\+")]).foreign();

pub(super) const HEADERS: &[Header] = &[
    Header::new(
        "hard LOCKUP",
        &[Rule::new(r"hard LOCKUP", "Hard lockup in {F}", Class::HardLockup).at(POINTER_TRACE)],
    ),
    Header::new(
        "invoked oom-killer",
        &[Rule::new(
            r"([^ ]+) invoked oom-killer",
            "Out of memory, noticed by {1}",
            Class::OutOfMemory,
        )
        .no_stack()],
    ),
    Header::new(
        "page allocation failure",
        &[Rule::new(
            r"page allocation failure",
            "Page allocation failure in {F}",
            Class::AllocationFailure,
        )
        .at(TRACE)],
    ),
    Header::new(
        "[Hardware Error]: CPU ",
        &[Rule::new(
            r"\[Hardware Error\]: CPU [0-9]+: (Machine Check[^:]*)",
            "{1}",
            Class::MachineCheck,
        )
        .no_stack()],
    ),
    // the head of an oops is lost, the rest stands
    Header::new(
        "Oops: ",
        &[
            Rule::new(r"Oops: (?:Oops: )?[0-9a-f]{4,8} ", "Oops in {F}", Class::PageFault)
                .at(POINTER_TRACE)
                .corrupted(),
            Rule::new(r"Oops: ", "Oops in {F}", Class::Trap).at(POINTER_TRACE).corrupted(),
        ],
    )
    .inner()
    .except(&[r"[a-zA-Z]Oops: "]),
    Header::new(
        "double fault: ",
        &[Rule::new(r"double fault: [0-9a-f]{4} ", "Double fault in {F}", Class::DoubleFault)
            .at(POINTER_TRACE)],
    )
    .inner(),
    // `bt` of a debugger, pasted
    Header::new(
        "[exception RIP:",
        &[
            Rule::new(r"PID: [0-9]+ +TASK: ", "Page fault in {F}", Class::PageFault)
                .whole(r"(?:page_fault(?:.*\n)+?.*exception RIP)")
                .at(EXCEPTION)
                .no_stack(),
            Rule::new(r"PID: [0-9]+ +TASK: |exception RIP", "Exception in {F}", Class::Trap)
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
            Class::Trap,
        )
        .at(Frame::new(&[Line("@RIP"), Line("@CT"), Stack]))],
    )
    .inner(),
    // mips, loongarch, riscv
    Header::new(
        "Kernel bug detected",
        &[Rule::new(r"Kernel bug detected", "BUG in {F}", Class::KernelBug).at(POINTER_TRACE)],
    ),
    Header::new(
        "Data bus error, epc",
        &[Rule::new(r"Data bus error, epc", "Data bus error in {F}", Class::InternalError)
            .at(POINTER_TRACE)],
    ),
    Header::new(
        "Oops - ",
        &[Rule::new(r"Oops - ([a-z ]+) \[#", "{1} in {F}", Class::Trap).at(POINTER_TRACE)],
    )
    .inner(),
];
