//! One unwinder, honest frames: each says how it was found, and a trace says why it ended.
//!
//! ORC first (arch/x86/kernel/unwind_orc.c is the reference for its rules), then the rules of debug
//! information, then the return address of a call of the function at hand, then the frame pointer,
//! then a scan for words that a call instruction could have left. A frame found by scanning is a
//! candidate, and is marked so.

mod cfi;
mod orc;
mod scan;

use necropsy_dump::Fault;

use crate::{
    Target,
    regs::{Reg, Regs},
};

/// What a stack is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StackKind {
    /// A task's own stack.
    Task,
    /// Hardware interrupts (and, where they share it, softirqs).
    Irq,
    /// Softirqs.
    SoftIrq,
    /// Double fault.
    DoubleFault,
    /// Non-maskable interrupt.
    Nmi,
    /// Debug exception.
    Debug,
    /// Machine check.
    MachineCheck,
    /// SEV-ES #VC.
    VmmCommunication,
    /// Entry trampoline.
    Entry,
}

impl StackKind {
    /// The name in crash's stack marker, `--- <NMI exception stack> ---`.
    pub fn title(self) -> &'static str {
        match self {
            StackKind::Task => "task stack",
            StackKind::Irq => "IRQ stack",
            StackKind::SoftIrq => "SOFTIRQ stack",
            StackKind::DoubleFault => "DOUBLEFAULT exception stack",
            StackKind::Nmi => "NMI exception stack",
            StackKind::Debug => "DEBUG exception stack",
            StackKind::MachineCheck => "MCE exception stack",
            StackKind::VmmCommunication => "VC exception stack",
            StackKind::Entry => "entry trampoline stack",
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            StackKind::Task => "task",
            StackKind::Irq => "irq",
            StackKind::SoftIrq => "softirq",
            StackKind::DoubleFault => "double_fault",
            StackKind::Nmi => "nmi",
            StackKind::Debug => "debug",
            StackKind::MachineCheck => "mce",
            StackKind::VmmCommunication => "vc",
            StackKind::Entry => "entry",
        }
    }
}

/// A stack's place in kernel virtual memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// What it is used for.
    pub kind: StackKind,
    /// Lowest address.
    pub start: u64,
    /// One past the highest.
    pub end: u64,
}

/// How a frame was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoundBy {
    /// Registers: of the CPU, of a sleeping task, or saved by an exception.
    Registers,
    /// The kernel's ORC table.
    Orc,
    /// The rules of debug information (`.debug_frame`).
    Cfi,
    /// The return address of a direct call of the inner function, searched on the stack.
    Call,
    /// The frame pointer.
    FramePointer,
    /// A word on the stack that looks like a return address.
    Scan,
}

impl FoundBy {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            FoundBy::Registers => "regs",
            FoundBy::Orc => "orc",
            FoundBy::Cfi => "cfi",
            FoundBy::Call => "call",
            FoundBy::FramePointer => "fp",
            FoundBy::Scan => "scan",
        }
    }
}

/// One frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Where execution was, or will return to.
    pub pc: u64,
    /// Stack pointer while `pc` was executing.
    pub sp: u64,
    /// Stack address where `pc` was found; equals `sp` for registers that lie on no stack.
    pub slot: u64,
    /// How it was found.
    pub found_by: FoundBy,
    /// `pc` is where the code was interrupted, not a return address.
    pub interrupted: bool,
    /// The registers known in this frame.
    pub regs: Regs,
    /// `regs` is a whole set saved by an exception or by the dying CPU.
    pub saved_regs: bool,
    /// The stack that `sp` lies on.
    pub stack: Option<StackKind>,
}

impl Frame {
    /// The address to look up symbols and lines by: inside the call for a return address.
    pub fn lookup_pc(&self) -> u64 {
        if self.interrupted { self.pc } else { self.pc.wrapping_sub(1) }
    }
}

/// Why a trace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The outermost frame.
    Complete,
    /// The stack could not be read on.
    Fault(Fault),
    /// Nothing says how to go on from here, and the stack above holds no return address.
    Lost,
    /// The stack pointer went backwards on one stack.
    Backwards,
    /// More frames than any stack holds.
    TooDeep,
}

/// A stack trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// The registers with which user space entered the kernel, at this address on the stack.
    pub user: Option<(u64, Regs)>,
    /// Why it ended.
    pub end: End,
}

/// No real stack is deeper: 32 KiB of the smallest frames.
const MAX_FRAMES: usize = 4096;

/// Where to begin.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// At least RIP and RSP.
    pub regs: Regs,
    /// RIP is the interrupted instruction, not a return address.
    pub interrupted: bool,
    /// The registers are a whole set.
    pub saved_regs: bool,
    /// Where RIP was found; RSP when on no stack.
    pub slot: Option<u64>,
}

/// Walks a stack from `start`. `stacks` are those which this CPU or task can be on.
pub fn unwind(target: &Target, start: &Start, stacks: &[Stack]) -> Trace {
    let mut trace = Trace { frames: Vec::new(), user: None, end: End::Lost };
    let (Some(pc), Some(sp)) = (start.regs.get(Reg::Rip), start.regs.get(Reg::Rsp)) else {
        return trace;
    };
    let on = |sp: u64| stacks.iter().find(|s| (s.start..s.end).contains(&sp));
    if start.regs.user_mode() {
        trace.user = Some((sp, start.regs));
        trace.end = End::Complete;
        return trace;
    }
    let mut frame = Frame {
        pc,
        sp,
        slot: start.slot.unwrap_or(sp),
        found_by: FoundBy::Registers,
        interrupted: start.interrupted,
        regs: start.regs,
        saved_regs: start.saved_regs,
        stack: on(sp).map(|s| s.kind),
    };
    loop {
        trace.frames.push(frame);
        if trace.frames.len() >= MAX_FRAMES {
            trace.end = End::TooDeep;
            return trace;
        }
        let here = on(frame.sp);
        let next = match orc::step(target, &frame) {
            orc::Step::Frame(next) => Some(next),
            orc::Step::User(at, regs) => {
                trace.user = Some((at, regs));
                trace.end = End::Complete;
                return trace;
            }
            orc::Step::End => {
                trace.end = End::Complete;
                return trace;
            }
            orc::Step::Fault(fault) => {
                trace.end = End::Fault(fault);
                None
            }
            orc::Step::Unknown => {
                trace.end = End::Lost;
                None
            }
        };
        let advances = |next: &Frame| {
            let there = on(next.sp);
            match (here, there) {
                (Some(a), Some(b)) if a == b => next.sp > frame.sp,
                (_, Some(_)) => true,
                (None, None) => next.sp > frame.sp,
                (Some(_), None) => false,
            }
        };
        let next = next
            .filter(advances)
            .or_else(|| cfi::step(target, &frame).filter(advances))
            .or_else(|| scan::called_from(target, &frame, here))
            .or_else(|| scan::frame_pointer(target, &frame, here))
            .or_else(|| scan::scan(target, &frame, here));
        match next {
            Some(mut next) => {
                next.stack = on(next.sp).map(|s| s.kind);
                cfi::recover(target, &frame, &mut next);
                crate::dataflow::recover(target, &frame, &mut next);
                frame = next;
            }
            None => {
                // A stack that ends exactly at its top has been walked to its end.
                if trace.end == End::Lost && here.is_some_and(|s| frame.sp >= s.end) {
                    trace.end = End::Complete;
                }
                return trace;
            }
        }
    }
}
