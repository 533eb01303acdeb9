//! Control groups (include/linux/cgroup-defs.h): the tree, and what the controllers of memory and
//! tasks count in it.

use std::collections::{HashMap, HashSet};

use crate::{
    Kernel,
    error::{Error, Result},
    list::list,
    shapes::Form,
};

/// A control group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cgroup {
    /// Its `struct cgroup`.
    pub address: u64,
    /// The tree that it is in: empty for the unified one, else its name or its controllers.
    pub tree: String,
    /// Its path in that.
    pub path: String,
    /// What it has in memory, with all below it; `None` of those whose memory is not counted: the one
    /// at the top of a tree, and all that have no controller for it.
    pub memory: Option<Result<MemoryCount>>,
    /// Swap that it uses, in pages; `None` where that is not counted.
    pub swap: Option<Result<u64>>,
    /// Tasks that are in it, and not below it; `None` where none was found and some cannot be read.
    pub tasks: Option<u64>,
    /// Tasks in it and below, and how many there may be, as its controller counts.
    pub pids: Option<(Result<u64>, Result<Limit>)>,
    /// Shares of the last ten seconds in which some of its tasks, and all of them, had to wait: for
    /// I/O, memory and CPU, in percent.
    pub pressure: Option<Result<[f64; 6]>>,
}

/// The most that a group may have of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So much.
    Of(u64),
    /// As much as there is.
    Max,
}

/// Memory of a group, in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryCount {
    /// The `struct mem_cgroup`.
    pub address: u64,
    /// What it uses.
    pub usage: u64,
    /// The most that it may use.
    pub max: Result<Limit>,
    /// Above that it is slowed down.
    pub high: Result<Limit>,
    /// The most that it ever used; `None` where this kernel does not note it.
    pub peak: Option<Result<u64>>,
    /// How often it met its limit.
    pub failures: Option<Result<u64>>,
}

/// More groups, trees, and deeper ones, than there are.
const MAX_GROUPS: usize = 1_000_000;
const MAX_TREES: usize = 1000;
const MAX_DEPTH: u32 = 256;
/// Longest name of a group, in bytes.
const MAX_NAME: usize = 255;
/// PIDS_MAX is above: more tasks than there are numbers for.
const MOST_PIDS: u64 = 1 << 22;
/// Averages are percent with eleven bits behind the point (include/linux/sched/loadavg.h).
const ONE: f64 = 2048.0;

struct Walk<'k> {
    kernel: &'k Kernel,
    /// Tasks that are in a group, by its address, and whether the groups of some are not known.
    tasks: HashMap<u64, u64>,
    tasks_missing: bool,
    seen: HashSet<u64>,
    groups: Vec<Cgroup>,
    errors: Vec<Error>,
}

impl Kernel {
    /// All control groups, each before those below it, and what could not be read.
    ///
    /// # Errors
    /// The list of trees is not known.
    pub fn cgroups(&self) -> Result<(Vec<Cgroup>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let variables = &shapes.cgroup_variables;
        let link = shapes.cgroup_root.list.offset()?;
        let default = variables.default.address().ok();
        let (tasks, tasks_missing) = self.tasks_by_group();
        let mut walk = Walk {
            kernel: self,
            tasks,
            tasks_missing,
            seen: HashSet::new(),
            groups: Vec::new(),
            errors: Vec::new(),
        };
        let mut roots: Vec<u64> = default.into_iter().collect();
        for root in list(target, variables.roots.address()?).take(MAX_GROUPS) {
            match root {
                Ok(root) => roots.push(root.wrapping_sub(link)),
                Err(error) => walk.errors.push(error),
            }
        }
        for root in roots {
            let tree = match default == Some(root) {
                true => String::new(),
                false => self.tree_name(root),
            };
            let group = shapes.cgroup_root.group.address(root)?;
            walk.group(group, &tree, String::new(), 0);
        }
        Ok((walk.groups, walk.errors))
    }

