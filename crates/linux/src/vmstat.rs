//! What the kernel counts of its memory: by zone, by node, as a whole (mm/vmstat.c,
//! fs/proc/meminfo.c).

use necropsy_debuginfo::{Kind, Type};

use crate::{
    Kernel,
    error::{Error, Result},
    shape::{Field, Variable},
    zone::Zone,
};

/// A counter, by the name of its constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// `NR_FREE_PAGES`.
    pub name: String,
    /// Its value; what CPUs have not added yet is left out, as the kernel's files leave it out.
    pub value: i64,
}

/// More counters than any kernel has.
const MAX_COUNTERS: u64 = 1024;

/// Memory as a whole, in pages unless said otherwise; `kmem -i`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Usage {
    pub total: Option<u64>,
    pub free: Option<u64>,
    pub buffers: Option<u64>,
    pub cached: Option<u64>,
    pub slab: Option<u64>,
    /// Frames in huge pages.
    pub huge_total: Option<u64>,
    pub huge_free: Option<u64>,
    pub swap_total: Option<u64>,
    pub swap_free: Option<u64>,
    /// How much may be promised to processes, and how much was.
    pub commit_limit: Option<u64>,
    pub committed: Option<u64>,
}

impl Kernel {
    /// The constants of an enum by value, up to one that ends it, each with its last name: what
    /// begins a group has a second one.
    fn names_of(&self, tag: &str, end: &str) -> Result<Vec<String>> {
        let types = self.types();
        let id = types.find(Kind::Enum, tag).ok_or_else(|| Error::no_type(tag))?;
        let Type::Enum { values: enumerators, .. } = types.resolve(id) else {
            return Err(Error::no_type(tag));
        };
        let mut names: Vec<String> = Vec::new();
        for enumerator in enumerators.iter() {
            let name = types.name(enumerator.name);
            if name == end || enumerator.value < 0 {
                break;
            }
            match enumerator.value as usize {
                at if at == names.len() => names.push(name.to_owned()),
                at if at > names.len() => break,
                at => {
                    if let Some(known) = names.get_mut(at) {
                        name.clone_into(known);
                    }
                }
            }
        }
        names.truncate(MAX_COUNTERS as usize);
        Ok(names)
    }

    fn counters_at(&self, at: u64, names: Vec<String>) -> Result<Vec<Counter>> {
        let mut counters = Vec::with_capacity(names.len());
        for (number, name) in (0..).zip(names) {
            let at = at.wrapping_add(number * u64::from(self.target().pointer_size()));
            let value = self.target().read_long(at)?;
            counters.push(Counter { name, value });
        }
        Ok(counters)
    }

    fn global_counters(&self, variable: &Variable, tag: &str, end: &str) -> Result<Vec<Counter>> {
        self.counters_at(variable.address()?, self.names_of(tag, end)?)
    }

    /// The counters of a zone.
    ///
    /// # Errors
    /// A fault, or the types do not tell.
    pub fn zone_counters(&self, zone: &Zone) -> Result<Vec<Counter>> {
        let names = self.names_of("zone_stat_item", "NR_VM_ZONE_STAT_ITEMS")?;
        self.counters_at(self.shapes().zone.vm_stat.address(zone.address)?, names)
    }

    /// The sums over all zones.
    ///
    /// # Errors
    /// As [`Kernel::zone_counters`].
    pub fn zone_totals(&self) -> Result<Vec<Counter>> {
        let variable = &self.shapes().memory_variables.zone_stat;
        self.global_counters(variable, "zone_stat_item", "NR_VM_ZONE_STAT_ITEMS")
    }

    /// The sums over all nodes.
    ///
    /// # Errors
    /// As [`Kernel::zone_counters`].
    pub fn node_totals(&self) -> Result<Vec<Counter>> {
        let variable = &self.shapes().memory_variables.node_stat;
        self.global_counters(variable, "node_stat_item", "NR_VM_NODE_STAT_ITEMS")
    }

