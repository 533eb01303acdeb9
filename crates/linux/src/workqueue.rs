//! Work queues (kernel/workqueue.c): pools of workers, and the work that they do or have to do.

use std::collections::HashMap;

use crate::{
    Kernel,
    error::{Error, Result},
    list::list,
};

/// How far a piece of work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkState {
    /// A worker does it.
    Running,
    /// A worker has taken it, and does another one first.
    Taken,
    /// It waits for a worker.
    Pending,
    /// Its queue has as much in its pools as it may have.
    Inactive,
    /// A timer is to queue it.
    Delayed,
}

impl WorkState {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            WorkState::Running => "running",
            WorkState::Taken => "taken",
            WorkState::Pending => "pending",
            WorkState::Inactive => "inactive",
            WorkState::Delayed => "delayed",
        }
    }
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Its `struct work_struct`; gone already, perhaps, where it runs.
    pub address: u64,
    /// Its function.
    pub function: u64,
    /// The name of its queue, where that is known. Queues may share one.
    pub queue: Option<String>,
    /// The `struct workqueue_struct`, where that is known.
    pub queue_at: Option<u64>,
    /// How far it has come.
    pub state: WorkState,
    /// The number of its pool.
    pub pool: Option<i64>,
    /// The `task_struct` of the worker that does it, or has taken it.
    pub worker: Option<u64>,
    /// Jiffies at which the worker began, or at which the timer fires.
    pub jiffies: Option<u64>,
}

/// A pool of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its `struct worker_pool`.
    pub address: u64,
    /// Its number.
    pub id: i64,
    /// The CPU that its workers are bound to; negative: to none.
    pub cpu: i64,
    /// Its memory node; negative: any.
    pub node: i64,
    /// Workers, and how many of them have nothing to do.
    pub workers: u64,
    /// See `workers`.
    pub idle: u64,
    /// Pieces of work that wait for a worker.
    pub pending: u64,
    /// Jiffies at which it last made progress.
    pub progress: Option<u64>,
}

/// Work queues as they are.
#[derive(Debug, Clone, Default)]
pub struct Workqueues {
    /// The pools that queues use, by number.
    pub pools: Vec<Pool>,
    /// The work.
    pub work: Vec<Work>,
    /// What could not be read.
    pub errors: Vec<Error>,
}

/// More of anything here than a kernel has.
const MAX_QUEUES: usize = 100_000;
const MAX_WORK: usize = 1_000_000;
/// Longest name of a queue, in bytes (WQ_NAME_LEN is 24 or 32).
const MAX_NAME: usize = 64;
/// WORK_STRUCT_PWQ and WORK_STRUCT_FLAG_BITS until 6.8.
const QUEUED: u64 = 4;
const SHIFT: u64 = 8;

impl Kernel {
    /// All work queues.
    ///
    /// # Errors
    /// Their list is not known.
    pub fn workqueues(&self) -> Result<Workqueues> {
        let (target, shapes) = (self.target(), self.shapes());
        let head = shapes.workqueue_variables.all.address()?;
        let link = shapes.workqueue.list.offset()?;
        let mut found = Workqueues::default();
        let mut pools: HashMap<u64, ()> = HashMap::new();
        for entry in list(target, head).take(MAX_QUEUES) {
            let queue = match entry {
                Ok(entry) => entry.wrapping_sub(link),
                Err(error) => {
                    found.errors.push(error);
                    continue;
                }
            };
            if let Err(error) = self.queue_parts(queue, &mut pools, &mut found) {
                found.errors.push(error);
            }
        }
        for pool in pools.into_keys() {
            if let Err(error) = self.pool(pool, &mut found) {
                found.errors.push(error);
            }
        }
        self.delayed_work(&mut found);
        found.pools.sort_by_key(|pool| pool.id);
        found.work.sort_by_key(|work| (work.state, work.pool, work.address));
        Ok(found)
    }

    /// The names of all work queues, and what could not be read.
    ///
    /// # Errors
    /// Their list is not known.
    pub fn workqueue_names(&self) -> Result<(Vec<String>, Vec<Error>)> {
        let head = self.shapes().workqueue_variables.all.address()?;
        let link = self.shapes().workqueue.list.offset()?;
        let (mut names, mut errors) = (Vec::new(), Vec::new());
        for entry in list(self.target(), head).take(MAX_QUEUES) {
            match entry.and_then(|entry| self.workqueue_name(entry.wrapping_sub(link))) {
                Ok(name) => names.push(name),
                Err(error) => errors.push(error),
            }
        }
        Ok((names, errors))
    }

    /// What a queue has in its pools.
    fn queue_parts(
        &self,
        queue: u64,
        pools: &mut HashMap<u64, ()>,
        found: &mut Workqueues,
    ) -> Result<()> {
        let (target, shapes) = (self.target(), self.shapes());
        let name = self.workqueue_name(queue).ok();
        let link = shapes.pool_workqueue.node.offset()?;
        let entry = shapes.work.entry.offset()?;
        for part in list(target, shapes.workqueue.queues.address(queue)?).take(MAX_QUEUES) {
            let part = shapes.pool_workqueue.at(target, part?.wrapping_sub(link));
            let pool = part.pool()?;
            pools.insert(pool, ());
            let id = shapes.worker_pool.id.read_signed(target, pool).ok();
            let inactive = part.address_of(|part| &part.inactive)?;
            for work in list(target, inactive).take(MAX_WORK) {
                let address = work?.wrapping_sub(entry);
                let function = shapes.work.function.read(target, address)?;
                found.work.push(Work {
                    address,
                    function,
                    queue: name.clone(),
                    queue_at: Some(queue),
                    state: WorkState::Inactive,
                    pool: id,
                    worker: None,
                    jiffies: None,
                });
            }
        }
        Ok(())
    }

