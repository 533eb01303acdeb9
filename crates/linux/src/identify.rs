//! What an address is: a symbol, an object of a slab cache, a task's stack, a map.

use std::fmt;

use necropsy_target::unwind::StackKind;

use crate::{kernel::Kernel, task::Task};

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
    },
    /// In an object of a slab cache.
    Slab {
        /// The cache.
        cache: String,
        /// First byte of the object, when it can be told.
        object: Option<u64>,
        /// Bytes into the object.
        offset: u64,
    },
    /// In the per-CPU area of a CPU.
    PerCpu(u32),
    /// In the map of all physical memory: the physical address.
    DirectMap(u64),
    /// In the vmalloc area.
    Vmalloc,
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
            Identity::Stack { kind, owner } => write!(f, "{} of {owner}", kind.title()),
            Identity::Slab { cache, object: Some(object), offset: 0 } => {
                write!(f, "object {object:x} of slab cache {cache}")
            }
            Identity::Slab { cache, object: Some(object), offset } => {
                write!(f, "{offset:#x} into object {object:x} of slab cache {cache}")
            }
            Identity::Slab { cache, .. } => write!(f, "slab cache {cache}"),
            Identity::PerCpu(cpu) => write!(f, "per-CPU area of CPU {cpu}"),
            Identity::DirectMap(physical) => write!(f, "physical memory at {physical:#x}"),
            Identity::Vmalloc => f.write_str("vmalloc area"),
            Identity::Page(pfn) => write!(f, "struct page of frame {pfn:#x}"),
        }
    }
}

/// x86_64 gives vmalloc this much with four levels (Documentation/arch/x86/x86_64/mm.rst).
const VMALLOC_SIZE: u64 = 32 << 40;

impl Kernel {
    /// What a kernel address is; `None` for what is no kernel address, or lies in no known area.
    /// `likely` are tasks whose stacks are looked at first.
    pub fn identify(&self, address: u64, likely: &[Task<'_>]) -> Option<Identity> {
        if address < 0xff00_0000_0000_0000 {
            return None;
        }
        if let Some(found) = self.target().locate(address) {
            return Some(Identity::Symbol {
                name: found.symbol.name.to_owned(),
                offset: found.offset,
                module: found.module().map(str::to_owned),
            });
        }
        for task in likely {
            if let Ok(stack) = task.own_stack()
                && (stack.start..stack.end).contains(&address)
            {
                let owner = task.comm().unwrap_or_else(|_| "a task".into());
                return Some(Identity::Stack { kind: stack.kind, owner });
            }
        }
        for cpu in self.online_cpus() {
            let stack = self.cpu_stacks(cpu);
            if let Some(stack) = stack.iter().find(|s| (s.start..s.end).contains(&address)) {
                return Some(Identity::Stack { kind: stack.kind, owner: format!("CPU {cpu}") });
            }
        }
        if let Some(slab) = self.identify_slab(address) {
            return Some(slab);
        }
        let layout = self.target().layout()?;
        if let Some(base) = layout.vmemmap
            && let Some(size) = self.shapes().page.size
            && address >= base
            && (address - base) / size.max(1) < self.target().dump_pfns()
        {
            return Some(Identity::Page((address - base) / size.max(1)));
        }
        let start = layout.direct?.start;
        if let Some(physical) = layout.linear(address).filter(|_| address >= start) {
            let cpus = self.per_cpu_offsets();
            let unit = cpus.windows(2).map(|w| w[1].wrapping_sub(w[0])).min();
            let percpu = unit.and_then(|unit| {
                let first = self.target().address_of("__per_cpu_start").unwrap_or(0);
                cpus.iter()
                    .position(|offset| address.wrapping_sub(offset.wrapping_add(first)) < unit)
            });
            return Some(match percpu {
                Some(cpu) => Identity::PerCpu(cpu as u32),
                None => Identity::DirectMap(physical),
            });
        }
        let vmalloc = layout.vmalloc?;
        (vmalloc..vmalloc.saturating_add(VMALLOC_SIZE))
            .contains(&address)
            .then_some(Identity::Vmalloc)
    }

    fn identify_slab(&self, address: u64) -> Option<Identity> {
        let target = self.target();
        let cache = self.kmem_cache_of(address).ok()??;
        let shape = &self.shapes().kmem_cache;
        let name = target.read_cstr(shape.name.read(target, cache).ok()?, 64).ok()?;
        let object = (|| {
            let start = self.slab_start(address).ok()?;
            let size = shape.size_.read(target, cache).ok().filter(|size| *size > 0)?;
            let pad = shape.red_left_pad.read(target, cache).unwrap_or(0);
            let into = address.checked_sub(start.checked_add(pad)?)?;
            Some((address - into % size, into % size))
        })();
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
        })
    }
}
