//! What was traced before the machine stopped: the rings of ftrace (kernel/trace/ring_buffer.c) and
//! their events, by the formats that the kernel keeps of them (kernel/trace/trace_events.c).
//!
//! [`Kernel::trace_instances`] finds the rings, [`Instance::events`] yields what is in them in the
//! order of time, [`Formats`] tells what an event's bytes mean, and [`text`] prints it as
//! `/sys/kernel/tracing/trace` would have. [`save`] writes a file that trace-cmd reads.

mod comms;
mod event;
mod format;
mod instance;
mod print_fmt;
mod printf;
mod record;
mod ring;
pub mod save;
pub mod text;

pub use comms::Comms;
pub use event::{Event, Events};
pub use format::{FieldFormat, FieldValue, Format, Formats};
pub use instance::Instance;
pub use ring::{Page, Ring};

use crate::{Kernel, error::Result, list::list};

impl Kernel {
    /// The instances of tracing, the one at the top first, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no tracing, or its list cannot be read.
    pub fn trace_instances(&self) -> Result<(Vec<Instance<'_>>, Vec<crate::Error>)> {
        let shapes = self.shapes();
        let head = shapes.trace_variables.arrays.address()?;
        let link = shapes.trace_array.list.offset()?;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for entry in list(self.target(), head) {
            match entry.and_then(|at| Instance::at(self, at.wrapping_sub(link))) {
                Ok(instance) => found.push(instance),
                Err(error) => errors.push(error),
            }
        }
        // The kernel adds at the front; the one without a name is the first that it made.
        found.reverse();
        found.sort_by_key(|instance: &Instance<'_>| instance.name.is_some());
        Ok((found, errors))
    }
}
