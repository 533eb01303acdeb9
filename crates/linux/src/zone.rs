//! Memory nodes, their zones, and the free frames of each: the buddy allocator's and those that
//! CPUs keep at hand (include/linux/mmzone.h, mm/page_alloc.c).

use std::sync::OnceLock;

use necropsy_machine::paging::PagingFormat;

use crate::{
    Kernel,
    error::{Error, Result},
    list,
};

/// A memory node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryNode {
    /// Its `pglist_data`.
    pub address: u64,
    /// Its number.
    pub node: u64,
    /// Its first frame.
    pub start_pfn: u64,
    /// Frames from the first to the last.
    pub spanned: u64,
    /// Of them, those that there are.
    pub present: u64,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its `struct zone`.
    pub address: u64,
    /// Its node.
    pub node: u64,
    /// Its place among the zones of a node.
    pub number: u64,
    /// `DMA32`.
    pub name: String,
    /// Its first frame.
    pub start_pfn: u64,
    /// Frames from the first to the last.
    pub spanned: u64,
    /// Of them, those that there are.
    pub present: u64,
    /// Of them, those that the allocator has or gave away.
    pub managed: Option<u64>,
    /// How many free frames it should not fall below: minimum, low, high.
    pub watermarks: Vec<u64>,
}

impl Zone {
    /// Whether a frame can be of this zone.
    pub fn spans(&self, pfn: u64) -> bool {
        pfn.wrapping_sub(self.start_pfn) < self.spanned
    }
}

/// A list of free runs of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeList {
    /// The list's head.
    pub head: u64,
    /// Each run has 2 to the power of this frames.
    pub order: u64,
    /// Its kind (MIGRATE_*).
    pub kind: u64,
}

/// The free runs of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeArea {
    /// Its `struct free_area`.
    pub address: u64,
    /// Each run has 2 to the power of this frames.
    pub order: u64,
    /// How many runs it counts, over all lists.
    pub nr_free: u64,
    /// A list for each kind.
    pub lists: Vec<FreeList>,
}

/// Frames that a CPU keeps at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuPages {
    /// The CPU.
    pub cpu: u32,
    /// Its `per_cpu_pages`.
    pub address: u64,
    /// How many frames it counts.
    pub count: u64,
    /// Heads of its lists: those of order 0 first, by kind.
    pub lists: Vec<u64>,
}

impl CpuPages {
    /// The order of the runs on a list by its number (`order_to_pindex()` of mm/page_alloc.c): three
    /// kinds an order up to PAGE_ALLOC_COSTLY_ORDER, then lists for huge pages; one order alone until
    /// 5.13.
    pub(crate) fn order_of(&self, number: u64, paging: PagingFormat) -> u64 {
        const KINDS: u64 = 3;
        const COSTLY: u64 = 3;
        match number / KINDS {
            // The kinds of one order are three, or four with contiguous memory.
            _ if self.lists.len() <= 4 => 0,
            order if order > COSTLY => {
                u64::from(paging.huge_shift().saturating_sub(paging.page_shift()))
            }
            order => order,
        }
    }
}

/// More zones of a node, orders of an area or lists of it than any kernel has.
const MAX_FEW: u64 = 64;
/// More nodes than a kernel can be built for (MAX_NUMNODES).
const MAX_NODES: u64 = 1024;
/// More runs on one list than memory has room for.
const MAX_RUNS: usize = 64_000_000;

/// The nodes, read once.
#[derive(Debug, Default)]
struct Nodes(OnceLock<Vec<MemoryNode>>);

