//! Who holds slabs and free objects of a cache: CPUs, memory nodes, sheaves.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use super::{
    cache::Cache,
    freelist::{Flaw, FreeList},
    slab::Slab,
};
use crate::{Kernel, error::Error, list};

/// Whose a slab is that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The slab that a CPU allocates from.
    Cpu(u32),
    /// One that a CPU holds back.
    CpuPartial(u32),
    /// On the list of a memory node.
    Partial(u32),
    /// A page of KFENCE, which no cache knows.
    Kfence,
}

/// Where a free object is kept that its slab counts as allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// On a CPU's free list.
    Cpu(u32),
    /// In a sheaf of a CPU, main or spare.
    Sheaf(u32),
    /// In a CPU's sheaf of objects that wait for a grace period: being freed.
    RcuSheaf(u32),
    /// In a full sheaf of a memory node.
    Barn(u32),
    /// On its page in KFENCE's pool.
    Kfence,
}

/// `CPU 1`, `partial list of CPU 1`, `partial list of node 0`.
impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Cpu(cpu) => write!(f, "slab of CPU {cpu}"),
            Role::CpuPartial(cpu) => write!(f, "partial list of CPU {cpu}"),
            Role::Partial(node) => write!(f, "partial list of node {node}"),
            Role::Kfence => f.write_str("page of KFENCE"),
        }
    }
}

impl std::fmt::Display for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Keeper::Cpu(cpu) => write!(f, "free list of CPU {cpu}"),
            Keeper::Sheaf(cpu) => write!(f, "sheaf of CPU {cpu}"),
            Keeper::RcuSheaf(cpu) => write!(f, "RCU sheaf of CPU {cpu}"),
            Keeper::Barn(node) => write!(f, "sheaf of node {node}"),
            Keeper::Kfence => f.write_str("page of KFENCE"),
        }
    }
}

/// A memory node's part of a cache, as it counts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub node: u32,
    /// Its `kmem_cache_node`.
    pub address: u64,
    /// How many slabs it counts on its list.
    pub nr_partial: Option<u64>,
    /// How many slabs there are, full ones and those of CPUs included.
    pub nr_slabs: Option<u64>,
    /// How many objects they have room for.
    pub total_objects: Option<u64>,
    /// How many slabs its list has.
    pub listed: u64,
    /// Whether the list was followed to its end.
    pub whole: bool,
}

/// What CPUs and nodes hold of a cache.
#[derive(Debug, Default)]
pub struct Held {
    /// Slabs, by their `struct slab`.
    pub slabs: HashMap<u64, Role>,
    /// Free objects.
    pub objects: HashMap<u64, Keeper>,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Slabs that have two places, and those.
    pub twice: Vec<(u64, Role, Role)>,
    /// Objects that have two places, and those.
    pub free_twice: Vec<(u64, Keeper, Keeper)>,
    /// What could not be followed, and the structure that it is about: a sheaf, a node, a slab, a
    /// CPU's part of the cache.
    pub errors: Vec<(u64, Error)>,
    /// The dump lacks a part that keeps free objects of any slab: what is on no list may be free all
    /// the same.
    pub incomplete: bool,
    /// Slabs of CPUs whose free lists the dump lacks.
    pub incomplete_slabs: HashSet<u64>,
    /// Free lists of CPUs that could not be followed: the slab, whose, and why.
    pub flaws: Vec<(u64, Keeper, Flaw)>,
    /// Sheaves.
    pub sheaves: Vec<Sheaf>,
    /// Where nodes keep sheaves.
    pub barns: Vec<Barn>,
    /// Slabs that CPUs hold back: how many follow each, itself included, as it counts them.
    pub behind: Vec<(u64, u64, u64)>,
}

/// A memory node's sheaves of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barn {
    /// The node's number.
    pub node: u32,
    /// Its `node_barn`.
    pub address: u64,
    /// Full sheaves: how many it counts, and how many its list has.
    pub full: (u64, u64),
    /// Empty ones.
    pub empty: (u64, u64),
    /// Whether both lists were followed to their ends.
    pub whole: bool,
}

/// An array of free objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheaf {
    /// Its `slab_sheaf`.
    pub address: u64,
    /// Whose.
    pub keeper: Keeper,
    /// The cache that it is for.
    pub cache: u64,
    /// How many objects it has.
    pub size: u64,
}

/// By the address of the `kmem_cache`.
#[derive(Debug, Default)]
struct ByCache(Mutex<HashMap<u64, Arc<Held>>>);

/// A cache's nodes and their barns.
pub(super) struct CacheNodes {
    pub(super) nodes: Vec<(u32, u64)>,
    pub(super) barns: Vec<(u32, u64)>,
    /// What could not be read of them.
    pub(super) errors: Vec<(u64, Error)>,
}

/// More memory nodes than a kernel can be built for (MAX_NUMNODES).
const MAX_NODES: u64 = 1024;
/// More slabs than a CPU holds back.
const MAX_PARTIAL: u64 = 65_536;
/// More objects than a sheaf has room for.
const MAX_SHEAF: u64 = 4096;
/// More slabs than a node's list, or sheaves than a barn, has.
const MAX_LISTED: usize = 16_000_000;

