//! arch/riscv/include/asm/processor.h, arch/riscv/kernel/irq.c

use necropsy_lexicon::reg::riscv64::*;
use necropsy_machine::unwind::{Stack, StackKind, Start};

use super::{Stacks, check_stack, member, per_cpu_pointer, pointer, saved_size, start};
use crate::{error::Result, kernel::Kernel, task::Task};

pub(super) struct Riscv64;

/// Bytes of the stack for what finds another one overflowed (OVERFLOW_STACK_SIZE).
const OVERFLOW_STACK: u64 = 4096;

impl Stacks for Riscv64 {
    fn futex_call(&self) -> Option<u64> {
        Some(98)
    }

    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack> {
        let mut stacks = Vec::new();
        if let Some(start) = per_cpu_pointer(kernel, "irq_stack_ptr", cpu) {
            stacks.push(super::stack_from(kernel, StackKind::Irq, start));
        }
        if let Ok(start) = kernel.per_cpu("overflow_stack", cpu) {
            let end = start.saturating_add(OVERFLOW_STACK);
            stacks.push(Stack { kind: StackKind::Overflow, start, end });
        }
        stacks
    }

    fn switched_sp(&self, task: Task<'_>) -> Result<u64> {
        pointer(task, "thread.sp")
    }

    fn switched(&self, task: Task<'_>) -> Result<Start> {
        check_stack(task)?;
        let target = task.kernel().target();
        let registers = member(task, "thread.s")?;
        let names = [S0, S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11];
        let mut saved = Vec::with_capacity(names.len());
        for (reg, at) in names.into_iter().zip((registers..).step_by(8)) {
            saved.push((reg, target.read_u64(at)?));
        }
        let (pc, sp) = (pointer(task, "thread.ra")?, pointer(task, "thread.sp")?);
        Ok(start(task, pc, sp, sp, &saved))
    }

    fn entry_regs(&self, task: Task<'_>, stack: &Stack) -> Result<u64> {
        // PT_SIZE_ON_STACK: the stack stays aligned to 16 bytes.
        let size = saved_size(task.kernel()).next_multiple_of(16);
        Ok(stack.end.saturating_sub(size))
    }
}