impl Kernel {
    /// The memory nodes.
    ///
    /// # Errors
    /// The table of nodes is not known.
    pub fn memory_nodes(&self) -> Result<Vec<MemoryNode>> {
        let (shapes, target) = (self.shapes(), self.target());
        let variables = &shapes.memory_variables;
        let mut addresses = Vec::new();
        match variables.node_data.address() {
            Ok(table) => {
                let count = shapes.slab_variables.nr_node_ids.address().ok();
                let count = count.and_then(|at| target.read_u32(at).ok()).map_or(1, u64::from);
                for node in 0..count.min(MAX_NODES) {
                    addresses.push(target.read_pointer_at(table, node)?);
                }
            }
            Err(_) => addresses.push(variables.only_node.address()?),
        }
        addresses.retain(|address| *address != 0);
        let node = |address| {
            let at = shapes.node_memory.at(target, address);
            Ok(MemoryNode {
                address,
                node: at.node_id()?,
                start_pfn: at.start_pfn()?,
                spanned: at.spanned_pages()?,
                present: at.present_pages()?,
            })
        };
        addresses.into_iter().map(node).collect()
    }

    /// The memory node that a page frame belongs to; `None` where the spans of nodes overlap there,
    /// or cannot be read.
    pub fn node_of_frame(&self, pfn: u64) -> Option<u64> {
        let nodes = self.memo::<Nodes>().0.get_or_init(|| self.memory_nodes().unwrap_or_default());
        let has = |node: &&MemoryNode| pfn.wrapping_sub(node.start_pfn) < node.spanned;
        let mut nodes = nodes.iter().filter(has);
        nodes.next().filter(|_| nodes.next().is_none()).map(|node| node.node)
    }

    /// All zones, those without memory too, by node.
    ///
    /// # Errors
    /// As [`Kernel::memory_nodes`], or a zone cannot be read.
    pub fn zones(&self) -> Result<Vec<Zone>> {
        let shapes = self.shapes();
        let size = shapes.zone.sizeof()?;
        let count = (shapes.node_memory.zones.size()? / size).min(MAX_FEW);
        let mut zones = Vec::new();
        for node in self.memory_nodes()? {
            let first = shapes.node_memory.zones.address(node.address)?;
            for number in 0..count {
                let address = first.wrapping_add(number * size);
                zones.push(self.zone(address, node.node, number)?);
            }
        }
        Ok(zones)
    }

    fn zone(&self, address: u64, node: u64, number: u64) -> Result<Zone> {
        let (shape, target) = (&self.shapes().zone, self.target());
        let at = shape.at(target, address);
        let name = at.name()?;
        let marks = shape.watermarks.address(address)?;
        let words = (shape.watermarks.size()? / 8).min(3);
        let mark = |number: u64| target.read_pointer_at(marks, number);
        Ok(Zone {
            address,
            node,
            number,
            name: shape.name.named(target.read_cstr(name, 32))?,
            start_pfn: at.start_pfn()?,
            spanned: at.spanned_pages()?,
            present: at.present_pages()?,
            managed: at.managed_pages().ok(),
            watermarks: (0..words).filter_map(|number| mark(number).ok()).collect(),
        })
    }

    /// The free runs of a zone, by order.
    ///
    /// # Errors
    /// A fault, or the types do not tell.
    pub fn free_areas(&self, zone: &Zone) -> Result<Vec<FreeArea>> {
        let (shapes, target) = (self.shapes(), self.target());
        let size = shapes.free_area.sizeof()?;
        let first = shapes.zone.free_area.address(zone.address)?;
        let orders = (shapes.zone.free_area.size()? / size).min(MAX_FEW);
        let head = list::head_size(target);
        let kinds = (shapes.free_area.free_list.size()? / head).min(MAX_FEW);
        let mut areas = Vec::new();
        for order in 0..orders {
            let address = first.wrapping_add(order * size);
            let lists = shapes.free_area.free_list.address(address)?;
            let list = |kind| FreeList { head: lists.wrapping_add(kind * head), order, kind };
            areas.push(FreeArea {
                address,
                order,
                nr_free: shapes.free_area.nr_free.read(target, address)?,
                lists: (0..kinds).map(list).collect(),
            });
        }
        Ok(areas)
    }

