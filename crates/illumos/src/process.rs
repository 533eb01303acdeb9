//! Processes (`sys/proc.h`).

use hashbrown::HashSet;

use crate::{Error, Kernel, Result, list::Walk};

/// Most processes that are listed.
const MAX_PROCESSES: usize = 1_000_000;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Address of its `proc_t`.
    pub address: u64,
    /// State: `R`, `S`, `Z`, `T`, `I`, `O`, `W`.
    pub state: char,
    /// Number.
    pub pid: i64,
    /// Number of its parent.
    pub ppid: i64,
    /// Number of its group.
    pub pgid: i64,
    /// Number of its session.
    pub sid: i64,
    /// Effective user.
    pub uid: i64,
    /// `p_flag`.
    pub flags: u64,
    /// Name.
    pub comm: String,
    /// Command line as far as the kernel keeps it.
    pub psargs: String,
}

impl Kernel {
    /// All processes, depth first over children, as mdb walks them.
    pub fn processes(&self) -> Walk {
        match self.address_of("p0") {
            Ok(root) => self.descendants(root),
            Err(_) => self.active_processes(),
        }
    }

    /// A process and its descendants, depth first.
    pub fn descendants(&self, root: u64) -> Walk {
        let shape = &self.shapes().proc;
        let mut walk = Walk::default();
        let mut seen = HashSet::new();
        // Siblings wait below children.
        let mut waiting = vec![(root, false)];
        while let Some((at, with_siblings)) = waiting.pop() {
            if at == 0 {
                continue;
            }
            if !seen.insert(at) || walk.found.len() >= MAX_PROCESSES {
                walk.problem = Some(Error::Damaged(format!("processes run in a circle at {at:x}")));
                continue;
            }
            walk.found.push(at);
            let links = || -> Result<(u64, u64)> {
                Ok((shape.child.get(self, at)?, shape.sibling.get(self, at)?))
            };
            match links() {
                Ok((child, sibling)) => {
                    if with_siblings {
                        waiting.push((sibling, true));
                    }
                    waiting.push((child, true));
                }
                Err(error) => walk.problem = Some(error),
            }
        }
        walk
    }

    /// The list of active processes, which the kernel keeps beside the tree.
    pub fn active_processes(&self) -> Walk {
        let shape = &self.shapes().proc;
        match self.pointer("practive") {
            Ok(first) => Walk::follow(first, |_| false, |at| shape.next.get(self, at)),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }

    /// A process by its address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn process(&self, address: u64) -> Result<Process> {
        let shapes = self.shapes();
        let proc = &shapes.proc;
        let id = |pidp: u64| shapes.pid.id.signed(self, pidp);
        let state = match proc.stat.get(self, address)? {
            1 => 'S',
            2 => 'R',
            3 => 'Z',
            4 => 'T',
            5 => 'I',
            6 => 'O',
            7 => 'W',
            _ => '?',
        };
        let session = proc.sessp.get(self, address)?;
        Ok(Process {
            address,
            state,
            pid: id(proc.pidp.get(self, address)?)?,
            ppid: proc.ppid.signed(self, address)?,
            pgid: id(proc.pgidp.get(self, address)?)?,
            sid: id(shapes.sess.sidp.get(self, session)?)?,
            uid: shapes.cred.uid.signed(self, proc.cred.get(self, address)?)?,
            flags: proc.flag.get(self, address)?,
            comm: proc.comm.text(self, address)?,
            psargs: proc.psargs.text(self, address)?,
        })
    }

    /// The number of a process.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn pid(&self, process: u64) -> Result<i64> {
        let shapes = self.shapes();
        shapes.pid.id.signed(self, shapes.proc.pidp.get(self, process)?)
    }
}
