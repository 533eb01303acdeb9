//! What an address is: a symbol, an object of a slab cache, a task's stack, a map.

use std::{collections::HashMap, fmt, sync::OnceLock};

use necropsy_machine::{
    scope::Scope,
    unwind::{Stack, StackKind},
};

use crate::{kernel::Kernel, percpu::PerCpuPlace, slub::ObjectState, task::Task, vmalloc::Area};

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// In an image: symbol and offset, and the module unless it is vmlinux.
    Symbol {
        /// Name of the symbol at or below it.
        name: String,
        /// Bytes into it.
        offset: u64,
        /// The module.
        module: Option<String>,
    },
    /// A `task_struct`.
    Task {
        /// Thread id.
        pid: u64,
        /// Command name.
        comm: String,
    },
    /// On a stack.
    Stack {
        /// Which.
        kind: StackKind,
        /// Whose: of a task, or of a CPU.
        owner: String,
        /// The task that it belongs to.
        task: Option<u64>,
        /// Where the stack has it, if it was asked for by its address in the map of all memory.
        there: Option<u64>,
    },
    /// In an object of a slab cache.
    Slab {
        /// The cache.
        cache: String,
        /// First byte of the object, when it can be told.
        object: Option<u64>,
        /// Bytes into the object.
        offset: u64,
        /// Whether the object is in use; `None` when that cannot be told.
        allocated: Option<bool>,
        /// The slab's `struct slab`.
        slab: u64,
        /// Where a free object is kept, and otherwise whose the slab is; `None`: it is full.
        held: Option<String>,
    },
    /// In the per-CPU area of a CPU.
    PerCpu(PerCpuPlace),
    /// In the map of all physical memory: the physical address.
    DirectMap(u64),
    /// In the vmalloc area, and if it is in use, what for.
    Vmalloc(Option<Area>),
    /// A `struct page`: its page frame.
    Page(u64),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Symbol { name, offset, module } => {
                f.write_str(name)?;
                if *offset > 0 {
                    write!(f, "+{offset:#x}")?;
                }
                match module {
                    Some(module) => write!(f, " [{module}]"),
                    None => Ok(()),
                }
            }
            Identity::Task { pid, comm } => write!(f, "task_struct of {comm} (pid {pid})"),
            Identity::Stack { kind, owner, there, .. } => {
                write!(f, "{} of {owner}", kind.title())?;
                there.iter().try_for_each(|there| write!(f, ", there {there:x}"))
            }
            Identity::Slab { cache, object: Some(object), offset: 0, .. } => {
                write!(f, "object {object:x} of slab cache {cache}")
            }
            Identity::Slab { cache, object: Some(object), offset, .. } => {
                write!(f, "{offset:#x} into object {object:x} of slab cache {cache}")
            }
            Identity::Slab { cache, .. } => write!(f, "slab cache {cache}"),
            Identity::PerCpu(PerCpuPlace { cpu, symbol: Some(symbol), offset: 0 }) => {
                write!(f, "{symbol} of CPU {cpu}")
            }
            Identity::PerCpu(PerCpuPlace { cpu, symbol: Some(symbol), offset }) => {
                write!(f, "{symbol}+{offset:#x} of CPU {cpu}")
            }
            Identity::PerCpu(place) => write!(f, "per-CPU area of CPU {}", place.cpu),
            Identity::DirectMap(physical) => write!(f, "physical memory at {physical:#x}"),
            Identity::Vmalloc(_) => f.write_str("vmalloc area"),
            Identity::Page(pfn) => write!(f, "struct page of frame {pfn:#x}"),
        }
    }
}

/// The stacks of CPUs, each with its CPU.
#[derive(Debug, Default)]
struct CpuStacks(OnceLock<Vec<(u32, Stack)>>);
/// Start of every task's stack, and the task.
#[derive(Debug, Default)]
struct TaskStacks(OnceLock<Vec<(u64, u64)>>);
/// Where the stacks of tasks have the frames that they are mapped from.
#[derive(Debug, Default)]
struct StackFrames(OnceLock<HashMap<u64, u64>>);
/// Addresses above this are the kernel's on most machines, whatever else they are.
const KERNEL: u64 = 0xff00_0000_0000_0000;

/// x86_64 gives vmalloc this much with four levels (Documentation/arch/x86/x86_64/mm.rst).
const VMALLOC_SIZE: u64 = 32 << 40;

