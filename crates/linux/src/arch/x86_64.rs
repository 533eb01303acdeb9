//! arch/x86/include/asm/processor.h, arch/x86/include/asm/cpu_entry_area.h,
//! arch/x86/include/asm/page_64_types.h

use necropsy_machine::{
    Regs,
    unwind::{Stack, StackKind, Start},
};

use super::{Stacks, check_stack, saved_size};
use crate::{error::Result, kernel::Kernel, shapes::Field, task::Task};

pub(super) struct X86_64;

/// The flag that a function sets first, as a mask. Those of `thread_info.flags` are macros, and they
/// moved in 7.0 (include/asm-generic/thread_info_tif.h): what sets them knows where they are.
pub(super) fn flag_set_by(kernel: &Kernel, function: &str) -> Option<u64> {
    const BEGINNING: u64 = 48;
    const LOCK: u8 = 0xf0;
    /// What a kernel that runs on one CPU has in its place (a prefix that does nothing).
    const UNLOCKED: u8 = 0x3e;
    let at = kernel.symbol(function).ok()?;
    let bytes = kernel.target().read_bytes(at, BEGINNING).ok()?;
    // `lock or` with a number, of a byte or a word, at a register's address.
    bytes.windows(4).find_map(|code| match code {
        [LOCK | UNLOCKED, 0x80 | 0x83, operand, flag] if operand & 0xf8 == 0x08 => {
            flag.is_power_of_two().then_some(u64::from(*flag))
        }
        _ => None,
    })
}

impl Stacks for X86_64 {
    fn signal_pending(&self, kernel: &Kernel) -> Option<u64> {
        flag_set_by(kernel, "signal_wake_up_state")
    }

    fn futex_call(&self) -> Option<u64> {
        Some(202)
    }

    fn cpu_stacks(&self, kernel: &Kernel, cpu: u32) -> Vec<Stack> {
        let mut stacks = Vec::new();
        let target = kernel.target();
        let pointer = |name: &str| super::per_cpu_pointer(kernel, name, cpu);
        // The pointer has had three homes; it may point 8 bytes below the top.
        let irq = pointer("hardirq_stack_ptr").or_else(|| pointer("irq_stack_ptr")).or_else(|| {
            let hot = kernel.per_cpu("pcpu_hot", cpu).ok()?;
            kernel.shapes().pcpu_hot.hardirq_stack_ptr.read(target, hot).ok()
        });
        if let Some(top) = irq {
            let end = top.checked_next_multiple_of(target.page_size()).unwrap_or(top);
            let start = end.saturating_sub(kernel.thread_size());
            stacks.push(Stack { kind: StackKind::Irq, start, end });
        }
        let mut area = |name: &str, members: &[(&Field, StackKind)]| {
            let Some(base) = pointer(name) else { return };
            for (member, kind) in members {
                let (Ok(offset), Ok(size)) = (member.offset(), member.size()) else { continue };
                let start = base.saturating_add(offset);
                stacks.push(Stack { kind: *kind, start, end: start.saturating_add(size) });
            }
        };
        let exceptions = &kernel.shapes().exception_stacks;
        area(
            "cea_exception_stacks",
            &[
                (&exceptions.double_fault, StackKind::DoubleFault),
                (&exceptions.nmi, StackKind::Nmi),
                (&exceptions.debug, StackKind::Debug),
                (&exceptions.machine_check, StackKind::MachineCheck),
                (&exceptions.vmm_communication, StackKind::VmmCommunication),
                (&exceptions.vmm_communication2, StackKind::VmmCommunication),
            ],
        );
        let entry = &kernel.shapes().cpu_entry_area.entry_stack;
        area("cpu_entry_area", &[(entry, StackKind::Entry)]);
        stacks
    }

    fn switched_sp(&self, task: Task<'_>) -> Result<u64> {
        task.get(&task.kernel().shapes().task.thread_sp)
    }

    fn switched(&self, task: Task<'_>) -> Result<Start> {
        let shapes = task.kernel().shapes();
        let target = task.kernel().target();
        check_stack(task)?;
        let sp = task.get(&shapes.task.thread_sp)?;
        let frame = &shapes.inactive_frame;
        let mut regs = Regs::new();
        let size = frame.sizeof()?;
        let slot = frame.ret_addr.address(sp)?;
        let pc = target.read_u64(slot)?;
        let abi = target.abi();
        regs.set(abi.program_counter, pc);
        regs.set(abi.stack_pointer, sp.wrapping_add(size));
        // Whoever is switched out keeps there what a call preserves.
        let saved = [&frame.bx, &frame.bp, &frame.r12, &frame.r13, &frame.r14, &frame.r15];
        for (reg, field) in abi.preserved.iter().zip(saved) {
            regs.put(*reg, field.read(target, sp).ok());
        }
        // A new task has not run yet: it will begin at the first instruction of ret_from_fork.
        let begins = target.locate(pc).is_some_and(|l| l.offset == 0);
        Ok(Start { regs, interrupted: begins, saved_regs: false, slot: Some(slot) })
    }

    fn entry_regs(&self, task: Task<'_>, stack: &Stack) -> Result<u64> {
        // A kernel that can use FRED leaves two words above them.
        let fred = task.kernel().shapes().fred_frame.structure.exists();
        let size = saved_size(task.kernel());
        Ok(stack.end.saturating_sub(size + if fred { 16 } else { 0 }))
    }
}
