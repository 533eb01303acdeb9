//! Where stacks lie, where each task's trace begins, and the trace itself. What of it is different on
//! each architecture is in [`crate::arch`].

use std::{collections::HashMap, sync::OnceLock};

use necropsy_dump::{Note, PrStatus};
use necropsy_machine::{
    Regs,
    unwind::{self, Meeting, Stack, StackKind, Start, Trace},
};

use crate::{
    arch,
    error::{Error, Result},
    kernel::Kernel,
    task::Task,
};

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

/// The notes of a hypervisor by the CPU that they are of.
#[derive(Default)]
struct NotesByCpu(OnceLock<HashMap<u32, Regs>>);

impl Kernel {
    /// Bytes of a task's kernel stack.
    pub fn thread_size(&self) -> u64 {
        let size = self.shapes().thread_union.sizeof().ok();
        size.filter(|size| {
            size.is_power_of_two() && (self.target().page_size()..=1 << 20).contains(size)
        })
        .unwrap_or_else(|| arch::of(self.target()).thread_size())
    }

    /// The stacks that a CPU uses besides those of its tasks.
    pub fn cpu_stacks(&self, cpu: u32) -> Vec<Stack> {
        arch::of(self.target()).cpu_stacks(self, cpu)
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
        let regs = |note: &necropsy_dump::PrStatus| self.target().architecture().note_regs(note);
        if !crashed {
            // A hypervisor writes one note a CPU and puts its number + 1 where the pid belongs.
            let numbered = || {
                let by_pid = notes.iter().find(|n| n.pid == cpu + 1);
                by_pid.or_else(|| notes.get(cpu as usize)).and_then(regs)
            };
            if let Some(regs) = self.note_of_its_task(cpu).or_else(numbered) {
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
            Ok(_) => Err(Error::absent(format!(
                "registers of CPU {cpu}: it did not answer when the machine died"
            ))),
        }
    }

    /// Traces from the registers that the dump itself has of the CPUs, in their order there: what can
    /// be told where no variable leads to a task. Stacks are aligned to their size.
    pub fn register_traces(&self) -> Vec<(u32, Trace, Vec<Stack>)> {
        let target = self.target();
        let size = self.thread_size();
        let notes = target.dump().prstatus();
        let of = |(cpu, note): (u32, &PrStatus)| {
            let regs = target.architecture().note_regs(note)?;
            let start = regs.get(target.abi().stack_pointer)? & !(size - 1);
            let stack = Stack { kind: StackKind::Task, start, end: start.saturating_add(size) };
            let from = Start { regs, interrupted: true, saved_regs: true, slot: None };
            let stacks = vec![stack];
            Some((cpu, unwind::unwind(target, &from, &stacks), stacks))
        };
        (0..).zip(notes.iter()).filter_map(of).collect()
    }

    /// The registers of a CPU by the task that they name: the kernel's numbers of CPUs may be others
    /// than the machine's, as where any of them can be the first to start.
    fn note_of_its_task(&self, cpu: u32) -> Option<Regs> {
        let architecture = self.target().architecture();
        let register = architecture.task_register()?;
        let notes = self.memo::<NotesByCpu>().0.get_or_init(|| {
            let notes = self.target().dump().prstatus();
            let all: Vec<Regs> = notes.iter().filter_map(|n| architecture.note_regs(n)).collect();
            let mut of_task: HashMap<u64, Regs> =
                all.iter().filter_map(|regs| Some((regs.get(register)?, *regs))).collect();
            let (mut found, mut without) = (HashMap::new(), Vec::new());
            for cpu in self.online_cpus() {
                let task = self.current_task(cpu).ok();
                match task.and_then(|task| of_task.remove(&task.address)) {
                    Some(regs) => {
                        found.insert(cpu, regs);
                    }
                    None => without.push((cpu, task.is_some())),
                }
            }
            // In user space the register is the program's: the only note that is left over is that of
            // the only CPU without one.
            let mut left = of_task.into_values();
            if let ([(cpu, true)], Some(regs), None) =
                (without.as_slice(), left.next(), left.next())
                && all.len() == found.len() + 1
            {
                found.insert(*cpu, regs);
            }
            found
        });
        notes.get(&cpu).copied()
    }

    /// The NT_PRSTATUS in the per-CPU variable `crash_notes`; `None` when the CPU wrote none.
    fn crash_note(&self, cpu: u32) -> Result<Option<Regs>> {
        const NT_PRSTATUS: u32 = 1;
        let target = self.target();
        let area = target.read_pointer(self.symbol("crash_notes")?)?;
        let mut at = area.wrapping_add(self.cpu_base(cpu)?);
        for _ in 0..8 {
            let name_size = target.read_u32(at)?;
            let desc_size = u64::from(target.read_u32(at.wrapping_add(4))?);
            let kind = target.read_u32(at.wrapping_add(8))?;
            if name_size == 0 || name_size > 64 || desc_size > 65536 {
                return Ok(None);
            }
            let desc = at.wrapping_add(12 + u64::from(name_size).next_multiple_of(4));
            if kind == NT_PRSTATUS {
                let desc = target.read_bytes(desc, desc_size)?.into();
                let note = Note { name: "CORE".into(), kind, desc };
                let status = PrStatus::parse(&note, Some(target.abi().arch), target.big_endian());
                return Ok(status.and_then(|note| target.architecture().note_regs(&note)));
            }
            at = desc.wrapping_add(desc_size.next_multiple_of(4));
        }
        Ok(None)
    }

    /// The CPU that a task is running on, if it is.
    pub fn running_on(&self, task: Task<'_>) -> Option<u32> {
        let Ok(cpu) = task.cpu() else {
            let runs_it = |cpu: &u32| self.rq_curr(*cpu).is_ok_and(|t| t.address == task.address);
            return self.online_cpus().into_iter().find(runs_it);
        };
        let is_there = match self.rq_curr(cpu) {
            Ok(current) => current.address == task.address,
            Err(_) => task.is_on_cpu() == Some(true),
        };
        is_there.then_some(cpu)
    }

    /// The CPU that called panic or crash_kexec first.
    pub fn panic_cpu(&self) -> Option<u32> {
        self.find_panic_cpu().ok()
    }

    fn find_panic_cpu(&self) -> Result<u32> {
        let possible = self.possible_cpus();
        let (mut hidden, mut none_did) = (None, false);
        for name in ["panic_cpu", "crashing_cpu"] {
            let Ok(at) = self.symbol(name) else {
                hidden = hidden.or(self.target().symbols_fault());
                continue;
            };
            match self.target().read_u32(at) {
                Ok(cpu) if possible.contains(&cpu) => return Ok(cpu),
                Ok(_) => none_did = true,
                Err(fault) => hidden = Some(fault),
            }
        }
        // What could not be read may be the very CPU.
        let hidden = hidden.filter(|_| !none_did);
        Err(hidden.map_or_else(|| Error::absent("CPU of this dump called panic"), Error::from))
    }

    /// The task that was running where the machine died.
    pub fn panic_task(&self) -> Option<Task<'_>> {
        self.find_panic_task().ok()
    }

