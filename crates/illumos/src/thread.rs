//! Threads (`sys/thread.h`).

use crate::{Kernel, Result, error::damaged, list::Walk};

/// `TS_FREE`: not in use.
pub const TS_FREE: u64 = 0;
/// `TS_SLEEP`: waits.
pub const TS_SLEEP: u64 = 1;
/// `TS_LOAD` of `t_schedflag`: its stack is in memory.
pub const TS_LOAD: u64 = 1;
/// `T_INTR_THREAD` of `t_flag`.
pub const T_INTR_THREAD: u64 = 1;

/// A thread's state in lower case, as `::thread` prints it.
pub fn state_name(state: u64) -> String {
    match state {
        0 => "free".into(),
        1 => "sleep".into(),
        2 => "run".into(),
        4 => "onproc".into(),
        8 => "zomb".into(),
        0x10 => "stopped".into(),
        0x20 => "wait".into(),
        other => format!("?{other:02x}"),
    }
}

/// A kind of synchronisation object in capitals, as `::stacks` prints it.
pub fn sobj_name(kind: u64) -> String {
    let names = ["<NONE>", "MUTEX", "RWLOCK", "CV", "SEMA", "USER", "USER_PI", "SHUTTLE"];
    names.get(kind as usize).map_or_else(|| format!("{kind}"), |name| (*name).to_owned())
}

impl Kernel {
    /// All threads.
    pub fn threads(&self) -> Walk {
        let shape = &self.shapes().thread;
        match self.pointer("allthreads") {
            Ok(first) => Walk::ring(first, |at| shape.next.get(self, at)),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }

    /// The threads of a process.
    pub fn threads_of(&self, process: u64) -> Walk {
        let shapes = self.shapes();
        match shapes.proc.tlist.get(self, process) {
            Ok(first) => Walk::ring(first, |at| shapes.thread.forw.get(self, at)),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }

    /// What the switch away from a thread saved: pc, sp, bp, and the rest of `t_pcb`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn saved_registers(&self, thread: u64) -> Result<[u64; 8]> {
        let mut saved = [0; 8];
        let at = self.shapes().thread.pcb.at(thread)?;
        for (index, value) in saved.iter_mut().enumerate() {
            *value = self.read_u64(at + 8 * index as u64)?;
        }
        Ok(saved)
    }

    /// Whether threads of this kernel have names.
    pub fn threads_have_names(&self) -> bool {
        self.shapes().thread.name.exists()
    }

    /// What a thread is: `comm/tid`, `comm/tid [name]`, a name, `tq:queue`, `function()`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn describe_thread(&self, thread: u64) -> Result<String> {
        let shape = &self.shapes().thread;
        let name = match shape.name.get(self, thread) {
            Ok(0) | Err(_) => None,
            Ok(at) => Some(self.read_string(at, 64)?),
        };
        let tid = shape.tid.get(self, thread)?;
        if tid != 0 {
            let comm = self.shapes().proc.comm.text(self, shape.procp.get(self, thread)?)?;
            return Ok(match name {
                Some(name) => format!("{comm}/{tid} [{name}]"),
                None => format!("{comm}/{tid}"),
            });
        }
        if let Some(name) = name {
            return Ok(name);
        }
        match shape.taskq.get(self, thread) {
            Ok(0) | Err(_) => {}
            Ok(taskq) => return Ok(format!("tq:{}", self.shapes().taskq.name.text(self, taskq)?)),
        }
        Ok(format!("{}()", self.name_or_hex(shape.startpc.get(self, thread)?)))
    }

    /// The kind of object that a thread waits for: a number of [`sobj_name`].
    ///
    /// # Errors
    /// It cannot be read.
    pub fn sobj_of(&self, thread: u64) -> Result<u64> {
        match self.shapes().thread.sobj_ops.get(self, thread)? {
            0 => Ok(0),
            ops => match self.shapes().sobj.kind.get(self, ops)? {
                kind @ 1..=7 => Ok(kind),
                _ => damaged("a synchronisation object of unknown kind"),
            },
        }
    }
}
