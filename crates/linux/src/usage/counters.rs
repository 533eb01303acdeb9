//! What the kernel itself counts (mm/vmstat.c), to hold against what was found.

use super::Use;
use crate::{Kernel, vmstat::Counter};

/// A number of the kernel's own, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// What is counted.
    pub used: Use,
    /// Pages, by the global counters, which lag behind what CPUs keep for themselves; `None` where they
    /// cannot be read.
    pub pages: Option<u64>,
}

impl Kernel {
    /// What the kernel counts. It has no counters for other uses.
    pub fn usage_counters(&self) -> Vec<Counted> {
        // What one kernel counts for a zone, another counts for a node.
        let mut counters: Vec<Counter> = self.node_totals().unwrap_or_default();
        counters.extend(self.zone_totals().unwrap_or_default());
        let counter = |names: &[&str]| -> Option<u64> {
            let found = counters.iter().find(|counter| names.contains(&counter.name.as_str()))?;
            // What CPUs have not handed in can make it negative.
            Some(u64::try_from(found.value).unwrap_or(0))
        };
        let slab = counter(&["NR_SLAB_RECLAIMABLE_B", "NR_SLAB_RECLAIMABLE"])
            .zip(counter(&["NR_SLAB_UNRECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE"]));
        let files = counter(&["NR_FILE_PAGES"]).zip(counter(&["NR_SHMEM"]));
        let page_kb = (self.target().page_size() / 1024).max(1);
        let all = [
            (Use::Free, counter(&["NR_FREE_PAGES"])),
            (Use::Anonymous, counter(&["NR_ANON_MAPPED"])),
            (Use::Shared, counter(&["NR_SHMEM"])),
            (Use::File, files.map(|(all, shared)| all.saturating_sub(shared))),
            (Use::Slab, slab.map(|(some, others)| some.saturating_add(others))),
            (Use::PageTables, counter(&["NR_PAGETABLE"])),
            (Use::Stacks, counter(&["NR_KERNEL_STACK_KB"]).map(|kb| kb / page_kb)),
        ];
        all.into_iter().map(|(used, pages)| Counted { used, pages }).collect()
    }
}
