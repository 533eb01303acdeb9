//! Events of all CPUs in the order of time.

use std::{cmp::Reverse, collections::BinaryHeap, rc::Rc};

use super::{Format, Formats, Instance, Page, record::Records};
use crate::{
    Kernel,
    error::{Error, Result},
};

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its CPU.
    pub cpu: u32,
    /// When, in units of the trace's clock: nanoseconds but for the clocks `counter`, `x86-tsc`.
    pub time: u64,
    /// Whether the page says so; else it is the latest that fits, and only differences to other
    /// events of the page are right.
    pub exact: bool,
    /// Its bytes, beginning with `struct trace_entry`.
    pub data: Vec<u8>,
    /// What they mean; `None` for a kind that the kernel no longer knows.
    pub format: Option<Rc<Format>>,
    /// Somebody had read it before the machine stopped: the dying kernel as it printed its trace,
    /// or a reader of `trace_pipe`. The kernel had forgotten it.
    pub consumed: bool,
}

impl Event {
    /// The number of its kind (`trace_entry.type`).
    pub fn id(&self) -> u16 {
        self.data.get(..2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// `trace_entry.flags`.
    pub fn flags(&self) -> u8 {
        self.data.get(2).copied().unwrap_or(0)
    }

    /// `trace_entry.preempt_count`.
    pub fn preempt_count(&self) -> u8 {
        self.data.get(3).copied().unwrap_or(0)
    }

    /// `trace_entry.pid`: the thread that ran.
    pub fn pid(&self) -> i32 {
        let bytes = self.data.get(4..8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, i32::from_le_bytes)
    }
}

/// The events of one page.
fn page_events(
    kernel: &Kernel,
    page: &Page,
    page_bytes: u64,
    cpu: u32,
    formats: &Formats<'_>,
) -> Result<Vec<Event>> {
    let bytes = page_data(kernel, page, page_bytes)?;
    let mut found = Vec::new();
    for record in Records::new(&bytes, page.time) {
        let data = bytes[record.data.0..record.data.1].to_vec();
        let consumed = (record.start as u64) < page.read;
        let (time, exact) = (record.time, page.exact);
        let mut event = Event { cpu, time, exact, data, format: None, consumed };
        event.format = formats.known(event.id());
        // Where the length is forgotten, what no kind fits was not written as an event.
        if page.length.is_none() && event.format.is_none() {
            break;
        }
        found.push(event);
    }
    Ok(found)
}

/// The data of a page, as far as they hold events.
pub(super) fn page_data(kernel: &Kernel, page: &Page, page_bytes: u64) -> Result<Vec<u8>> {
    let header = kernel.shapes().buffer_data_page.data.offset()?;
    let room = page_bytes.saturating_sub(header);
    let length = page.length.unwrap_or(room).min(room);
    Ok(kernel.target().read_bytes(page.address.wrapping_add(header), length)?)
}

/// The iterator of [`Instance::events`]: one page of each CPU is in memory at a time.
#[derive(Debug)]
pub struct Events<'a, 'k> {
    instance: &'a Instance<'k>,
    formats: &'a Formats<'k>,
    cpus: Vec<Cpu>,
    /// Time of each CPU's next event, and its index.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// What could not be read so far.
    pub errors: Vec<Error>,
}

#[derive(Debug)]
struct Cpu {
    next_page: usize,
    events: std::vec::IntoIter<Event>,
}

impl<'a, 'k> Events<'a, 'k> {
    pub(super) fn new(instance: &'a Instance<'k>, formats: &'a Formats<'k>) -> Events<'a, 'k> {
        let cpus = instance
            .rings
            .iter()
            .map(|_| Cpu { next_page: 0, events: Vec::new().into_iter() })
            .collect();
        let mut events =
            Events { instance, formats, cpus, next: BinaryHeap::new(), errors: Vec::new() };
        for index in 0..instance.rings.len() {
            events.queue(index);
        }
        events
    }

    /// Notes when a CPU's next event was.
    fn queue(&mut self, index: usize) {
        let (Some(cpu), Some(ring)) = (self.cpus.get_mut(index), self.instance.rings.get(index))
        else {
            return;
        };
        while cpu.events.as_slice().is_empty() {
            let Some(page) = ring.pages.get(cpu.next_page) else { return };
            cpu.next_page += 1;
            let kernel = self.instance.kernel;
            let found = page_events(kernel, page, ring.page_bytes, ring.cpu, self.formats);
            let found = found.unwrap_or_else(|error| {
                self.errors.push(error);
                Vec::new()
            });
            cpu.events = found.into_iter();
        }
        if let Some(event) = cpu.events.as_slice().first() {
            self.next.push(Reverse((event.time, index)));
        }
    }
}

impl Iterator for Events<'_, '_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let Reverse((_, index)) = self.next.pop()?;
        let event = self.cpus.get_mut(index)?.events.next();
        self.queue(index);
        event
    }
}
