//! arch/powerpc/include/asm/processor.h, arch/powerpc/kernel/irq.c, paca.c

use necropsy_lexicon::reg::ppc64::*;
use necropsy_machine::unwind::{Stack, StackKind, Start};

use super::{Stacks, check_stack, pointer, start};
use crate::{error::Result, kernel::Kernel, task::Task};

pub(super) struct Ppc64;

/// Where a function keeps the return address, in its caller's frame.
const LINK_SAVE: u64 = 16;

impl Stacks for Ppc64 {
    fn futex_call(&self) -> Option<u64> {
        Some(221)
    }

    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack> {
        let target = kernel.target();
        let word = u64::from(target.pointer_size());
        let mut stacks = Vec::new();
        // Arrays of pointers by CPU.
        for (name, kind) in [("hardirq_ctx", StackKind::Irq), ("softirq_ctx", StackKind::SoftIrq)] {
            let Ok(table) = kernel.symbol(name) else { continue };
            let at = table.wrapping_add(u64::from(cpu) * word);
            if let Ok(start) = target.read_pointer(at)
                && start != 0
            {
                stacks.push(super::stack_from(kernel, kind, start));
            }
        }
        // The pointers in a CPU's own area lead to the top.
        let paca = kernel.symbol("paca_ptrs").ok().and_then(|table| {
            let table = target.read_pointer(table).ok()?;
            target.read_pointer(table.wrapping_add(u64::from(cpu) * word)).ok()
        });
        for (member, kind) in [
            ("emergency_sp", StackKind::Emergency),
            ("nmi_emergency_sp", StackKind::Nmi),
            ("mc_emergency_sp", StackKind::MachineCheck),
        ] {
            let Ok(offset) = kernel.offset_of("paca_struct", member) else { continue };
            let top = paca.and_then(|paca| target.read_pointer(paca.wrapping_add(offset)).ok());
            if let Some(end) = top.filter(|top| *top != 0) {
                let start = end.saturating_sub(kernel.thread_size());
                stacks.push(Stack { kind, start, end });
            }
        }
        stacks
    }

    fn switched_sp(&self, task: Task<'_>) -> Result<u64> {
        pointer(task, "thread.ksp")
    }

    fn switched(&self, task: Task<'_>) -> Result<Start> {
        check_stack(task)?;
        let target = task.kernel().target();
        // The frame of _switch holds the registers that a call preserves, and its caller's frame,
        // that of __switch_to, the return address.
        let frame = pointer(task, "thread.ksp")?;
        let sp = target.read_u64(frame)?;
        let slot = sp.wrapping_add(LINK_SAVE);
        let pc = target.read_u64(slot)?;
        let mut saved = Vec::new();
        // STACK_SWITCH_FRAME_REGS: since 6.2 with ELF V2; before, and ELF V1.
        let held = [48, 112].into_iter().find_map(|offset| {
            let regs = target.saved_regs(frame.wrapping_add(offset)).ok()?;
            (regs.get(NIP) == Some(pc)).then_some(regs)
        });
        if let Some(regs) = held {
            let abi = target.abi();
            saved.extend(abi.preserved.iter().filter_map(|reg| Some((*reg, regs.get(*reg)?))));
        }
        Ok(start(task, pc, sp, slot, &saved))
    }

    fn entry_regs(&self, task: Task<'_>, _: &Stack) -> Result<u64> {
        pointer(task, "thread.regs")
    }
}