impl Kernel {
    pub(super) fn cache_nodes(&self, cache: &Cache) -> CacheNodes {
        let (shapes, target) = (self.shapes(), self.target());
        let count = shapes.slab_variables.nr_node_ids.address().ok();
        let count = count.and_then(|at| target.read_u32(at).ok()).map_or(1, u64::from);
        let mut found = CacheNodes { nodes: Vec::new(), barns: Vec::new(), errors: Vec::new() };
        for (node, number) in (0..count.min(MAX_NODES)).zip(0u32..) {
            let (address, barn) = if let Ok(table) = shapes.kmem_cache.node.address(cache.address)
                && shapes.kmem_cache.node.exists()
            {
                let address = target.read_pointer_at(table, node);
                let barn = match address {
                    Ok(address) if address != 0 && shapes.kmem_cache_node.barn.exists() => {
                        shapes.kmem_cache_node.barn.read(target, address)
                    }
                    _ => Ok(0),
                };
                (address.map_err(Error::from), barn)
            } else if let Ok(table) = shapes.kmem_cache.per_node.address(cache.address)
                && let Ok(size) = shapes.kmem_cache_per_node.sizeof()
            {
                let at = shapes.kmem_cache_per_node.at(target, table.wrapping_add(node * size));
                (at.node(), at.barn())
            } else {
                break;
            };
            for (part, read) in [(&mut found.nodes, address), (&mut found.barns, barn)] {
                match read {
                    Ok(0) => {}
                    Ok(address) => part.push((number, address)),
                    Err(error) if error.is_no_such() => {}
                    Err(error) => found.errors.push((cache.address, error)),
                }
            }
        }
        found
    }

    /// What CPUs and nodes hold of a cache; found out once.
    pub fn held_of(&self, cache: &Cache) -> Arc<Held> {
        let known =
            self.memo::<ByCache>().0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(held) = known.get(&cache.address) {
            return held.clone();
        }
        drop(known);
        let mut held = Held::default();
        self.held_by_cpus(cache, &mut held);
        self.held_by_nodes(cache, &mut held);
        let held = Arc::new(held);
        let mut known =
            self.memo::<ByCache>().0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.entry(cache.address).or_insert(held).clone()
    }

    fn held_by_cpus(&self, cache: &Cache, held: &mut Held) {
        let (shapes, target) = (self.shapes(), self.target());
        for cpu in self.possible_cpus() {
            let Ok(base) = self.cpu_base(cpu) else {
                held.incomplete = true;
                continue;
            };
            match shapes.kmem_cache.cpu_slab.read(target, cache.address) {
                Ok(0) => {}
                Ok(area) => self.held_by_cpu(cache, cpu, area.wrapping_add(base), held),
                Err(error) if error.is_no_such() => {}
                Err(error) => held.lacks(cache.address, error),
            }
            let area = match shapes.kmem_cache.cpu_sheaves.read(target, cache.address) {
                Ok(area) => area,
                Err(error) => {
                    if !error.is_no_such() {
                        held.lacks(cache.address, error);
                    }
                    0
                }
            };
            if area != 0 {
                let sheaves = shapes.percpu_sheaves.at(target, area.wrapping_add(base));
                for (sheaf, keeper) in [
                    (sheaves.main(), Keeper::Sheaf(cpu)),
                    (sheaves.spare(), Keeper::Sheaf(cpu)),
                    (sheaves.rcu_free(), Keeper::RcuSheaf(cpu)),
                ] {
                    match sheaf {
                        Ok(0) => {}
                        Ok(sheaf) => self.held_in_sheaf(cache, sheaf, keeper, held),
                        Err(error) => held.lacks(sheaves.address, error),
                    }
                }
            }
        }
    }

    fn held_by_cpu(&self, cache: &Cache, cpu: u32, area: u64, held: &mut Held) {
        let (shapes, target) = (self.shapes(), self.target());
        let area = shapes.kmem_cache_cpu.at(target, area);
        match area.slab() {
            Ok(0) => {}
            Ok(page) => {
                held.slab(page, Role::Cpu(cpu));
                match (self.slab_of_page(page), area.freelist()) {
                    (Ok(slab), Ok(first)) => {
                        let list = self.free_list(cache, &slab, first);
                        held.list(cache, &slab, &list, Keeper::Cpu(cpu));
                    }
                    (Err(error), _) | (_, Err(error)) => {
                        held.incomplete_slabs.insert(page);
                        held.errors.push((page, error));
                    }
                }
            }
            Err(error) => held.lacks(area.address, error),
        }
        if !shapes.kmem_cache_cpu.partial.exists() || !shapes.slab.next.exists() {
            return;
        }
        let mut page = match area.partial() {
            Ok(page) => page,
            Err(error) => return held.errors.push((area.address, error)),
        };
        let mut chain = Vec::new();
        for _ in 0..MAX_PARTIAL {
            if page == 0 || !held.slab(page, Role::CpuPartial(cpu)) {
                break;
            }
            chain.push((page, shapes.slab.behind.read(target, page).ok()));
            match shapes.slab.next.read(target, page) {
                Ok(next) => page = next,
                Err(error) => return held.errors.push((page, error)),
            }
        }
        let real = (1..=chain.len() as u64).rev();
        let counted = chain.into_iter().zip(real);
        held.behind.extend(counted.filter_map(|((page, told), real)| Some((page, told?, real))));
    }