    /// What a tree of version 1 is called: by its name, else by its controllers.
    fn tree_name(&self, root: u64) -> String {
        let (target, shapes) = (self.target(), self.shapes());
        if let Ok(name) = shapes.cgroup_root.name.text(target, root)
            && !name.is_empty()
        {
            return name;
        }
        let ids = &shapes.cgroup_ids;
        let all = [
            ("cpuset", &ids.cpuset),
            ("cpu", &ids.cpu),
            ("cpuacct", &ids.cpuacct),
            ("blkio", &ids.blkio),
            ("memory", &ids.memory),
            ("devices", &ids.devices),
            ("freezer", &ids.freezer),
            ("net_cls", &ids.net_cls),
            ("perf_event", &ids.perf_event),
            ("net_prio", &ids.net_prio),
            ("hugetlb", &ids.hugetlb),
            ("pids", &ids.pids),
        ];
        let Ok(mask) = shapes.cgroup_root.controllers.read(target, root) else {
            return format!("{root:x} (its controllers are not known)");
        };
        let has = |id: u64| mask.checked_shr(id as u32).unwrap_or(0) & 1 == 1;
        let names = all.into_iter().filter(|(_, id)| id.index().is_ok_and(has));
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        if names.is_empty() { format!("{root:x}") } else { names.join(",") }
    }

    fn tasks_by_group(&self) -> (HashMap<u64, u64>, bool) {
        let mut known: HashMap<u64, Result<Vec<u64>>> = HashMap::new();
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let tasks = self.tasks();
        let mut missing = !tasks.errors.is_empty();
        for task in tasks.tasks {
            let Ok(set) = task.get(&self.shapes().task_cgroups.groups) else {
                missing = true;
                continue;
            };
            match known.entry(set).or_insert_with(|| self.groups_of_set(set)) {
                Ok(groups) => {
                    for group in groups {
                        *counts.entry(*group).or_default() += 1;
                    }
                }
                Err(_) => missing = true,
            }
        }
        (counts, missing)
    }

    /// The groups of a `struct css_set`: one in each tree. (Its states are those of the groups that
    /// control it, which may lie above.)
    fn groups_of_set(&self, set: u64) -> Result<Vec<u64>> {
        let (target, shapes) = (self.target(), self.shapes());
        let head = shapes.css_set.links.address(set)?;
        let link = shapes.group_of_set.entry.offset()?;
        list(target, head)
            .take(MAX_TREES)
            .map(|entry| shapes.group_of_set.group.read(target, entry?.wrapping_sub(link)))
            .collect()
    }
}