    /// Allocations by where they were satisfied, on machines with several nodes.
    ///
    /// # Errors
    /// As [`Kernel::zone_counters`].
    pub fn numa_totals(&self) -> Result<Vec<Counter>> {
        let variable = &self.shapes().memory_variables.numa_events;
        let end = match self.constant("NR_VM_NUMA_EVENT_ITEMS") {
            Ok(_) => "NR_VM_NUMA_EVENT_ITEMS",
            Err(_) => "NR_VM_NUMA_STAT_ITEMS",
        };
        let tag = ["numa_stat_item", "numa_event_item"];
        let tag = tag.into_iter().find(|tag| self.types().find(Kind::Enum, tag).is_some());
        self.global_counters(variable, tag.unwrap_or("numa_stat_item"), end)
    }

    /// What happened since the kernel started, over all CPUs.
    ///
    /// # Errors
    /// As [`Kernel::zone_counters`].
    pub fn memory_events(&self) -> Result<Vec<Counter>> {
        let names = self.names_of("vm_event_item", "NR_VM_EVENT_ITEMS")?;
        let first = self.shapes().memory_variables.events.address()?;
        let mut sum: Vec<Counter> =
            names.into_iter().map(|name| Counter { name, value: 0 }).collect();
        for cpu in self.possible_cpus() {
            let Ok(base) = self.cpu_base(cpu) else { continue };
            for (number, counter) in (0..).zip(&mut sum) {
                let word = self.target().read_pointer_at(first.wrapping_add(base), number)?;
                counter.value = counter.value.wrapping_add(word as i64);
            }
        }
        Ok(sum)
    }

    /// What CPUs have counted of a zone's free frames and not yet added.
    pub(crate) fn free_pages_not_added(&self, zone: &Zone) -> Result<i64> {
        let (shapes, target) = (self.shapes(), self.target());
        let number = shapes.page_counters.free.index()?;
        let (area, diff): (u64, &Field) = if shapes.zone.per_cpu_stats.exists() {
            let area = shapes.zone.per_cpu_stats.read(target, zone.address)?;
            (area, &shapes.per_cpu_zone_stat.stat_diff)
        } else {
            let area = shapes.zone.page_sets.read(target, zone.address)?;
            (area, &shapes.per_cpu_page_set.stat_diff)
        };
        let mut sum = 0;
        for cpu in self.possible_cpus() {
            let Ok(base) = self.cpu_base(cpu) else { continue };
            let at = diff.address(area.wrapping_add(base))?.wrapping_add(number);
            sum += i64::from(target.read_u8(at)? as i8);
        }
        Ok(sum)
    }

    /// Memory as a whole. What cannot be had is `None`.
    pub fn memory_usage(&self) -> Usage {
        let (shapes, target) = (self.shapes(), self.target());
        let variables = &shapes.memory_variables;
        let word = |variable: &Variable| target.read_pointer(variable.address().ok()?).ok();
        let named = |counters: &Result<Vec<Counter>>, name: &str| {
            let counters = counters.as_ref().ok()?;
            let value = counters.iter().find(|counter| counter.name == name)?.value;
            Some(value.max(0) as u64)
        };
        let (zones, nodes) = (self.zone_totals(), self.node_totals());
        let either =
            |first: &str, second: &str| named(&nodes, first).or_else(|| named(&nodes, second));
        let slab = either("NR_SLAB_RECLAIMABLE_B", "NR_SLAB_RECLAIMABLE")
            .zip(either("NR_SLAB_UNRECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE"))
            .map(|(a, b)| a + b);
        let buffers = self.buffer_pages();
        let swap_cache = named(&nodes, "NR_SWAPCACHE").unwrap_or(0);
        let cached = named(&nodes, "NR_FILE_PAGES")
            .map(|file| file.saturating_sub(swap_cache).saturating_sub(buffers.unwrap_or(0)));
        let huge = self.huge_pages().ok();
        let sum = |part: fn(&HugePages) -> u64| {
            let pages = |kind: &HugePages| part(kind).saturating_mul(1 << kind.order.min(40));
            let kinds = huge.as_ref()?;
            Some(kinds.iter().fold(0u64, |sum, kind| sum.saturating_add(pages(kind))))
        };
        let total = word(&variables.total);
        let huge_total: Option<u64> = sum(|kind| kind.total);
        let swap_total = word(&variables.swap_total);
        let limit = self.commit_limit(total, huge_total, swap_total);
        let committed = variables.committed.address().ok();
        Usage {
            total,
            free: named(&zones, "NR_FREE_PAGES"),
            buffers,
            cached,
            slab,
            huge_total,
            huge_free: sum(|kind| kind.free),
            swap_total,
            swap_free: word(&variables.swap_free),
            commit_limit: limit,
            committed: committed
                .and_then(|at| shapes.percpu_counter.count.read_signed(target, at).ok())
                .map(|pages| pages.max(0) as u64),
        }
    }

