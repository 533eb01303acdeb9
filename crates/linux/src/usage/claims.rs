//! Frames of which others tell what they are for.

use std::collections::HashMap;

use super::{Ram, Use};
use crate::{Error, Kernel, error::Result, list::list};

/// What frames are for, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_pfn: HashMap<u64, Use>,
}

/// VM_IOREMAP: no memory of the page allocator (include/linux/vmalloc.h).
const IOREMAP: u64 = 1;
/// The most frames that one area is believed to have, and all of them together.
const MAX_AREA: u64 = 1 << 24;
const MAX_CLAIMS: usize = 1 << 26;
/// MIGRATE_PCPTYPES, PAGE_ALLOC_COSTLY_ORDER.
/// More free pages than a CPU keeps in one list.
const MAX_KEPT: usize = 1 << 20;

impl Claims {
    /// Of a kernel; what cannot be read is noted.
    pub(super) fn of(kernel: &Kernel, ram: &Ram, errors: &mut Vec<Error>) -> Claims {
        let mut claims = Claims::default();
        let mut note = |result: Result<()>| errors.extend(result.err());
        note(claims.memory_map(kernel, ram));
        note(claims.stacks(kernel));
        note(claims.boot_cpus(kernel));
        note(claims.areas(kernel));
        note(claims.trace(kernel));
        note(claims.free_of_cpus(kernel));
        claims
    }

    /// Who has a frame.
    pub(super) fn get(&self, pfn: u64) -> Option<Use> {
        self.by_pfn.get(&pfn).copied()
    }

    fn add(&mut self, pfn: u64, used: Use) {
        if self.by_pfn.len() < MAX_CLAIMS {
            self.by_pfn.entry(pfn).or_insert(used);
        }
    }

    /// The frame behind a kernel address.
    fn add_address(&mut self, kernel: &Kernel, address: u64, used: Use) {
        if let Ok(physical) = kernel.target().translate(address) {
            self.add(physical >> kernel.target().page_shift(), used);
        }
    }

    /// `struct page`s themselves.
    fn memory_map(&mut self, kernel: &Kernel, ram: &Ram) -> Result<()> {
        let page = kernel.target().page_size();
        for range in &ram.ranges {
            let start = kernel.page_of(range.start)? & !(page - 1);
            let end = kernel.page_of(range.end)?;
            let mut address = start;
            while address < end {
                match kernel.target().translate(address) {
                    Ok(physical) => {
                        self.add(physical >> kernel.target().page_shift(), Use::MemoryMap);
                        address = address.saturating_add(page);
                    }
                    // A hole is a whole table, mostly.
                    Err(_) => address = (address | ((1 << 21) - 1)).saturating_add(1),
                }
            }
        }
        Ok(())
    }

    /// Areas that are mapped page by page.
    fn areas(&mut self, kernel: &Kernel) -> Result<()> {
        let (target, page) = (kernel.target(), kernel.target().page_size());
        let (areas, _) = kernel.vmalloc_areas()?;
        let modules = target.modules_base();
        for area in areas {
            let flags = area.flags.unwrap_or(0);
            if flags & IOREMAP != 0 {
                continue;
            }
            let caller = area.caller.and_then(|caller| target.locate(caller));
            let caller = caller.map_or("", |found| found.symbol.name);
            let used = if caller.contains("pcpu") {
                Use::PerCpu
            } else if ["copy_process", "dup_task_struct", "alloc_thread_stack_node", "fork_idle"]
                .iter()
                .any(|name| caller.starts_with(name))
                || caller.contains("irq_init_percpu")
                || caller.contains("init_irq_stacks")
            {
                Use::Stacks
            } else if area.start >= modules
                || caller.contains("module")
                || caller.contains("execmem")
            {
                Use::Modules
            } else {
                Use::Vmalloc
            };
            let listed = area.pages.filter(|pages| *pages > 0 && *pages <= MAX_AREA);
            let pages = match listed {
                Some(_) => kernel.shapes().vm_pages.pages.read(target, area.vm).unwrap_or(0),
                None => 0,
            };
            match listed.filter(|_| pages != 0) {
                Some(count) => {
                    for number in 0..count {
                        let Ok(page) = target.read_pointer_at(pages, number) else {
                            break;
                        };
                        if let Ok(pfn) = kernel.pfn_of(page) {
                            self.add(pfn, used);
                        }
                    }
                    // The table of them is memory, too.
                    let table = count * u64::from(target.pointer_size());
                    for at in (pages..pages.saturating_add(table)).step_by(page as usize) {
                        self.add_address(kernel, at, used);
                    }
                }
                // Mapped by hand, in part: per-CPU chunks, modules of 6.13 and later.
                None if area.end.saturating_sub(area.start) / page <= MAX_AREA => {
                    let end = area.end.saturating_sub(page);
                    for at in (area.start..end).step_by(page as usize) {
                        self.add_address(kernel, at, used);
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Stacks of tasks, where those are not areas.
    fn stacks(&mut self, kernel: &Kernel) -> Result<()> {
        let page = kernel.target().page_size();
        for task in kernel.tasks().tasks {
            if let Ok(stack) = task.stack() {
                for at in (stack..stack.saturating_add(kernel.thread_size())).step_by(page as usize)
                {
                    self.add_address(kernel, at, Use::Stacks);
                }
            }
        }
        Ok(())
    }

    /// The per-CPU memory that is made at boot: of variables, and some to give out.
    fn boot_cpus(&mut self, kernel: &Kernel) -> Result<()> {
        let target = kernel.target();
        let base = target.read_pointer(kernel.symbol("pcpu_base_addr")?)?;
        let start = kernel.symbol("__per_cpu_start")?;
        let unit = u64::from(target.read_u32(kernel.symbol("pcpu_unit_size")?)?).min(1 << 30);
        for offset in kernel.per_cpu_offsets() {
            let first = start.wrapping_add(*offset);
            if base == 0 || first < base {
                continue;
            }
            for at in (first..first.saturating_add(unit)).step_by(target.page_size() as usize) {
                self.add_address(kernel, at, Use::PerCpu);
            }
        }
        Ok(())
    }

    /// Rings of traces.
    fn trace(&mut self, kernel: &Kernel) -> Result<()> {
        let (instances, _) = match kernel.trace_instances() {
            Err(error) if error.is_no_such() => return Ok(()),
            instances => instances?,
        };
        let page = kernel.target().page_size();
        for ring in instances.iter().flat_map(|instance| &instance.rings) {
            for data in &ring.all {
                for at in (*data..data.saturating_add(ring.page_bytes)).step_by(page as usize) {
                    self.add_address(kernel, at, Use::Trace);
                }
            }
        }
        Ok(())
    }

    /// Free pages that CPUs keep for themselves.
    fn free_of_cpus(&mut self, kernel: &Kernel) -> Result<()> {
        let target = kernel.target();
        let link = kernel.shapes().page.list.offset()?;
        for zone in kernel.zones()?.iter().filter(|zone| zone.present > 0) {
            for kept in kernel.cpu_pages(zone)? {
                for (number, head) in (0..).zip(&kept.lists) {
                    let order = kept.order_of(number, target.paging());
                    for entry in list(target, *head).map_while(Result::ok).take(MAX_KEPT) {
                        let Ok(pfn) = kernel.pfn_of(entry.wrapping_sub(link)) else { break };
                        for frame in 0..1u64 << order {
                            self.add(pfn + frame, Use::FreeOfCpu);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
