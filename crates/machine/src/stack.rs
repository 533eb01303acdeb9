//! Stacks, and the frames that lie on them: what an architecture's step, the analyses of code and the
//! unwinder speak of.

use necropsy_dump::Fault;

use crate::{arch::Abi, regs::Regs};

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
    /// For what finds the task's stack overflowed.
    Overflow,
    /// Events of the firmware.
    Firmware,
    /// Where the machine runs when no other stack can be trusted.
    Emergency,
    /// Restart interrupts.
    Restart,
    /// Code that runs without address translation.
    Untranslated,
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
            StackKind::Overflow => "OVERFLOW stack",
            StackKind::Firmware => "SDEI stack",
            StackKind::Emergency => "EMERGENCY stack",
            StackKind::Restart => "RESTART stack",
            StackKind::Untranslated => "NODAT stack",
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
            StackKind::Overflow => "overflow",
            StackKind::Firmware => "sdei",
            StackKind::Emergency => "emergency",
            StackKind::Restart => "restart",
            StackKind::Untranslated => "nodat",
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
    /// The frame pointer, or the chain of frames that the code keeps.
    FramePointer,
    /// The register that a call leaves the return address in.
    Link,
    /// A word on the stack that looks like a return address.
    Scan,
    /// The deepest word on the stack from which calls lead to the registers that were saved.
    Search,
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
            FoundBy::Link => "lr",
            FoundBy::Scan => "scan",
            FoundBy::Search => "search",
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
    /// A caller: `pc` was found in the stack's `slot`, and `sp` is what the return leaves.
    pub(crate) fn returning(abi: &Abi, pc: u64, sp: u64, slot: u64, found_by: FoundBy) -> Frame {
        let mut regs = Regs::new();
        regs.set(abi.program_counter, pc);
        regs.set(abi.stack_pointer, sp);
        Frame { pc, sp, slot, found_by, interrupted: false, regs, saved_regs: false, stack: None }
    }

    /// The address to look up symbols and lines by: inside the call for a return address.
    pub fn lookup_pc(&self) -> u64 {
        if self.interrupted { self.pc } else { self.pc.wrapping_sub(1) }
    }
}

/// What one step of an architecture's own way leads to.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// The caller, or what an exception interrupted.
    Frame(Frame),
    /// The registers of a user program, saved at this stack address.
    User(u64, Regs),
    /// The outermost frame is reached.
    End,
    /// What was needed cannot be read.
    Fault(Fault),
    /// Nothing is known of the code.
    Unknown,
}