    fn pool(&self, address: u64, found: &mut Workqueues) -> Result<()> {
        let (target, shapes) = (self.target(), self.shapes());
        let pool = shapes.worker_pool.at(target, address);
        let id = pool.signed(|pool| &pool.id)?;
        let mut pending = 0;
        for work in self.work_on(pool.address_of(|pool| &pool.work)?) {
            match work {
                Ok((address, function)) => {
                    pending += 1;
                    found.work.push(self.work(address, function, WorkState::Pending, id));
                }
                Err(error) => found.errors.push(error),
            }
        }
        found.pools.push(Pool {
            address,
            id,
            cpu: pool.signed(|pool| &pool.cpu)?,
            node: pool.signed(|pool| &pool.node)?,
            workers: pool.worker_count()?,
            idle: pool.idle_count()?,
            pending,
            progress: pool.progress().ok(),
        });
        let link = shapes.worker_does.node.offset()?;
        for worker in list(target, pool.address_of(|pool| &pool.workers)?).take(MAX_QUEUES) {
            let address = worker?.wrapping_sub(link);
            let does = shapes.worker_does.at(target, address);
            let task = shapes.worker.task.read(target, address).ok();
            let current = does.work()?;
            if current != 0 {
                let mut work = self.work(current, does.function()?, WorkState::Running, id);
                work.queue_at = shapes.pool_workqueue.workqueue.read(target, does.queue()?).ok();
                work.queue = work.queue_at.and_then(|queue| self.workqueue_name(queue).ok());
                work.jiffies = does.began().ok().filter(|began| *began != 0);
                work.worker = task;
                found.work.push(work);
            }
            for work in self.work_on(shapes.worker.scheduled.address(address)?) {
                match work {
                    Ok((address, function)) => {
                        let mut work = self.work(address, function, WorkState::Taken, id);
                        work.worker = task;
                        found.work.push(work);
                    }
                    Err(error) => found.errors.push(error),
                }
            }
        }
        Ok(())
    }

    /// The pieces of work of a list, with their functions.
    fn work_on(&self, head: u64) -> impl Iterator<Item = Result<(u64, u64)>> + '_ {
        let shape = &self.shapes().work;
        list(self.target(), head).take(MAX_WORK).map(move |entry| {
            let address = entry?.wrapping_sub(shape.entry.offset()?);
            Ok((address, shape.function.read(self.target(), address)?))
        })
    }

    fn work(&self, address: u64, function: u64, state: WorkState, pool: i64) -> Work {
        let queue_at = self.queue_of_work(address).ok();
        let queue = queue_at.and_then(|queue| self.workqueue_name(queue).ok());
        let (pool, worker, jiffies) = (Some(pool), None, None);
        Work { address, function, queue, queue_at, state, pool, worker, jiffies }
    }

    /// The queue that a piece of work stands in.
    fn queue_of_work(&self, address: u64) -> Result<u64> {
        let (target, shapes) = (self.target(), self.shapes());
        let data = shapes.work.data.read(target, address)?;
        let bits = &shapes.work_bits;
        if data & bits.queued.index().unwrap_or(QUEUED) == 0 {
            return Err(Error::absent("queue: it is not queued"));
        }
        let shift = bits.shift.index().unwrap_or(SHIFT).min(12);
        let part = data >> shift << shift;
        shapes.pool_workqueue.workqueue.read(target, part)
    }

    /// The name of a work queue, by its `struct workqueue_struct`.
    ///
    /// # Errors
    /// A fault.
    pub fn workqueue_name(&self, queue: u64) -> Result<String> {
        let name = &self.shapes().workqueue.name;
        // A pointer to text until 4.?, an array since.
        match name.size()? {
            8 => Ok(self.target().read_cstr(name.read(self.target(), queue)?, MAX_NAME)?),
            _ => name.text(self.target(), queue),
        }
    }

    /// Work that timers are to queue.
    fn delayed_work(&self, found: &mut Workqueues) {
        let Ok(function) = self.symbol("delayed_work_timer_fn") else { return };
        let shapes = self.shapes();
        let Ok(timer) = shapes.delayed_work.timer.offset() else { return };
        for cpu in self.possible_cpus() {
            let wheels = match self.timer_wheels(cpu) {
                Ok(wheels) => wheels,
                Err(error) => {
                    found.errors.push(error);
                    continue;
                }
            };
            for wheel in &wheels {
                let timers = match self.wheel_timers(wheel) {
                    Ok((timers, errors)) => {
                        found.errors.extend(errors);
                        timers
                    }
                    Err(error) => {
                        found.errors.push(error);
                        continue;
                    }
                };
                for delayed in timers.iter().filter(|timer| timer.function == function) {
                    let at = delayed.address.wrapping_sub(timer);
                    let work = shapes.delayed_work.work.address(at);
                    let read = work.and_then(|work| {
                        Ok((work, shapes.work.function.read(self.target(), work)?))
                    });
                    let queue = shapes.delayed_work.workqueue.read(self.target(), at).ok();
                    match read {
                        Ok((address, function)) => found.work.push(Work {
                            address,
                            function,
                            queue: queue.and_then(|queue| self.workqueue_name(queue).ok()),
                            queue_at: queue,
                            state: WorkState::Delayed,
                            pool: None,
                            worker: None,
                            jiffies: u64::try_from(delayed.expires).ok(),
                        }),
                        Err(error) => found.errors.push(error),
                    }
                }
            }
        }
    }
}
