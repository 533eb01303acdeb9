//! CPUs and their run queues (`sys/cpuvar.h`, `sys/disp.h`).

use crate::{Kernel, Result, list::Walk};

/// Names of `cpu_flags` from bit 0 on.
pub const FLAG_NAMES: [&str; 11] = [
    "RUNNING", "READY", "QUIESCED", "EXISTS", "ENABLE", "OFFLINE", "POWEROFF", "FROZEN", "SPARE",
    "FAULTED", "DISABLED",
];
/// Most priorities of a dispatcher.
const MAX_PRIORITIES: u64 = 1024;

/// A CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpu {
    /// Address of its `cpu_t`; of the one that panicked, the copy that the panic took.
    pub address: u64,
    /// Number.
    pub id: i64,
    /// `cpu_flags`.
    pub flags: u64,
    /// Threads that could run.
    pub runnable: i64,
    /// Base interrupt level.
    pub base_spl: i64,
    /// Priority of the thread that runs.
    pub priority: i64,
    /// A thread is to be switched to.
    pub runrun: bool,
    /// A kernel thread is to be switched to.
    pub kprunrun: bool,
    /// Clock ticks since the last switch.
    pub switched: Option<i64>,
    /// The thread that runs.
    pub thread: u64,
    /// Its idle thread.
    pub idle: u64,
    /// Process of the thread that runs, or `(idle)`.
    pub process: String,
}

impl Kernel {
    /// Addresses of all CPUs, as the list has them.
    pub fn cpu_list(&self) -> Walk {
        let shape = &self.shapes().cpu;
        match self.pointer("cpu_list") {
            Ok(first) => Walk::ring(first, |at| shape.next.get(self, at)),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }

    /// All CPUs by number. The one that panicked is shown as it was then: the panic itself
    /// disturbs its entry.
    pub fn cpus(&self) -> Walk {
        let shape = &self.shapes().cpu;
        let mut walk = self.cpu_list();
        walk.found.sort_by_key(|&at| shape.id.get(self, at).unwrap_or(u64::MAX));
        let frozen = || -> Result<(u64, u64)> {
            let at = self.address_of("panic_cpu")?;
            Ok((at, shape.id.get(self, at)?))
        };
        if self.pointer("panic_thread").is_ok_and(|thread| thread != 0)
            && let Ok((copy, id)) = frozen()
        {
            for at in &mut walk.found {
                if shape.id.get(self, *at) == Ok(id) {
                    *at = copy;
                }
            }
        }
        walk
    }

    /// A CPU by its address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cpu(&self, address: u64) -> Result<Cpu> {
        let shapes = self.shapes();
        let shape = &shapes.cpu;
        let thread = shape.thread.get(self, address)?;
        let idle = shape.idle.get(self, address)?;
        let process = if thread == idle {
            "(idle)".to_owned()
        } else {
            let process = shapes.thread.procp.get(self, thread)?;
            shapes.proc.comm.text(self, process)?
        };
        let last = shape.last_swtch.signed(self, address)?;
        let disp = shape.disp.get(self, address)?;
        Ok(Cpu {
            address,
            id: shape.id.signed(self, address)?,
            flags: shape.flags.get(self, address)?,
            runnable: shapes.disp.nrunnable.signed(self, disp)?,
            base_spl: shape.base_spl.signed(self, address)?,
            priority: shapes.thread.pri.signed(self, thread)?,
            runrun: shape.runrun.get(self, address)? != 0,
            kprunrun: shape.kprunrun.get(self, address)? != 0,
            switched: self.lbolt().map(|now| (now as i64).wrapping_sub(last)),
            thread,
            idle,
            process,
        })
    }

    /// Threads in a CPU's run queue: priority and thread, the most urgent first.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn run_queue(&self, cpu: u64) -> Result<Vec<(u64, u64)>> {
        let shapes = self.shapes();
        let disp = shapes.cpu.disp.get(self, cpu)?;
        let queue = shapes.disp.queue.get(self, disp)?;
        let count = shapes.disp.npri.get(self, disp)?.min(MAX_PRIORITIES);
        let size = self.types().size_of(self.type_named("dispq_t")?).unwrap_or(24);
        let mut found = Vec::new();
        for priority in (0..count).rev() {
            let first = shapes.dispq.first.get(self, queue + priority * size)?;
            let walk = Walk::follow(first, |_| false, |at| shapes.thread.link.get(self, at));
            found.extend(walk.found.into_iter().map(|thread| (priority, thread)));
        }
        Ok(found)
    }

    /// Interrupt threads that run on a CPU: level and thread, the highest first.
    pub fn interrupts_on(&self, cpu: u64) -> Vec<(u64, u64)> {
        let shape = &self.shapes().thread;
        let on_it = |thread: u64| -> Result<Option<(u64, u64)>> {
            let is_interrupt = shape.flag.get(self, thread)? & crate::thread::T_INTR_THREAD != 0;
            let busy = shape.state.get(self, thread)? != crate::thread::TS_FREE;
            let here = shape.bound_cpu.get(self, thread)? == cpu;
            Ok((is_interrupt && busy && here).then_some((shape.pil.get(self, thread)?, thread)))
        };
        let all = self.threads().found;
        let mut found: Vec<_> =
            all.into_iter().filter_map(|thread| on_it(thread).ok().flatten()).collect();
        found.sort_by(|a, b| b.cmp(a));
        found
    }

    /// Revision of a module, and what it says it is.
    pub fn module_info(&self, linkage: u64) -> Option<(u64, String)> {
        if linkage == 0 {
            return None;
        }
        let shapes = self.shapes();
        let rev = shapes.modlinkage.rev.get(self, linkage).ok()?;
        let first = || -> Result<String> {
            let first = self.read_u64(shapes.modlinkage.linkage.at(linkage)?)?;
            let text = shapes.modldrv.info.get(self, first)?;
            Ok(self.read_string(text, 64)?)
        };
        Some((rev, first().unwrap_or_else(|_| "?".into())))
    }
}