    fn held_in_sheaf(&self, cache: &Cache, sheaf: u64, keeper: Keeper, held: &mut Held) {
        let (shapes, target) = (self.shapes(), self.target());
        let shape = &shapes.slab_sheaf;
        let size = match shape.size.read(target, sheaf) {
            Ok(size) => size,
            Err(error) => return held.lacks(sheaf, error),
        };
        let for_cache = match shape.cache.read(target, sheaf) {
            Ok(cache) => cache,
            Err(error) => return held.lacks(sheaf, error),
        };
        held.sheaves.push(Sheaf { address: sheaf, keeper, cache: for_cache, size });
        if size > MAX_SHEAF {
            let what = format!("sheaf {sheaf:x} of {}: {size} objects", cache.title());
            return held.errors.push((sheaf, Error::corrupt(what)));
        }
        let Ok(objects) = shape.objects.address(sheaf) else { return };
        for number in 0..size {
            match target.read_pointer_at(objects, number) {
                Ok(object) => held.object(object, keeper),
                Err(fault) => return held.lacks(sheaf, fault.into()),
            }
        }
    }

    fn held_by_nodes(&self, cache: &Cache, held: &mut Held) {
        let (shapes, target) = (self.shapes(), self.target());
        let CacheNodes { nodes, barns, errors } = self.cache_nodes(cache);
        held.errors.extend(errors);
        for (number, address) in nodes {
            let at = shapes.kmem_cache_node.at(target, address);
            let mut node = Node {
                node: number,
                address,
                nr_partial: at.nr_partial().ok(),
                nr_slabs: at.nr_slabs().ok(),
                total_objects: at.total_objects().ok(),
                listed: 0,
                whole: true,
            };
            if let (Ok(head), Ok(link)) =
                (shapes.kmem_cache_node.partial.address(address), shapes.slab.slab_list.offset())
            {
                let list = list::list(target, head).checked();
                for page in list.take(MAX_LISTED) {
                    match page {
                        Ok(page) => {
                            node.listed += 1;
                            held.slab(page.wrapping_sub(link), Role::Partial(number));
                        }
                        Err(error) => {
                            node.whole = false;
                            held.errors.push((address, error));
                        }
                    }
                }
            }
            held.nodes.push(node);
        }
        let link = shapes.slab_sheaf.barn_list.offset().unwrap_or(0);
        for (number, address) in barns {
            let at = shapes.node_barn.at(target, address);
            let mut barn = Barn {
                node: number,
                address,
                full: (at.nr_full().unwrap_or(0), 0),
                empty: (at.nr_empty().unwrap_or(0), 0),
                whole: at.nr_full().is_ok() && at.nr_empty().is_ok(),
            };
            for (field, full) in
                [(&shapes.node_barn.sheaves_full, true), (&shapes.node_barn.sheaves_empty, false)]
            {
                let Ok(head) = field.address(address) else { continue };
                for entry in list::list(target, head).checked().take(MAX_LISTED) {
                    match entry {
                        Ok(at) if full => {
                            barn.full.1 += 1;
                            let sheaf = at.wrapping_sub(link);
                            self.held_in_sheaf(cache, sheaf, Keeper::Barn(number), held);
                        }
                        Ok(_) => barn.empty.1 += 1,
                        Err(error) => {
                            barn.whole = false;
                            held.lacks(address, error);
                        }
                    }
                }
            }
            held.barns.push(barn);
        }
    }
}

impl Held {
    /// Notes a part that keeps objects of any slab and cannot be read.
    fn lacks(&mut self, part: u64, error: Error) {
        self.incomplete |= error.fault().is_some();
        self.errors.push((part, error));
    }

    /// Notes whose a slab is; false when that was known.
    fn slab(&mut self, page: u64, role: Role) -> bool {
        match self.slabs.insert(page, role) {
            None => true,
            Some(other) => {
                self.twice.push((page, other, role));
                false
            }
        }
    }

    fn object(&mut self, object: u64, keeper: Keeper) {
        if let Some(other) = self.objects.insert(object, keeper) {
            self.free_twice.push((object, other, keeper));
        }
    }

    fn list(&mut self, cache: &Cache, slab: &Slab, list: &FreeList, keeper: Keeper) {
        for number in (0..slab.objects).filter(|number| list.has(*number)) {
            self.object(cache.nth(slab, number), keeper);
        }
        if let Some(flaw) = list.flaw {
            let what = format!("{}, {keeper}: {flaw}", cache.title());
            self.errors.push((slab.page, Error::corrupt(what)));
            self.flaws.push((slab.page, keeper, flaw));
        }
    }
}

impl Cache {
    /// Its name, or where it lies.
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("cache {:x}", self.address))
    }
}
