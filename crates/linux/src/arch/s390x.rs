//! arch/s390/include/asm/processor.h, lowcore.h, stacktrace.h

use necropsy_lexicon::reg::s390x::*;
use necropsy_machine::unwind::{Stack, StackKind, Start};

use super::{Stacks, check_stack, pointer, start};
use crate::{error::Result, kernel::Kernel, task::Task};

pub(super) struct S390x;

impl Stacks for S390x {
    fn futex_call(&self) -> Option<u64> {
        Some(238)
    }

    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack> {
        let target = kernel.target();
        let lowcore = kernel.symbol("lowcore_ptr").ok().and_then(|table| {
            target.read_pointer_at(table, u64::from(cpu)).ok().filter(|at| *at != 0)
        });
        let Some(lowcore) = lowcore else { return Vec::new() };
        // Each pointer leads to the first frame at the top.
        let members = [
            ("async_stack", StackKind::Irq),
            ("restart_stack", StackKind::Restart),
            ("nodat_stack", StackKind::Untranslated),
            ("mcck_stack", StackKind::MachineCheck),
        ];
        let found = members.into_iter().filter_map(|(member, kind)| {
            let offset = kernel.offset_of("lowcore", member).ok()?;
            let top = target.read_u64(lowcore.wrapping_add(offset)).ok().filter(|top| *top != 0)?;
            let end = top.checked_next_multiple_of(kernel.thread_size())?;
            Some(Stack { kind, start: end.saturating_sub(kernel.thread_size()), end })
        });
        found.collect()
    }

    fn switched_sp(&self, task: Task<'_>) -> Result<u64> {
        pointer(task, "thread.ksp")
    }

    fn switched(&self, task: Task<'_>) -> Result<Start> {
        check_stack(task)?;
        let kernel = task.kernel();
        let target = kernel.target();
        let sp = pointer(task, "thread.ksp")?;
        // The frame holds r6 to r15.
        let gprs = sp.wrapping_add(kernel.offset_of("stack_frame", "gprs")?);
        let names = [R6, R7, R8, R9, R10, R11, R12, R13];
        let mut saved = Vec::with_capacity(names.len());
        for (reg, at) in names.into_iter().zip((gprs..).step_by(8)) {
            saved.push((reg, target.read_u64(at)?));
        }
        let slot = gprs.wrapping_add(8 * 8);
        let pc = target.read_u64(slot)?;
        Ok(start(task, pc, sp, slot, &saved))
    }
}
