//! Run queues: what each CPU runs, and what waits for it (kernel/sched/).

use std::collections::HashSet;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::{head_size, list},
    rbtree::{Order, rbtree},
    task::Task,
};

/// Deepest nesting of task groups that is followed.
const MAX_DEPTH: u32 = 64;
/// More priorities than the real-time class has (MAX_RT_PRIO is 100).
const MAX_PRIORITIES: u64 = 256;
/// The longest name of a control group that is read, in bytes.
const MAX_NAME: usize = 256;

/// The run queue of a CPU.
#[derive(Debug, Clone, Copy)]
pub struct RunQueue<'k> {
    kernel: &'k Kernel,
    /// Its CPU.
    pub cpu: u32,
    /// Virtual address of its `struct rq`.
    pub address: u64,
}

/// A group of tasks (`struct task_group`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Virtual address.
    pub address: u64,
    /// The last part of its control group's path; `None` for the root and for groups without one.
    pub name: Option<String>,
    /// Whether it is the group of all tasks.
    pub is_root: bool,
}

/// The queue of a scheduling class on a CPU, or of a group in it.
#[derive(Debug)]
pub struct Queue<'k> {
    /// Virtual address of the `cfs_rq`, `rt_rq` or `dl_rq`.
    pub address: u64,
    /// Virtual address of the tree or array that holds the entries.
    pub root: u64,
    /// Whose queue it is, where the kernel schedules groups.
    pub group: Option<Group>,
    /// It has used up its time and waits for more.
    pub throttled: bool,
    /// What is queued, in the order in which it is found.
    pub items: Vec<Item<'k>>,
    /// What could not be read or is wrong.
    pub errors: Vec<Error>,
}

/// Something on a queue.
#[derive(Debug)]
pub enum Item<'k> {
    /// A task.
    Task(Queued<'k>),
    /// A group with a queue of its own.
    Group {
        /// Priority in the real-time class; `None` in the fair class.
        prio: Option<u64>,
        /// Its queue.
        queue: Queue<'k>,
    },
}

/// A task on a queue.
#[derive(Debug, Clone)]
pub struct Queued<'k> {
    /// The task.
    pub task: Task<'k>,
    /// In the real-time class the list it is on, elsewhere `task_struct.prio`.
    pub prio: Result<u64>,
    /// It is running. The running task is not in the tree of the fair class.
    pub current: bool,
    /// It sleeps already and is still queued to pay its debt of time (6.12).
    pub delayed: bool,
}

impl<'k> Queue<'k> {
    /// The tasks of the queue and of all groups in it.
    pub fn tasks(&self) -> Vec<&Queued<'k>> {
        let mut found = Vec::new();
        for item in &self.items {
            match item {
                Item::Task(task) => found.push(task),
                Item::Group { queue, .. } => found.extend(queue.tasks()),
            }
        }
        found
    }

    /// What is wrong in the queue and in all groups in it.
    pub fn all_errors(&self) -> Vec<&Error> {
        let mut found: Vec<&Error> = self.errors.iter().collect();
        for item in &self.items {
            if let Item::Group { queue, .. } = item {
                found.extend(queue.all_errors());
            }
        }
        found
    }
}

/// What a walk of nested queues has met, so that it ends.
struct Walk {
    seen: HashSet<u64>,
    depth: u32,
}

