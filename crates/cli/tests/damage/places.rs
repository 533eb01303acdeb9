//! Where the structures lie that the damage aims at.

use std::{collections::BTreeMap, ops::Range};

use necropsy_linux::{Error, Kernel, Result, xarray};
use necropsy_machine::unwind::Stack;

/// What is damaged, and with it what may not answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    Headers,
    Cut,
    Packed,
    PageTables,
    Tasks,
    Pids,
    Stacks,
    Cpus,
    Types,
    Symbols,
    Unwind,
    Modules,
    Log,
    History,
    ReadOnly,
    Anywhere,
}

pub(super) const AREAS: &[Area] = &[
    Area::Headers,
    Area::Cut,
    Area::Packed,
    Area::PageTables,
    Area::Tasks,
    Area::Pids,
    Area::Stacks,
    Area::Cpus,
    Area::Types,
    Area::Symbols,
    Area::Unwind,
    Area::Modules,
    Area::Log,
    Area::History,
    Area::ReadOnly,
    Area::Anywhere,
];

impl Area {
    /// The commands whose answers this damage does not touch.
    pub(super) fn untouched(self) -> &'static [&'static str] {
        match self {
            // The image and the direct map are linear: their pages need no tables.
            Area::PageTables => &["log", "struct task_struct"],
            Area::Tasks | Area::Pids => &["log", "mod", "struct task_struct"],
            Area::Stacks => &["sys", "log", "ps", "mod", "struct task_struct"],
            Area::Unwind => &["sys", "log", "ps", "mod", "struct task_struct"],
            Area::Modules => &["log", "ps", "struct task_struct"],
            Area::History => &["log", "mod", "struct task_struct"],
            Area::Log => &["ps", "bt", "foreach bt", "mod", "struct task_struct"],
            _ => &[],
        }
    }
}

/// Physical address ranges of each area, page by page.
pub(super) struct Places(BTreeMap<Area, Vec<Range<u64>>>);

impl Places {
    pub(super) fn of(&self, area: Area) -> &[Range<u64>] {
        self.0.get(&area).map_or(&[], Vec::as_slice)
    }

    pub(super) fn find(kernel: &Kernel) -> Places {
        let mut finder = Finder { kernel, places: BTreeMap::new() };
        // Each is found as far as this kernel has it.
        let found = [
            finder.tables(),
            finder.tasks(),
            finder.pids(),
            finder.cpus(),
            finder.modules(),
            finder.log(),
            finder.history(),
        ];
        for error in found.into_iter().filter_map(Result::err) {
            eprintln!("not aimed at: {error}");
        }
        Places(finder.places)
    }
}

struct Finder<'k> {
    kernel: &'k Kernel,
    places: BTreeMap<Area, Vec<Range<u64>>>,
}

