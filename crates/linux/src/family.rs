//! Who a task's relatives are.

use crate::{Result, task::Task};

/// A chain of parents is never longer: each has an id of its own.
const MAX_ANCESTORS: usize = 4096;

impl<'k> Task<'k> {
    /// The task, its parent, and so on up to the one that has none or cannot be read. A chain that
    /// leads back into itself ends there.
    pub fn ancestors(&self) -> Vec<Task<'k>> {
        let mut chain = vec![*self];
        let mut at = *self;
        while chain.len() < MAX_ANCESTORS {
            let Ok(parent) = at.parent() else { break };
            if chain.iter().any(|task| task.address == parent.address) {
                break;
            }
            chain.push(parent);
            at = parent;
        }
        chain
    }

    /// Those of `all` whose parent it is.
    pub fn children(&self, all: &[Task<'k>]) -> Vec<Task<'k>> {
        let is_child = |task: &&Task<'k>| {
            task.address != self.address
                && task.parent().is_ok_and(|parent| parent.address == self.address)
        };
        all.iter().filter(is_child).copied().collect()
    }

    /// Its thread group: the leader, and the other threads among `all`. The idle tasks, whose group
    /// is 0, are each alone.
    ///
    /// # Errors
    /// The task cannot be read.
    pub fn thread_group(&self, all: &[Task<'k>]) -> Result<(Task<'k>, Vec<Task<'k>>)> {
        let tgid = self.tgid()?;
        let leader = self.group_leader()?;
        let is_thread =
            |task: &&Task<'k>| task.address != leader.address && task.tgid() == Ok(tgid);
        let others = match tgid {
            0 => Vec::new(),
            _ => all.iter().filter(is_thread).copied().collect(),
        };
        Ok((leader, others))
    }
}