impl<'k> RunQueue<'k> {
    /// The run queue of `cpu`.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn of(kernel: &'k Kernel, cpu: u32) -> Result<RunQueue<'k>> {
        Ok(RunQueue { kernel, cpu, address: kernel.runqueue(cpu)? })
    }

    /// The task that runs.
    ///
    /// # Errors
    /// A fault.
    pub fn current(&self) -> Result<Task<'k>> {
        self.kernel.current_task(self.cpu)
    }

    /// The queue's clock in ns; it is set as the scheduler runs, so it stands while the CPU idles
    /// or hangs.
    ///
    /// # Errors
    /// A fault, or the member is missing.
    pub fn clock_ns(&self) -> Result<u64> {
        self.kernel.shapes().rq.clock.read(self.kernel.target(), self.address)
    }

    /// For how long the running task has had the CPU, in ns, up to the last update of the clock.
    ///
    /// # Errors
    /// A fault, or the kernel does not keep that time (no `CONFIG_SCHED_INFO`).
    pub fn current_ran_ns(&self) -> Result<u64> {
        Ok(self.clock_ns()?.saturating_sub(self.current()?.last_run_ns()?))
    }

    /// The CPU's stopper (`migration/0`), when it waits for the CPU: above all other classes.
    ///
    /// # Errors
    /// A fault, or a missing member.
    pub fn waiting_stopper(&self) -> Result<Option<Task<'k>>> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let address = shapes.rq.stop.read(target, self.address)?;
        if address == 0 || self.current()?.address == address {
            return Ok(None);
        }
        let queued = shapes.task_entities.on_rq.read(target, address)? != 0;
        Ok(queued.then(|| self.kernel.task_at(address)))
    }

    /// The queue of the fair class.
    ///
    /// # Errors
    /// A missing member; what else is wrong lies in [`Queue::errors`].
    pub fn fair(&self) -> Result<Queue<'k>> {
        let at = self.kernel.shapes().rq.cfs.address(self.address)?;
        let mut walk = Walk { seen: HashSet::new(), depth: 0 };
        let mut queue = self.fair_queue(at, &mut walk)?;
        // Throttled groups are in no tree.
        for throttled in self.throttled_queues(&mut queue.errors) {
            if !walk.seen.contains(&throttled) {
                match self.fair_queue(throttled, &mut walk) {
                    Ok(found) => queue.items.push(Item::Group { prio: None, queue: found }),
                    Err(error) => queue.errors.push(error),
                }
            }
        }
        Ok(queue)
    }

    fn fair_queue(&self, at: u64, walk: &mut Walk) -> Result<Queue<'k>> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let shape = &shapes.cfs_rq;
        walk.enter(at)?;
        let root = shape.tasks.address(at)?;
        let mut queue = Queue {
            address: at,
            root,
            group: self.group_of(&shape.tg, at),
            throttled: shape.throttled.read(target, at).is_ok_and(|throttled| throttled != 0),
            items: Vec::new(),
            errors: Vec::new(),
        };
        match shape.curr.read(target, at) {
            Ok(0) => {}
            Ok(entity) => self.fair_entity(entity, true, &mut queue, walk),
            Err(error) => queue.errors.push(error),
        }
        let node = shapes.sched_entity.node.offset()?;
        for found in rbtree(target, root, Order::Sorted) {
            match found {
                Ok(found) => {
                    self.fair_entity(found.address.wrapping_sub(node), false, &mut queue, walk);
                }
                Err(error) => queue.errors.push(error),
            }
        }
        walk.depth -= 1;
        Ok(queue)
    }

    fn fair_entity(&self, entity: u64, current: bool, queue: &mut Queue<'k>, walk: &mut Walk) {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let group = match &shapes.sched_entity.my_q {
            field if !field.exists() => Ok(0),
            field => field.read(target, entity),
        };
        let delayed = shapes.sched_entity.delayed.read(target, entity).is_ok_and(|d| d != 0);
        match group {
            Ok(0) => match shapes.task_entities.fair.offset() {
                Ok(offset) => {
                    let task = self.kernel.task_at(entity.wrapping_sub(offset));
                    let prio = task.get(&shapes.task.prio);
                    queue.items.push(Item::Task(Queued { task, prio, current, delayed }));
                }
                Err(error) => queue.errors.push(error),
            },
            Ok(inner) => match self.fair_queue(inner, walk) {
                Ok(inner) => queue.items.push(Item::Group { prio: None, queue: inner }),
                Err(error) => queue.errors.push(error),
            },
            Err(error) => queue.errors.push(error),
        }
    }

    /// The queues of this CPU whose groups have used up their time.
    fn throttled_queues(&self, errors: &mut Vec<Error>) -> Vec<u64> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let shape = &shapes.task_group;
        let (Ok(groups), Ok(link), Ok(head), Ok(queue_link)) = (
            self.kernel.symbol("task_groups"),
            shape.list.offset(),
            shape.throttled.offset(),
            shapes.cfs_rq.throttled_list.offset(),
        ) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for group in list(target, groups) {
            let throttled = group.map(|group| group.wrapping_sub(link).wrapping_add(head));
            match throttled {
                Ok(throttled) => {
                    for queue in list(target, throttled) {
                        match queue {
                            Ok(queue) => found.push(queue.wrapping_sub(queue_link)),
                            Err(error) => errors.push(error),
                        }
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        found.retain(|queue| shapes.cfs_rq.rq.read(target, *queue) == Ok(self.address));
        found
    }

    /// The queue of the real-time class.
    ///
    /// # Errors
    /// A missing member; what else is wrong lies in [`Queue::errors`].
    pub fn realtime(&self) -> Result<Queue<'k>> {
        let at = self.kernel.shapes().rq.rt.address(self.address)?;
        self.realtime_queue(at, &mut Walk { seen: HashSet::new(), depth: 0 })
    }

    fn realtime_queue(&self, at: u64, walk: &mut Walk) -> Result<Queue<'k>> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let shape = &shapes.rt_rq;
        walk.enter(at)?;
        let root = shape.active.address(at)?;
        let mut queue = Queue {
            address: at,
            root,
            group: shapes.task_group.rt_rq.exists().then(|| self.group_of(&shape.tg, at)).flatten(),
            throttled: shape.throttled.read(target, at).is_ok_and(|throttled| throttled != 0),
            items: Vec::new(),
            errors: Vec::new(),
        };
        let current = self.current().map(|task| task.address).unwrap_or(0);
        let lists = shapes.rt_prio_array.queue.address(root)?;
        let link = shapes.sched_rt_entity.link.offset()?;
        let entity_offset = shapes.task_entities.realtime.offset()?;
        let head = head_size(target);
        let priorities = (shapes.rt_prio_array.queue.size()? / head).min(MAX_PRIORITIES);
        for prio in 0..priorities {
            for entity in list(target, lists.wrapping_add(prio * head)) {
                let entity = match entity {
                    Ok(entity) => entity.wrapping_sub(link),
                    Err(error) => {
                        queue.errors.push(error);
                        continue;
                    }
                };
                let inner = match &shapes.sched_rt_entity.my_q {
                    field if !field.exists() => Ok(0),
                    field => field.read(target, entity),
                };
                match inner {
                    Ok(0) => {
                        let task = self.kernel.task_at(entity.wrapping_sub(entity_offset));
                        let current = task.address == current;
                        queue.items.push(Item::Task(Queued {
                            task,
                            prio: Ok(prio),
                            current,
                            delayed: false,
                        }));
                    }
                    Ok(inner) => match self.realtime_queue(inner, walk) {
                        Ok(inner) => {
                            queue.items.push(Item::Group { prio: Some(prio), queue: inner });
                        }
                        Err(error) => queue.errors.push(error),
                    },
                    Err(error) => queue.errors.push(error),
                }
            }
        }
        walk.depth -= 1;
        Ok(queue)
    }

    /// The queue of the deadline class, without the servers that stand in it for other classes.
    ///
    /// # Errors
    /// A missing member; what else is wrong lies in [`Queue::errors`].
    pub fn deadline(&self) -> Result<Queue<'k>> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let at = shapes.rq.dl.address(self.address)?;
        let root = shapes.dl_rq.tasks.address(at)?;
        let node = shapes.sched_dl_entity.node.offset()?;
        let entity = shapes.task_entities.deadline.offset()?;
        let current = self.current().map(|task| task.address).unwrap_or(0);
        let (mut items, mut errors) = (Vec::new(), Vec::new());
        for found in rbtree(target, root, Order::Sorted) {
            match found {
                Ok(found) => {
                    let at = found.address.wrapping_sub(node);
                    if shapes.sched_dl_entity.is_server.read(target, at).is_ok_and(|s| s != 0) {
                        continue;
                    }
                    let task = self.kernel.task_at(at.wrapping_sub(entity));
                    let prio = task.get(&shapes.task.prio);
                    let current = task.address == current;
                    items.push(Item::Task(Queued { task, prio, current, delayed: false }));
                }
                Err(error) => errors.push(error),
            }
        }
        Ok(Queue { address: at, root, group: None, throttled: false, items, errors })
    }

    fn group_of(&self, field: &crate::shapes::Field, queue: u64) -> Option<Group> {
        let (target, shapes) = (self.kernel.target(), self.kernel.shapes());
        let address = field.read(target, queue).ok().filter(|group| *group != 0)?;
        let is_root = self.kernel.symbol("root_task_group") == Ok(address);
        let name = || {
            let cgroup = shapes.task_group.cgroup.read(target, address).ok()?;
            let node = shapes.cgroup.kernfs_node.read(target, cgroup).ok()?;
            let name = shapes.kernfs_node.name.read(target, node).ok()?;
            target.read_cstr(name, MAX_NAME).ok().filter(|name| !name.is_empty())
        };
        Some(Group { address, name: if is_root { None } else { name() }, is_root })
    }
}

impl Walk {
    fn enter(&mut self, queue: u64) -> Result<()> {
        if !self.seen.insert(queue) {
            return Err(Error::corrupt(format!("run queue {queue:x} is queued twice")));
        }
        if self.depth >= MAX_DEPTH {
            return Err(Error::corrupt(format!("run queue {queue:x}: groups nest without end")));
        }
        self.depth += 1;
        Ok(())
    }
}
