//! arch/arm64/include/asm/processor.h, stacktrace.h, arch/arm64/kernel/irq.c

use necropsy_lexicon::reg::aarch64::*;
use necropsy_machine::unwind::{Stack, StackKind, Start};

use super::{Stacks, check_stack, member, per_cpu_pointer, pointer, start};
use crate::{error::Result, kernel::Kernel, task::Task};

pub(super) struct Aarch64;

/// Bytes of the stack for what finds another one overflowed (OVERFLOW_STACK_SIZE).
const OVERFLOW_STACK: u64 = 4096;

impl Stacks for Aarch64 {
    fn futex_call(&self) -> Option<u64> {
        Some(98)
    }

    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack> {
        let mut stacks = Vec::new();
        let mut push = |kind, start| stacks.push(super::stack_from(kernel, kind, start));
        for (name, kind) in [
            ("irq_stack_ptr", StackKind::Irq),
            ("sdei_stack_normal_ptr", StackKind::Firmware),
            ("sdei_stack_critical_ptr", StackKind::Firmware),
        ] {
            if let Some(start) = per_cpu_pointer(kernel, name, cpu) {
                push(kind, start);
            }
        }
        if let Ok(start) = kernel.per_cpu("overflow_stack", cpu) {
            let end = start.saturating_add(OVERFLOW_STACK);
            stacks.push(Stack { kind: StackKind::Overflow, start, end });
        }
        stacks
    }

    fn switched_sp(&self, task: Task<'_>) -> Result<u64> {
        pointer(task, "thread.cpu_context.sp")
    }

    fn switched(&self, task: Task<'_>) -> Result<Start> {
        check_stack(task)?;
        let target = task.kernel().target();
        // struct cpu_context: x19 to x28, fp, sp, pc.
        let context = member(task, "thread.cpu_context")?;
        let registers = [X19, X20, X21, X22, X23, X24, X25, X26, X27, X28, X29];
        let mut saved = Vec::with_capacity(registers.len());
        for (reg, at) in registers.into_iter().zip((context..).step_by(8)) {
            saved.push((reg, target.read_u64(at)?));
        }
        let pc = pointer(task, "thread.cpu_context.pc")?;
        let sp = pointer(task, "thread.cpu_context.sp")?;
        let pc = target.architecture().code_address(target.layout(), pc);
        Ok(start(task, pc, sp, sp, &saved))
    }
}