    /// [`Kernel::panic_task`], or why there is none.
    ///
    /// # Errors
    /// [`Error::Absent`] when no CPU called panic, the fault when that cannot be told.
    pub fn find_panic_task(&self) -> Result<Task<'_>> {
        self.current_task(self.find_panic_cpu()?)
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
        let start = arch::of(kernel.target()).switched(*self)?;
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

    /// Its stack trace: from the registers that are known of it, and how the kernel left above them.
    ///
    /// # Errors
    /// Why not even its first frame is known.
    pub fn trace(&self) -> Result<Trace> {
        let (start, origin) = self.trace_start()?;
        let target = self.kernel().target();
        let stacks = self.stacks();
        let from = |start: &Start| unwind::unwind(target, start, &stacks);
        if origin == Origin::Switched {
            return Ok(from(&start));
        }
        let (above, unread) = unwind::above(target, &start, &stacks);
        let Some(above) = above else {
            // Registers that no exception saved are those of the code that noted them.
            let saved_regs =
                start.regs.user_mode() || unwind::exception_saved(target, &start, &stacks);
            let mut trace =
                from(&Start { saved_regs: saved_regs || origin != Origin::CrashNotes, ..start });
            trace.unread = unread;
            return Ok(trace);
        };
        let mut start = start;
        match above.meets {
            Meeting::Exception(_) => {}
            Meeting::Function { pc, slot } => {
                start.regs.set(target.abi().program_counter, pc);
                start = Start { interrupted: false, saved_regs: false, slot: Some(slot), ..start };
            }
        }
        let mut trace = from(&start);
        trace.above = above.frames;
        trace.unread = unread;
        Ok(trace)
    }

    /// The registers with which it last entered the kernel from user space, at the top of its
    /// stack, and their address.
    ///
    /// # Errors
    /// A fault, or there are none.
    pub fn user_regs(&self) -> Result<(u64, Regs)> {
        let stack = self.own_stack()?;
        let target = self.kernel().target();
        let at = arch::of(target).entry_regs(*self, &stack)?;
        let regs = target.saved_regs(at)?;
        regs.user_mode()
            .then_some((at, regs))
            .ok_or_else(|| Error::absent("user registers of this task"))
    }
}