    /// Pages that block devices hold as files (`nr_blockdev_pages()`).
    fn buffer_pages(&self) -> Option<u64> {
        let (shapes, target) = (self.shapes(), self.target());
        let at = shapes.memory_variables.block_devices.address().ok()?;
        let sb = target.read_pointer(at).ok()?;
        let head = shapes.super_block.inodes.address(sb).ok()?;
        let link = shapes.inode.on_superblock.offset().ok()?;
        let mut pages = 0u64;
        for entry in crate::list::list(target, head) {
            let inode = entry.ok()?.wrapping_sub(link);
            let mapping = shapes.inode.mapping.read(target, inode).ok()?;
            pages = pages.saturating_add(shapes.address_space.pages.read(target, mapping).ok()?);
        }
        Some(pages)
    }

    /// `vm_commit_limit()` of mm/util.c.
    fn commit_limit(
        &self,
        total: Option<u64>,
        huge: Option<u64>,
        swap: Option<u64>,
    ) -> Option<u64> {
        let (variables, target) = (&self.shapes().memory_variables, self.target());
        let kbytes = variables.overcommit_kbytes.address().ok();
        let kbytes = match kbytes {
            Some(at) => target.read_pointer(at).ok()?,
            None => 0,
        };
        let allowed = if kbytes > 0 {
            kbytes / (target.page_size() >> 10).max(1)
        } else {
            let ratio = target.read_u32(variables.overcommit_ratio.address().ok()?).ok()?;
            total?.saturating_sub(huge.unwrap_or(0)).saturating_mul(ratio.into()) / 100
        };
        Some(allowed.saturating_add(swap.unwrap_or(0)))
    }

    /// The kinds of huge pages.
    ///
    /// # Errors
    /// A fault, or the kernel has none.
    pub fn huge_pages(&self) -> Result<Vec<HugePages>> {
        let (shapes, target) = (self.shapes(), self.target());
        let variables = &shapes.memory_variables;
        let first = variables.huge.address()?;
        let kinds = u64::from(target.read_u32(variables.huge_kinds.address()?)?).min(16);
        let size = shapes.huge_pages.sizeof()?;
        let kind = |number: u64| {
            let at = shapes.huge_pages.at(target, first.wrapping_add(number * size));
            Ok(HugePages {
                address: at.address,
                order: at.order()?.min(40),
                total: at.total()?.min(1 << 40),
                free: at.free()?.min(1 << 40),
                name: at.text(|kind| &kind.name).unwrap_or_default(),
            })
        };
        (0..kinds).map(kind).collect()
    }
}

/// Huge pages of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugePages {
    /// Its `hstate`.
    pub address: u64,
    /// Each has 2 to the power of this frames.
    pub order: u64,
    /// How many there are.
    pub total: u64,
    /// How many are free.
    pub free: u64,
    /// `hugepages-2048kB`.
    pub name: String,
}
