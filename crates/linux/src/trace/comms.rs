//! The names that tasks had when they were traced (kernel/trace/trace_sched_switch.c).

use crate::Kernel;

/// The names of traced tasks, by their thread ids.
#[derive(Debug, Clone, Copy)]
pub struct Comms<'k> {
    kernel: &'k Kernel,
    /// Virtual address of the `struct saved_cmdlines_buffer`.
    table: Option<u64>,
}

/// PID_MAX_DEFAULT - 1: larger ids share the entries of smaller ones.
const SLOTS: u64 = 0x7fff;
/// TASK_COMM_LEN.
const NAME: u64 = 16;

impl<'k> Comms<'k> {
    /// Of a kernel.
    pub fn of(kernel: &'k Kernel) -> Comms<'k> {
        let named = kernel.shapes().trace_variables.names.address().ok();
        let table = named.and_then(|at| kernel.target().read_u64(at).ok()).filter(|at| *at != 0);
        Comms { kernel, table }
    }

    /// The name as the kernel's own output has it: `<...>` where it kept none.
    pub fn name(&self, pid: i32) -> String {
        match pid {
            0 => "<idle>".to_owned(),
            ..0 => "<XXX>".to_owned(),
            _ => self.kept(pid).unwrap_or_else(|| "<...>".to_owned()),
        }
    }

    /// Every name that the kernel kept, with its thread id.
    pub fn all(&self) -> Vec<(i32, String)> {
        let count = || {
            let shape = &self.kernel.shapes().saved_cmdlines;
            let table = self.table?;
            let pids = shape.pids.read(self.kernel.target(), table).ok()?;
            Some((pids, shape.count.read(self.kernel.target(), table).ok()?.min(SLOTS + 1)))
        };
        let Some((pids, count)) = count() else { return Vec::new() };
        let pids = (0..count).filter_map(|slot| {
            let pid = self.kernel.target().read_u32(pids.wrapping_add(slot * 4)).ok()?;
            i32::try_from(pid).ok().filter(|pid| *pid > 0)
        });
        pids.filter_map(|pid| Some((pid, self.kept(pid)?))).collect()
    }

    fn kept(&self, pid: i32) -> Option<String> {
        let (target, table) = (self.kernel.target(), self.table?);
        let shape = &self.kernel.shapes().saved_cmdlines;
        let index = pid as u64 & SLOTS;
        let slot =
            target.read_u32(shape.by_pid.address(table).ok()?.wrapping_add(index * 4)).ok()?;
        let slot = u64::from(slot);
        if slot >= shape.count.read(target, table).ok()? {
            return None;
        }
        let pids = shape.pids.read(target, table).ok()?;
        if target.read_u32(pids.wrapping_add(slot * 4)).ok()? != pid as u32 {
            return None;
        }
        let names = match shape.names.form() {
            Some(crate::shapes::Form::Array) => shape.names.address(table).ok()?,
            _ => shape.names.read(target, table).ok()?,
        };
        target.read_cstr(names.wrapping_add(slot * NAME), NAME as usize).ok()
    }
}
