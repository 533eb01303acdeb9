//! arch/x86/include/asm/processor.h, arch/x86/kernel/irq_32.c, cpu_entry_area.h

use necropsy_lexicon::reg::i386::*;
use necropsy_machine::unwind::{Stack, StackKind, Start};

use super::{Stacks, check_stack, per_cpu_pointer, pointer, saved_size, start};
use crate::{error::Result, kernel::Kernel, task::Task};

pub(super) struct I386;

impl Stacks for I386 {
    fn thread_size(&self) -> u64 {
        8192
    }

    fn signal_pending(&self, kernel: &Kernel) -> Option<u64> {
        super::x86_64::flag_set_by(kernel, "signal_wake_up_state")
    }

    fn futex_call(&self) -> Option<u64> {
        None
    }

    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack> {
        let mut stacks = Vec::new();
        for (name, kind) in
            [("hardirq_stack_ptr", StackKind::Irq), ("softirq_stack_ptr", StackKind::SoftIrq)]
        {
            if let Some(start) = per_cpu_pointer(kernel, name, cpu) {
                stacks.push(super::stack_from(kernel, kind, start));
            }
        }
        stacks
    }

    fn switched_sp(&self, task: Task<'_>) -> Result<u64> {
        pointer(task, "thread.sp")
    }

    fn switched(&self, task: Task<'_>) -> Result<Start> {
        check_stack(task)?;
        let kernel = task.kernel();
        let target = kernel.target();
        let sp = pointer(task, "thread.sp")?;
        let frame = |member: &str| -> Result<u64> {
            Ok(sp.wrapping_add(kernel.offset_of("inactive_task_frame", member)?))
        };
        let slot = frame("ret_addr")?;
        let pc = target.read_pointer(slot)?;
        let mut saved = Vec::new();
        for (reg, member) in [(EBX, "bx"), (EBP, "bp"), (ESI, "si"), (EDI, "di")] {
            saved.push((reg, target.read_pointer(frame(member)?)?));
        }
        Ok(start(task, pc, slot.wrapping_add(4), slot, &saved))
    }

    fn entry_regs(&self, task: Task<'_>, stack: &Stack) -> Result<u64> {
        // TOP_OF_KERNEL_STACK_PADDING: room for what virtual 8086 mode has more, where it is built in.
        let kernel = task.kernel();
        let padding = if kernel.offset_of("thread_struct", "vm86").is_ok() { 16 } else { 8 };
        Ok(stack.end.saturating_sub(saved_size(kernel) + padding))
    }
}
