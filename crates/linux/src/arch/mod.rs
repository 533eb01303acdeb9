//! What Linux keeps differently on each architecture: where stacks lie, and where a task that was
//! switched out left its registers. One file for one architecture; the machine's own side of it is
//! `crates/machine/src/arch`.

mod aarch64;
mod i386;
mod ppc64;
mod riscv64;
mod s390x;
mod x86_64;

use necropsy_lexicon::{Arch, Reg};
use necropsy_machine::{
    Regs, Target,
    unwind::{Stack, StackKind, Start},
};

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    task::Task,
};

/// One architecture.
pub(crate) trait Stacks: Sync {
    /// Bytes of a task's stack, when the types do not say.
    fn thread_size(&self) -> u64 {
        16384
    }

    /// The number of the system call `futex`; `None` where a process does not pass its arguments as a
    /// function does.
    fn futex_call(&self) -> Option<u64>;

    /// `TIF_SIGPENDING`, as a mask of `thread_info.flags`; `None` where it is not known here.
    fn signal_pending(&self, _: &Kernel) -> Option<u64> {
        None
    }

    /// The stacks that a CPU uses besides those of its tasks.
    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack>;

    /// The stack pointer of a task that was switched out.
    fn switched_sp(&self, task: Task<'_>) -> Result<u64>;

    /// Where the trace of a task that was switched out begins.
    fn switched(&self, task: Task<'_>) -> Result<Start>;

    /// Where the registers lie with which a task entered the kernel, given its stack.
    fn entry_regs(&self, task: Task<'_>, stack: &Stack) -> Result<u64> {
        Ok(stack.end.saturating_sub(saved_size(task.kernel())))
    }
}

/// That of a target.
pub(crate) fn of(target: &Target) -> &'static dyn Stacks {
    match target.abi().arch {
        Arch::Aarch64 => &aarch64::Aarch64,
        Arch::I386 => &i386::I386,
        Arch::Ppc64 => &ppc64::Ppc64,
        Arch::Riscv64 => &riscv64::Riscv64,
        Arch::S390x => &s390x::S390x,
        _ => &x86_64::X86_64,
    }
}

/// Bytes of `struct pt_regs`.
fn saved_size(kernel: &Kernel) -> u64 {
    let target = kernel.target();
    target.struct_size("pt_regs").unwrap_or(target.architecture().saved_size() as u64)
}

/// The pointer in a per-CPU variable, unless it is NULL.
fn per_cpu_pointer(kernel: &Kernel, name: &str, cpu: u32) -> Option<u64> {
    let at = kernel.per_cpu(name, cpu).ok()?;
    kernel.target().read_pointer(at).ok().filter(|pointer| *pointer != 0)
}

/// A stack by its lowest address.
fn stack_from(kernel: &Kernel, kind: StackKind, start: u64) -> Stack {
    Stack { kind, start, end: start.saturating_add(kernel.thread_size()) }
}

/// The address of a member of a task.
fn member(task: Task<'_>, path: &str) -> Result<u64> {
    Ok(task.address.wrapping_add(task.kernel().offset_of("task_struct", path)?))
}

/// The pointer in a member of a task.
fn pointer(task: Task<'_>, path: &str) -> Result<u64> {
    Ok(task.kernel().target().read_pointer(member(task, path)?)?)
}

/// The beginning of a trace at a return address that was saved in `slot`. A task that has not run
/// yet begins at the first instruction of a function.
fn start(task: Task<'_>, pc: u64, sp: u64, slot: u64, saved: &[(Reg, u64)]) -> Start {
    let target = task.kernel().target();
    let abi = target.abi();
    let mut regs = Regs::new();
    regs.set(abi.program_counter, pc);
    regs.set(abi.stack_pointer, sp);
    saved.iter().for_each(|(reg, value)| regs.set(*reg, *value));
    let begins = target.locate(pc).is_some_and(|located| located.offset == 0);
    Start { regs, interrupted: begins, saved_regs: false, slot: Some(slot) }
}

/// That a task has no stack any more.
fn check_stack(task: Task<'_>) -> Result<()> {
    match task.stack()? {
        0 => Err(Error::absent("stack of this task: it has exited")),
        _ => Ok(()),
    }
}