impl Walk<'_> {
    fn group(&mut self, address: u64, tree: &str, path: String, depth: u32) {
        if depth > MAX_DEPTH || self.groups.len() >= MAX_GROUPS || !self.seen.insert(address) {
            return;
        }
        let (kernel, target, shapes) = (self.kernel, self.kernel.target(), self.kernel.shapes());
        self.groups.push(Cgroup {
            address,
            tree: tree.to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.clone() },
            // Of the one at the top nothing is counted.
            memory: (depth > 0).then(|| self.memory(address)).flatten(),
            swap: (depth > 0).then(|| self.swap(address)).flatten(),
            tasks: match self.tasks.get(&address) {
                Some(tasks) => Some(*tasks),
                None if self.tasks_missing => None,
                None => Some(0),
            },
            pids: (depth > 0).then(|| self.pids(address)).flatten(),
            // Other trees count none, but the kernel has room for it there.
            pressure: tree.is_empty().then(|| self.pressure(address, depth)).flatten(),
        });
        let below = || -> Result<Vec<u64>> {
            let own = shapes.cgroup_of.own.address(address)?;
            let head = shapes.cgroup_state.children.address(own)?;
            let link = shapes.cgroup_state.sibling.offset()?;
            list(target, head)
                .take(MAX_GROUPS)
                .map(|entry| shapes.cgroup_state.group.read(target, entry?.wrapping_sub(link)))
                .collect()
        };
        match below() {
            Ok(groups) => {
                for group in groups {
                    let node = shapes.cgroup.kernfs_node.read(target, group);
                    let name = node.and_then(|node| shapes.kernfs_node.name.read(target, node));
                    let name = name.and_then(|at| Ok(kernel.target().read_cstr(at, MAX_NAME)?));
                    let name = name.unwrap_or_else(|_| format!("{group:x}"));
                    self.group(group, tree, format!("{path}/{name}"), depth + 1);
                }
            }
            Err(error) => self.errors.push(error),
        }
    }

    /// What a controller has of a group; `None` where it does not control it.
    fn state(&self, group: u64, controller: &crate::shape::Constant) -> Option<Result<u64>> {
        let table = self.kernel.shapes().cgroup_of.states.address(group).ok()?;
        let id = controller.index().ok().filter(|id| *id < 64)?;
        let state = self.kernel.target().read_pointer_at(table, id);
        (state != Ok(0)).then(|| Ok(state?))
    }

    fn mem_cgroup(&self, group: u64) -> Option<Result<u64>> {
        let shapes = self.kernel.shapes();
        let state = self.state(group, &shapes.cgroup_ids.memory)?;
        Some(state.and_then(|state| Ok(state.wrapping_sub(shapes.mem_cgroup.state.offset()?))))
    }

    fn memory(&self, group: u64) -> Option<Result<MemoryCount>> {
        Some(self.mem_cgroup(group)?.and_then(|address| self.memory_of(address)))
    }

    fn memory_of(&self, address: u64) -> Result<MemoryCount> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let counter = shapes.page_counter.at(target, shapes.mem_cgroup.memory.address(address)?);
        // PAGE_COUNTER_MAX: as many pages as have addresses of bytes.
        let most = i64::MAX as u64 / target.page_size();
        let limit = |pages: u64| if pages < most { Limit::Of(pages) } else { Limit::Max };
        Ok(MemoryCount {
            address,
            usage: counter.usage()?,
            max: counter.max().map(limit),
            high: shapes.mem_cgroup.high.read(target, address).map(limit),
            peak: there(counter.peak()),
            failures: there(counter.failures()),
        })
    }

    fn swap(&self, group: u64) -> Option<Result<u64>> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let usage = self.mem_cgroup(group)?.and_then(|memory| {
            let counter = shapes.mem_cgroup.swap.address(memory)?;
            shapes.page_counter.usage.read(target, counter)
        });
        there(usage)
    }

    fn pids(&self, group: u64) -> Option<(Result<u64>, Result<Limit>)> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let shape = &shapes.pids_cgroup;
        let state = self.state(group, &shapes.cgroup_ids.pids)?;
        let address = state.and_then(|state| Ok(state.wrapping_sub(shape.state.offset()?)));
        let limit = |most: u64| if most <= MOST_PIDS { Limit::Of(most) } else { Limit::Max };
        Some(match address {
            Ok(address) => {
                let pids = shape.at(target, address);
                (pids.count(), pids.limit().map(limit))
            }
            Err(error) => (Err(error.clone()), Err(error)),
        })
    }

    fn pressure(&self, group: u64, depth: u32) -> Option<Result<[f64; 6]>> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let field = &shapes.cgroup_of.pressure;
        // The whole machine's is kept apart.
        let psi = match (depth, field.form()?) {
            (0, _) => shapes.cgroup_variables.system_pressure.address(),
            (_, Form::Pointer) => field.read(target, group),
            _ => field.address(group),
        };
        let psi = there(psi).filter(|psi| *psi != Ok(0))?;
        Some(psi.and_then(|psi| {
            let averages = shapes.psi_group.averages.address(psi)?;
            let mut shares = [0.0; 6];
            // Each has averages over 10, 60 and 300 seconds.
            for (share, number) in shares.iter_mut().zip(0..) {
                let average = target.read_pointer_at(averages, number * 3)?;
                *share = (average as f64 / ONE * 100.0).round() / 100.0;
            }
            Ok(shares)
        }))
    }
}

/// What was read, unless this kernel does not have it.
fn there<T>(read: Result<T>) -> Option<Result<T>> {
    match read {
        Err(error) if error.is_no_such() => None,
        read => Some(read),
    }
}
