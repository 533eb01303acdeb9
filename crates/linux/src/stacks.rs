//! Where stacks lie, where each task's trace begins, and the trace itself.
//!
//! arch/x86/include/asm/processor.h, arch/x86/include/asm/cpu_entry_area.h,
//! arch/x86/include/asm/page_64_types.h

use necropsy_target::{
    Reg, Regs,
    regs::PT_REGS_SIZE,
    unwind::{self, Stack, StackKind, Start, Trace},
};

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    task::Task,
};

/// Kernel stacks of x86_64 since 3.15, when the types do not say.
const THREAD_SIZE: u64 = 16384;

/// Where the registers that a trace begins with come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The note that the CPU wrote when it stopped (per-CPU `crash_notes`).
    CrashNotes,
    /// The dump's own record of the CPU (hypervisor, or file order where the notes are lost).
    DumpNotes,
    /// Saved when the task was switched out.
    Switched,
}

impl Kernel {
    /// Bytes of a task's kernel stack.
    pub fn thread_size(&self) -> u64 {
        let types = self.types();
        types
            .find(necropsy_debuginfo::Kind::Union, "thread_union")
            .and_then(|id| types.size_of(id))
            .filter(|size| size.is_power_of_two() && (4096..=1 << 20).contains(size))
            .unwrap_or(THREAD_SIZE)
    }

    /// The stacks that a CPU uses besides those of its tasks.
    pub fn cpu_stacks(&self, cpu: u32) -> Vec<Stack> {
        let mut stacks = Vec::new();
        let target = self.target();
        let pointer = |name: &str| {
            self.per_cpu(name, cpu).ok().and_then(|at| target.read_u64(at).ok()).filter(|p| *p != 0)
        };
        // The pointer has had three homes; it may point 8 bytes below the top.
        let irq = pointer("hardirq_stack_ptr").or_else(|| pointer("irq_stack_ptr")).or_else(|| {
            let hot = self.per_cpu("pcpu_hot", cpu).ok()?;
            self.shapes().pcpu_hot.hardirq_stack_ptr.read(target, hot).ok()
        });
        if let Some(top) = irq {
            let end = top.checked_next_multiple_of(4096).unwrap_or(top);
            let start = end.saturating_sub(self.thread_size());
            stacks.push(Stack { kind: StackKind::Irq, start, end });
        }
        let types = self.types();
        let mut area = |name: &str, tag: &str, members: &[(&str, StackKind)]| {
            let (Some(base), Some(id)) = (pointer(name), types.composite(tag)) else { return };
            for &(member, kind) in members {
                let Some(at) = types.member(id, member) else { continue };
                let size = types.size_of(at.ty).unwrap_or(0);
                let start = base.saturating_add(at.offset());
                stacks.push(Stack { kind, start, end: start.saturating_add(size) });
            }
        };
        area(
            "cea_exception_stacks",
            "cea_exception_stacks",
            &[
                ("DF_stack", StackKind::DoubleFault),
                ("NMI_stack", StackKind::Nmi),
                ("DB_stack", StackKind::Debug),
                ("MCE_stack", StackKind::MachineCheck),
                ("VC_stack", StackKind::VmmCommunication),
                ("VC2_stack", StackKind::VmmCommunication),
            ],
        );
        area("cpu_entry_area", "cpu_entry_area", &[("entry_stack_page", StackKind::Entry)]);
        stacks
    }

    /// The registers that a CPU saved when the machine died.
    ///
    /// # Errors
    /// When there are none for this CPU: it did not stop, or its note is not in the dump.
    pub fn cpu_regs(&self, cpu: u32) -> Result<(Regs, Origin)> {
        let crashed = self.target().vmcoreinfo().is_some_and(|i| i.get("CRASHTIME").is_some());
        let noted = self.crash_note(cpu);
        if let Ok(Some(regs)) = noted {
            return Ok((regs, Origin::CrashNotes));
        }
        let dump = self.target().dump();
        let notes = dump.prstatus();
        let regs = |note: &necropsy_dump::PrStatus| {
            let mut regs = Regs::new();
            for reg in Reg::ALL {
                regs.put(reg, note.reg(reg.name()));
            }
            regs.get(Reg::Rip).is_some().then_some(regs)
        };
        if !crashed {
            // A hypervisor writes one note a CPU and puts its number + 1 where the pid belongs.
            let found = notes
                .iter()
                .find(|n| n.pid == cpu + 1)
                .or_else(|| notes.get(cpu as usize))
                .and_then(regs);
            if let Some(regs) = found {
                return Ok((regs, Origin::DumpNotes));
            }
        } else if noted.is_err() {
            // The notes in memory are lost; those of the file are in the order of the CPUs that
            // stopped. One that belongs to the task which this CPU ran is the right one.
            let pid = self.current_task(cpu)?.pid()?;
            let mut same = notes.iter().filter(|n| u64::from(n.pid) == pid);
            if let (Some(note), None) = (same.next(), same.next())
                && let Some(regs) = regs(note)
            {
                return Ok((regs, Origin::DumpNotes));
            }
        }
        match noted {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Missing {
                what: format!("registers of CPU {cpu}: it did not answer when the machine died"),
            }),
        }
    }

    /// The NT_PRSTATUS in the per-CPU variable `crash_notes`; `None` when the CPU wrote none.
    fn crash_note(&self, cpu: u32) -> Result<Option<Regs>> {
        const NT_PRSTATUS: u32 = 1;
        const PR_REG: u64 = 112;
        let target = self.target();
        let area = target.read_u64(self.symbol("crash_notes")?)?;
        let mut at = area.wrapping_add(self.cpu_base(cpu)?);
        for _ in 0..8 {
            let name_size = target.read_u32(at)?;
            let desc_size = u64::from(target.read_u32(at.wrapping_add(4))?);
            let kind = target.read_u32(at.wrapping_add(8))?;
            if name_size == 0 || name_size > 64 || desc_size > 65536 {
                return Ok(None);
            }
            let desc = at.wrapping_add(12 + u64::from(name_size).next_multiple_of(4));
            if kind == NT_PRSTATUS && desc_size >= PR_REG + PT_REGS_SIZE {
                let bytes =
                    target.read_array::<{ PT_REGS_SIZE as usize }>(desc.wrapping_add(PR_REG))?;
                return Ok(Regs::from_pt_regs(&bytes));
            }
            at = desc.wrapping_add(desc_size.next_multiple_of(4));
        }
        Ok(None)
    }

    /// The CPU that a task is running on, if it is.
    pub fn running_on(&self, task: Task<'_>) -> Option<u32> {
        let cpu = task.cpu().ok()?;
        let current = self.current_task(cpu).ok()?;
        (current.address == task.address).then_some(cpu)
    }

    /// The CPU that called panic or crash_kexec first.
    pub fn panic_cpu(&self) -> Option<u32> {
        let possible = self.possible_cpus();
        ["panic_cpu", "crashing_cpu"].into_iter().find_map(|name| {
            let value = self.target().read_u32(self.symbol(name).ok()?).ok()?;
            possible.contains(&value).then_some(value)
        })
    }

    /// The task that was running where the machine died.
    pub fn panic_task(&self) -> Option<Task<'_>> {
        self.current_task(self.panic_cpu()?).ok()
    }
}