    /// The `struct page` of the first frame of each run on a list of free ones, with what is wrong
    /// with the list.
    pub fn free_runs(&self, head: u64) -> (Vec<u64>, Option<Error>) {
        let link = match self.shapes().page.list.offset() {
            Ok(link) => link,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let (runs, broken) = list::entries(self.target(), head, MAX_RUNS);
        (runs.into_iter().map(|at| at.wrapping_sub(link)).collect(), broken)
    }

    /// The frames that CPUs keep at hand of a zone.
    ///
    /// # Errors
    /// A fault, or the types do not tell.
    pub fn cpu_pages(&self, zone: &Zone) -> Result<Vec<CpuPages>> {
        let (shapes, target) = (self.shapes(), self.target());
        let area = shapes.zone.page_sets.read(target, zone.address)?;
        let within = if shapes.per_cpu_page_set.structure.exists() {
            shapes.per_cpu_page_set.pages.offset()?
        } else {
            0
        };
        let mut found = Vec::new();
        for cpu in self.possible_cpus() {
            let Ok(base) = self.cpu_base(cpu) else { continue };
            let address = area.wrapping_add(base).wrapping_add(within);
            let lists = shapes.per_cpu_pages.lists.address(address)?;
            let head = list::head_size(target);
            let count = (shapes.per_cpu_pages.lists.size()? / head).min(MAX_FEW);
            found.push(CpuPages {
                cpu,
                address,
                count: shapes.per_cpu_pages.count.read(target, address)?,
                lists: (0..count).map(|number| lists.wrapping_add(number * head)).collect(),
            });
        }
        Ok(found)
    }

    /// The name of a kind of free lists: `Unmovable`.
    pub fn migrate_name(&self, kind: u64) -> Option<String> {
        let table = self.shapes().memory_variables.migrate_names.address().ok()?;
        let name = self.target().read_pointer_at(table, kind.min(MAX_FEW)).ok()?;
        self.target().read_cstr(name, 32).ok()
    }

    /// Bits of an address within a section of the memory map.
    pub(crate) fn section_bits(&self) -> u64 {
        let told = self.target().vmcoreinfo().and_then(|info| info.number("SECTION_SIZE_BITS"));
        told.filter(|bits| (20..=40).contains(bits)).unwrap_or(SECTION_BITS)
    }

    /// The sections of the memory map that there are.
    ///
    /// # Errors
    /// A fault, or the kernel has none.
    pub fn memory_sections(&self) -> Result<Vec<Section>> {
        let (shapes, target) = (self.shapes(), self.target());
        let size = shapes.mem_section.sizeof()?;
        // VMCOREINFO tells the table's address under this name, not that of the variable.
        let roots = target.read_pointer(self.symbol("mem_section")?)?;
        let frames = 1u64 << (self.section_bits() - u64::from(target.page_shift()));
        let per_root = (target.page_size() / size).max(1);
        let mut sections = Vec::new();
        for number in 0..target.dump_pfns().div_ceil(frames).min(MAX_SECTIONS) {
            let root = target.read_pointer_at(roots, number / per_root)?;
            if root == 0 {
                continue;
            }
            let address = root.wrapping_add(number % per_root * size);
            let map = shapes.mem_section.map.read(target, address)?;
            if map & 1 == 0 {
                continue;
            }
            let (start_pfn, coded_map) = (number * frames, map & !(target.page_size() - 1));
            let state = "PMOE".chars().enumerate();
            let state = state.filter(|(bit, _)| map >> bit & 1 == 1).map(|(_, letter)| letter);
            sections.push(Section {
                number,
                address,
                coded_map,
                map: coded_map.wrapping_add(start_pfn * shapes.page.sizeof()?),
                state: state.collect(),
                start_pfn,
            });
        }
        Ok(sections)
    }
}

/// A section of the memory map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its number.
    pub number: u64,
    /// Its `mem_section`.
    pub address: u64,
    /// Where its map would begin if frame 0 were in it.
    pub coded_map: u64,
    /// The `struct page` of its first frame.
    pub map: u64,
    /// Letters: present, has a map, online, early.
    pub state: String,
    /// Its first frame.
    pub start_pfn: u64,
}

/// Bits of an address in a section of x86_64, where VMCOREINFO does not tell.
const SECTION_BITS: u64 = 27;
/// More sections than memory has.
const MAX_SECTIONS: u64 = 1 << 20;
