//! An instance of tracing: a set of rings with a name.

use super::{Events, Formats, Ring};
use crate::{
    Kernel,
    error::{Error, Result},
};

/// An instance: `/sys/kernel/tracing`, or a folder of its `instances`.
#[derive(Debug, Clone)]
pub struct Instance<'k> {
    pub(super) kernel: &'k Kernel,
    /// Virtual address of its `struct trace_array`.
    pub address: u64,
    /// Its name; `None` for the one at the top.
    pub name: Option<String>,
    /// The tracer that filled it: `nop` where only events did.
    pub tracer: Option<String>,
    /// The rings, by CPU.
    pub rings: Vec<Ring>,
    /// Rings that could not be read.
    pub errors: Vec<Error>,
}

/// Longest name of an instance or a tracer, in bytes.
const MAX_NAME: usize = 256;

impl<'k> Instance<'k> {
    /// The `struct trace_array` at an address.
    ///
    /// # Errors
    /// It, or the table of its rings, cannot be read.
    pub(super) fn at(kernel: &'k Kernel, address: u64) -> Result<Instance<'k>> {
        let (target, shapes) = (kernel.target(), kernel.shapes());
        let array = shapes.trace_array.at(target, address);
        let text = |at: u64| target.read_cstr(at, MAX_NAME).ok();
        let name = array.name()?;
        let tracer = array.tracer().ok().filter(|tracer| *tracer != 0);
        let tracer = tracer.and_then(|at| shapes.tracer.at(target, at).name().ok());
        let buffer = array.buffer()?;
        let (mut rings, mut errors) = (Vec::new(), Vec::new());
        if buffer != 0 {
            let order = shapes.trace_buffer.order.read(target, buffer).unwrap_or(0).min(10);
            let table = shapes.trace_buffer.rings.read(target, buffer)?;
            for cpu in kernel.possible_cpus() {
                let ring = target
                    .read_u64(table.wrapping_add(u64::from(cpu) * 8))
                    .map_err(Error::from)
                    .and_then(|at| match at {
                        0 => Ok(None),
                        at => Ring::at(kernel, cpu, at, order as u32).map(Some),
                    });
                match ring {
                    Ok(ring) => rings.extend(ring),
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok(Instance {
            kernel,
            address,
            name: (name != 0).then(|| text(name)).flatten().filter(|name| !name.is_empty()),
            tracer: tracer.and_then(text),
            rings,
            errors,
        })
    }

    /// Its events in the order of time, those that had been read already among them.
    pub fn events<'a>(&'a self, formats: &'a Formats<'k>) -> Events<'a, 'k> {
        Events::new(self, formats)
    }

    /// How many events are there to be read, and how many were ever written, by what its rings say.
    pub fn counts(&self) -> (u64, u64) {
        let written = self.rings.iter().fold(0u64, |sum, ring| sum.saturating_add(ring.written));
        let there = self.rings.iter().fold(0u64, |sum, ring| sum.saturating_add(ring.unread()));
        (there, written)
    }
}