impl<'k> Task<'k> {
    /// Its own stack.
    ///
    /// # Errors
    /// A fault, or a missing member.
    pub fn own_stack(&self) -> Result<Stack> {
        let start = self.stack()?;
        let end = start.saturating_add(self.kernel().thread_size());
        Ok(Stack { kind: StackKind::Task, start, end })
    }

    /// Where its trace begins, and where that is known from.
    ///
    /// # Errors
    /// Why nothing is known.
    pub fn trace_start(&self) -> Result<(Start, Origin)> {
        let kernel = self.kernel();
        if let Some(cpu) = kernel.running_on(*self) {
            let (regs, origin) = kernel.cpu_regs(cpu)?;
            let start = Start { regs, interrupted: true, saved_regs: true, slot: None };
            return Ok((start, origin));
        }
        let shapes = kernel.shapes();
        let target = kernel.target();
        if self.stack()? == 0 {
            return Err(Error::Missing { what: "stack of this task: it has exited".into() });
        }
        let sp = self.get(&shapes.task.thread_sp)?;
        let frame = &shapes.inactive_frame;
        let mut regs = Regs::new();
        let size = frame.size.ok_or_else(|| Error::no_type("inactive_task_frame"))?;
        let slot = frame.ret_addr.address(sp)?;
        let pc = target.read_u64(slot)?;
        regs.set(Reg::Rip, pc);
        regs.set(Reg::Rsp, sp.wrapping_add(size));
        for (reg, field) in [
            (Reg::Rbp, &frame.bp),
            (Reg::Rbx, &frame.bx),
            (Reg::R12, &frame.r12),
            (Reg::R13, &frame.r13),
            (Reg::R14, &frame.r14),
            (Reg::R15, &frame.r15),
        ] {
            regs.put(reg, field.read(target, sp).ok());
        }
        // A new task has not run yet: it will begin at the first instruction of ret_from_fork.
        let begins = target.locate(pc).is_some_and(|l| l.offset == 0);
        let start = Start { regs, interrupted: begins, saved_regs: false, slot: Some(slot) };
        Ok((start, Origin::Switched))
    }

    /// The stacks that it can be on: its own and those of its CPU.
    pub fn stacks(&self) -> Vec<Stack> {
        let mut stacks: Vec<Stack> = self.own_stack().into_iter().collect();
        if let Some(cpu) = self.kernel().running_on(*self) {
            stacks.extend(self.kernel().cpu_stacks(cpu));
        }
        stacks
    }

    /// Its stack trace.
    ///
    /// # Errors
    /// Why not even its first frame is known.
    pub fn trace(&self) -> Result<Trace> {
        let (start, _) = self.trace_start()?;
        Ok(unwind::unwind(self.kernel().target(), &start, &self.stacks()))
    }

    /// The registers with which it last entered the kernel from user space, at the top of its
    /// stack, and their address.
    ///
    /// # Errors
    /// A fault, or there are none.
    pub fn user_regs(&self) -> Result<(u64, Regs)> {
        let stack = self.own_stack()?;
        // A kernel that can use FRED leaves two words above them.
        let fred = self.kernel().types().composite("fred_frame").is_some();
        let at = stack.end - PT_REGS_SIZE - if fred { 16 } else { 0 };
        let bytes = self.kernel().target().read_array::<{ PT_REGS_SIZE as usize }>(at)?;
        Regs::from_pt_regs(&bytes)
            .filter(Regs::user_mode)
            .map(|regs| (at, regs))
            .ok_or_else(|| Error::Missing { what: "user registers of this task".into() })
    }
}