impl Finder<'_> {
    /// Adds a range of kernel virtual memory, and the page tables that lead to it.
    fn add(&mut self, area: Area, start: u64, len: u64) {
        let target = self.kernel.target();
        let mut at = start;
        let end = start.saturating_add(len.min(64 << 20));
        while at < end {
            let next = ((at | 4095) + 1).min(end);
            if let Ok(physical) = target.translate(at) {
                self.places.entry(area).or_default().push(physical..physical + (next - at));
            }
            at = next;
        }
        if let Some(layout) = target.layout() {
            for step in target.walk(layout.root, start).steps() {
                let tables = self.places.entry(Area::PageTables).or_default();
                tables.push(step.entry..step.entry + 8);
            }
        }
    }

    fn between(&mut self, area: Area, start: &str, end: &str) -> Result<()> {
        let (start, end) = (self.kernel.symbol(start)?, self.kernel.symbol(end)?);
        self.add(area, start, end.saturating_sub(start));
        Ok(())
    }

    /// Rings of traces, pools of workers and their work, the state of RCU.
    fn history(&mut self) -> Result<()> {
        let (instances, _) = self.kernel.trace_instances()?;
        for instance in instances {
            self.add(Area::History, instance.address, 256);
            for ring in instance.rings {
                self.add(Area::History, ring.address, 512);
                for page in ring.all {
                    self.add(Area::History, page, ring.page_bytes);
                }
            }
        }
        let queues = self.kernel.workqueues()?;
        for pool in queues.pools {
            self.add(Area::History, pool.address, 1024);
        }
        for work in queues.work {
            self.add(Area::History, work.address, 32);
        }
        let state = self.kernel.symbol("rcu_state")?;
        self.add(Area::History, state, 4096);
        Ok(())
    }

    fn tables(&mut self) -> Result<()> {
        self.between(Area::Types, "__start_BTF", "__stop_BTF")?;
        self.between(Area::Unwind, "__start_orc_unwind_ip", "__stop_orc_unwind_ip")?;
        self.between(Area::Unwind, "__start_orc_unwind", "__stop_orc_unwind")?;
        self.between(Area::ReadOnly, "__start_rodata", "__end_rodata")?;
        let info = self.kernel.target().vmcoreinfo();
        let symbol = |name: &str| info.and_then(|info| info.symbol(name));
        let names = ["kallsyms_names", "kallsyms_token_table", "kallsyms_token_index"];
        let found: Vec<u64> =
            names.into_iter().chain(["kallsyms_offsets"]).filter_map(symbol).collect();
        for start in found {
            self.add(Area::Symbols, start, 256 << 10);
        }
        if let Some(count) = symbol("kallsyms_num_syms") {
            self.add(Area::Symbols, count, 8);
        }
        Ok(())
    }

    fn tasks(&mut self) -> Result<()> {
        let kernel = self.kernel;
        let shape = &kernel.shapes().task;
        let fields = [
            &shape.tasks,
            &shape.thread_node,
            &shape.pid_link,
            &shape.stack,
            &shape.thread_sp,
            &shape.signal,
            &shape.mm,
            &shape.parent,
            &shape.group_leader,
            &shape.state,
            &shape.pid,
            &shape.comm,
            &shape.cpu,
        ];
        for task in kernel.tasks().tasks {
            for field in fields {
                self.add(Area::Tasks, field.address(task.address)?, 16);
            }
            if let Ok(Some(mm)) = task.mm() {
                self.add(Area::Tasks, mm, kernel.shapes().mm.sizeof().unwrap_or(1024));
            }
            if let Ok(Stack { start, end, .. }) = task.own_stack()
                && start != 0
            {
                let sp = task.kernel_sp().unwrap_or(start).clamp(start, end);
                self.add(Area::Stacks, sp, end - sp);
            }
        }
        Ok(())
    }

    fn pids(&mut self) -> Result<()> {
        let kernel = self.kernel;
        let namespace = kernel.symbol("init_pid_ns")?;
        self.add(Area::Pids, namespace, 128);
        let root = kernel.shapes().pid_namespace.idr.address(namespace)?;
        let node_size = kernel.shapes().xa_node.sizeof().unwrap_or(576);
        for entry in xarray::entries(kernel.target(), xarray::Layout::of(kernel)?, root) {
            let entry = entry?;
            self.add(Area::Pids, entry.raw, kernel.shapes().pid.sizeof().unwrap_or(112));
            if let Some(node) = entry.node {
                self.add(Area::Pids, node, node_size);
            }
        }
        Ok(())
    }

    fn cpus(&mut self) -> Result<()> {
        let kernel = self.kernel;
        for name in ["__per_cpu_offset", "nr_cpu_ids", "__cpu_possible_mask", "__cpu_online_mask"] {
            self.add(Area::Cpus, kernel.symbol(name)?, 64);
        }
        for name in ["page_offset_base", "vmalloc_base", "vmemmap_base", "panic_cpu"] {
            if let Ok(at) = kernel.symbol(name) {
                self.add(Area::Cpus, at, 8);
            }
        }
        for cpu in kernel.possible_cpus() {
            let queue = kernel.runqueue(cpu)?;
            self.add(Area::Cpus, queue, kernel.shapes().rq.sizeof().unwrap_or(4096));
            self.add(Area::Cpus, kernel.shapes().rq.curr.address(queue)?, 24);
            for name in ["cpu_entry_area", "cea_exception_stacks", "hardirq_stack_ptr", "pcpu_hot"]
            {
                if let Ok(at) = kernel.per_cpu(name, cpu) {
                    self.add(Area::Cpus, at, 64);
                }
            }
            let notes = kernel.target().read_u64(kernel.symbol("crash_notes")?)?;
            let notes = notes.wrapping_add(kernel.per_cpu_offset(cpu).unwrap_or(0));
            self.add(Area::Cpus, notes, 512);
        }
        Ok(())
    }

    fn modules(&mut self) -> Result<()> {
        let kernel = self.kernel;
        let shapes = kernel.shapes();
        let target = kernel.target();
        self.add(Area::Modules, kernel.symbol("modules")?, 16);
        for module in kernel.modules().0 {
            let size = shapes.module.sizeof().unwrap_or(1024);
            self.add(Area::Modules, module.address, size);
            let tables = shapes.module.kallsyms.read(target, module.address)?;
            self.add(Area::Modules, tables, 40);
            let symbols = shapes.mod_kallsyms.symtab.read(target, tables)?;
            let count = shapes.mod_kallsyms.num_symtab.read(target, tables)?;
            self.add(Area::Modules, symbols, count.saturating_mul(24));
            let names = shapes.mod_kallsyms.strtab.read(target, tables)?;
            self.add(Area::Modules, names, 4096);
        }
        Ok(())
    }

    fn log(&mut self) -> Result<()> {
        let kernel = self.kernel;
        let target = kernel.target();
        let ring = target.read_u64(kernel.symbol("prb")?)?;
        self.add(Area::Log, ring, 128);
        let member =
            |path| Ok::<_, Error>(ring.wrapping_add(kernel.offset_of("printk_ringbuffer", path)?));
        let word = |path| Ok::<_, Error>(target.read_u64(member(path)?)?);
        let count = 1 << (target.read_u32(member("desc_ring.count_bits")?)? & 31);
        let text = 1 << (target.read_u32(member("text_data_ring.size_bits")?)? & 31);
        let size = |tag| target.struct_size(tag).unwrap_or(8);
        self.add(Area::Log, word("desc_ring.descs")?, count * size("prb_desc"));
        self.add(Area::Log, word("desc_ring.infos")?, count * size("printk_info"));
        self.add(Area::Log, word("text_data_ring.data")?, text);
        Ok(())
    }
}