impl Kernel {
    /// What a kernel address is; `None` for what is no kernel address, or lies in no known area.
    /// `likely` are tasks whose stacks are looked at first.
    pub fn identify(&self, address: u64, likely: &[Task<'_>]) -> Option<Identity> {
        if !self.target().address_class(address).is_kernel() && address < KERNEL {
            return None;
        }
        // The nearest symbol below is an answer only within what it names.
        if let Some((name, offset)) = self.symbolize(address) {
            let module = self.image_name(address).map(str::to_owned);
            return Some(Identity::Symbol { name, offset, module });
        }
        for task in likely {
            if let Ok(stack) = task.own_stack()
                && (stack.start..stack.end).contains(&address)
            {
                let owner = task.comm().unwrap_or_else(|_| "a task".into());
                let task = Some(task.address);
                let kind = stack.kind;
                return Some(Identity::Stack { kind, owner, task, there: None });
            }
        }
        let stacks = self.memo::<CpuStacks>().0.get_or_init(|| {
            let of = |cpu: u32| self.cpu_stacks(cpu).into_iter().map(move |stack| (cpu, stack));
            self.online_cpus().into_iter().flat_map(of).collect()
        });
        if let Some((cpu, stack)) =
            stacks.iter().find(|(_, stack)| (stack.start..stack.end).contains(&address))
        {
            let (owner, kind) = (format!("CPU {cpu}"), stack.kind);
            return Some(Identity::Stack { kind, owner, task: None, there: None });
        }
        if let Some(slab) = self.identify_slab(address) {
            return Some(slab);
        }
        let layout = self.target().layout()?;
        if let Some(base) = layout.vmemmap
            && let Ok(size) = self.shapes().page.sizeof()
            && address >= base
            && (address - base) / size.max(1) < self.target().dump_pfns()
        {
            return Some(Identity::Page((address - base) / size.max(1)));
        }
        if let Some(place) = self.per_cpu_place(address) {
            return Some(Identity::PerCpu(place));
        }
        if let Some(stack) = self.identify_task_stack(address) {
            return Some(stack);
        }
        let start = layout.direct?.start;
        if let Some(physical) = layout.linear(address).filter(|_| address >= start) {
            return Some(self.mapped_stack(physical).unwrap_or(Identity::DirectMap(physical)));
        }
        if let Some(area) = self.vmalloc_area(address) {
            return Some(Identity::Vmalloc(Some(*area)));
        }
        let vmalloc = layout.vmalloc?;
        (vmalloc..vmalloc.saturating_add(VMALLOC_SIZE))
            .contains(&address)
            .then_some(Identity::Vmalloc(None))
    }

    /// The task on whose stack an address lies.
    fn identify_task_stack(&self, address: u64) -> Option<Identity> {
        let stacks = self.memo::<TaskStacks>().0.get_or_init(|| {
            let tasks = self.tasks().tasks;
            let stack = |task: &Task<'_>| Some((task.stack().ok()?, task.address));
            let mut stacks: Vec<(u64, u64)> = tasks.iter().filter_map(stack).collect();
            stacks.sort_unstable();
            stacks
        });
        let at = stacks.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (start, task) = *stacks.get(at)?;
        if start == 0 || address - start >= self.thread_size() {
            return None;
        }
        let owner = self.task_at(task).comm().unwrap_or_else(|_| "a task".into());
        Some(Identity::Stack { kind: StackKind::Task, owner, task: Some(task), there: None })
    }

    /// The task's stack that the frame at a physical address is mapped into.
    fn mapped_stack(&self, physical: u64) -> Option<Identity> {
        let (target, shift) = (self.target(), self.target().page_shift());
        let frames = self.memo::<StackFrames>().0.get_or_init(|| {
            let mut frames = HashMap::new();
            for task in self.tasks().tasks {
                let Ok(stack) = task.stack() else { continue };
                for page in 0..self.thread_size() >> shift {
                    let at = stack.wrapping_add(page << shift);
                    if let Ok(frame) = target.translate(at) {
                        frames.insert(frame >> shift, at);
                    }
                }
            }
            frames
        });
        let within = physical & ((1 << shift) - 1);
        let at = frames.get(&(physical >> shift))?.wrapping_add(within);
        match self.identify_task_stack(at)? {
            Identity::Stack { kind, owner, task, .. } => {
                Some(Identity::Stack { kind, owner, task, there: Some(at) })
            }
            _ => None,
        }
    }

    fn identify_slab(&self, address: u64) -> Option<Identity> {
        let found = self.slab_object(address).ok()??;
        let name = found.cache.name.clone()?;
        // What lies in a red zone is told by the slab alone.
        let object = found.address.zip(u64::try_from(found.offset).ok());
        if let Some((start, 0)) = object
            && name == "task_struct"
        {
            let task = self.task_at(start);
            if let (Ok(pid), Ok(comm)) = (task.pid(), task.comm()) {
                return Some(Identity::Task { pid, comm });
            }
        }
        Some(Identity::Slab {
            cache: name,
            object: object.map(|(start, _)| start),
            offset: object.map_or(0, |(_, offset)| offset),
            allocated: found.state.allocated(),
            slab: found.slab.page,
            held: match found.state {
                ObjectState::Free(Some(keeper)) => Some(keeper.to_string()),
                _ => found.role.map(|role| role.to_string()),
            },
        })
    }
}
