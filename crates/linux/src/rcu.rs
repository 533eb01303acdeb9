//! RCU (kernel/rcu/tree.c): the grace period, and who holds it up.

use crate::{
    Kernel,
    error::{Error, Result, or_missing},
    list,
};

/// The state of RCU.
#[derive(Debug, Clone, Default)]
pub struct Rcu {
    /// The number of the grace period; its lowest two bits say how far it is, 0: none is under way.
    pub grace_period: u64,
    /// Jiffies at which it began.
    pub began: Option<u64>,
    /// Jiffies at which its thread last did something.
    pub active: Option<u64>,
    /// The `task_struct` of the thread that drives it.
    pub thread: Option<u64>,
    /// CPUs that have not yet passed a quiescent state in it.
    pub cpus: Vec<u32>,
    /// `task_struct`s of readers that were preempted, or sleep, and hold it up.
    pub readers: Vec<u64>,
    /// The same of the expedited grace period.
    pub expedited_cpus: Vec<u32>,
    /// See `expedited_cpus`.
    pub expedited_readers: Vec<u64>,
    /// Readers that were preempted in it, whether they hold up this grace period or not.
    pub preempted: Vec<u64>,
    /// What CPUs have.
    pub per_cpu: Vec<RcuCpu>,
    /// What could not be read.
    pub errors: Vec<Error>,
}

/// What a CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RcuCpu {
    /// Its number.
    pub cpu: u32,
    /// The grace period that it has seen.
    pub grace_period: u64,
    /// Callbacks that wait.
    pub callbacks: Option<u64>,
    /// RCU waits for it.
    pub holds_up: bool,
}

impl Rcu {
    /// A grace period is under way (RCU_SEQ_STATE_MASK).
    pub fn under_way(&self) -> bool {
        self.grace_period & 3 != 0
    }
}

/// More nodes than the widest tree has, and tasks than a node has.
const MAX_NODES: u64 = 10_000;
const MAX_TASKS: usize = 100_000;

impl Kernel {
    /// The state of RCU.
    ///
    /// # Errors
    /// It is not known where that is: the kernel is one for a single CPU.
    pub fn rcu(&self) -> Result<Rcu> {
        let (target, shapes) = (self.target(), self.shapes());
        let state = shapes.rcu_state.at(target, shapes.rcu_variables.state.address()?);
        let mut rcu = Rcu {
            grace_period: state.grace_period()?,
            began: state.began().ok(),
            active: state.active().ok(),
            thread: state.thread().ok().filter(|thread| *thread != 0),
            ..Rcu::default()
        };
        for node in self.rcu_leaves()? {
            if let Err(error) = self.rcu_node(node, &mut rcu) {
                rcu.errors.push(error);
            }
        }
        for cpu in self.online_cpus() {
            let data = self.rcu_variable(cpu).and_then(|at| {
                let data = shapes.rcu_data.at(target, at);
                Ok((data.grace_period()?, data.callbacks().ok()))
            });
            match data {
                Ok((grace_period, callbacks)) => {
                    let holds_up = rcu.cpus.contains(&cpu) || rcu.expedited_cpus.contains(&cpu);
                    rcu.per_cpu.push(RcuCpu { cpu, grace_period, callbacks, holds_up });
                }
                Err(error) => rcu.errors.push(error),
            }
        }
        Ok(rcu)
    }

    fn rcu_variable(&self, cpu: u32) -> Result<u64> {
        let at = self.shapes().rcu_variables.data.address()?;
        let offset = self.per_cpu_offset(cpu).ok_or_else(|| Error::absent(format!("CPU {cpu}")))?;
        Ok(at.wrapping_add(offset))
    }

    /// The nodes that have CPUs: those of the last level in use.
    fn rcu_leaves(&self) -> Result<Vec<u64>> {
        let (target, shapes) = (self.target(), self.shapes());
        let state = shapes.rcu_variables.state.address()?;
        let size = shapes.rcu_node.sizeof()?;
        let first = shapes.rcu_state.nodes.address(state)?;
        let levels = (shapes.rcu_state.levels.size()? / 8).min(8);
        let table = shapes.rcu_state.levels.address(state)?;
        let count = (shapes.rcu_state.nodes.size()? / size).min(MAX_NODES);
        let mut leaf = first;
        for level in 0..levels {
            let at = target.read_pointer_at(table, level)?;
            let index = at.wrapping_sub(first) / size;
            if at == 0 || index >= count {
                break;
            }
            leaf = at;
        }
        let mut leaves = Vec::new();
        let mut next = 0;
        // Their CPUs follow each other; behind the last one in use nothing does.
        for index in (leaf.wrapping_sub(first) / size)..count {
            let node = first.wrapping_add(index * size);
            let shape = shapes.rcu_node.at(target, node);
            let (from, to) = (shape.first_cpu()?, shape.last_cpu()?);
            if from != next || to < from {
                break;
            }
            leaves.push(node);
            next = to + 1;
        }
        Ok(leaves)
    }

    fn rcu_node(&self, node: u64, rcu: &mut Rcu) -> Result<()> {
        let (target, shapes) = (self.target(), self.shapes());
        let shape = shapes.rcu_node.at(target, node);
        let first = shape.first_cpu()?;
        let cpus = |mask: u64| {
            (0..64).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| (first + bit) as u32)
        };
        rcu.cpus.extend(cpus(shape.waits_for()?));
        rcu.expedited_cpus.extend(cpus(or_missing(shape.waits_expedited(), 0)?));
        // Kernels without preemption in readers have no such lists.
        let (Ok(head), Ok(entry)) =
            (shape.address_of(|node| &node.tasks), shapes.rcu_task.entry.offset())
        else {
            return Ok(());
        };
        let blocking = or_missing(shape.blocking(), 0)?;
        let expedited = or_missing(shape.blocking_expedited(), 0)?;
        // From the one that is pointed to on, all of them hold the grace period up.
        let (mut holds, mut holds_expedited) = (false, false);
        for link in list::list(target, head).take(MAX_TASKS) {
            let link = link?;
            holds |= link == blocking;
            holds_expedited |= link == expedited;
            let task = link.wrapping_sub(entry);
            rcu.preempted.push(task);
            if holds {
                rcu.readers.push(task);
            }
            if holds_expedited {
                rcu.expedited_readers.push(task);
            }
        }
        Ok(())
    }
}
