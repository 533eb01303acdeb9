//! PCI buses and devices (include/linux/pci.h), and who has which ports and memory
//! (include/linux/ioport.h).

use std::collections::HashSet;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::list,
};

/// Buses behind buses: there are 256 numbers.
const MAX_DEPTH: usize = 256;
/// The most devices of a bus, and the most ranges, that are looked at.
const MAX_ENTRIES: usize = 1 << 20;

/// A PCI bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Virtual address of the `struct pci_bus`.
    pub address: u64,
    /// `0000:00`
    pub name: Result<String>,
    /// The bus that leads to it; `None` of a root bus.
    pub parent: Option<u64>,
    /// Its devices.
    pub devices: Vec<Device>,
}

/// A device on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Virtual address of the `struct pci_dev`.
    pub address: u64,
    /// Slot and function, in one number.
    pub slot_function: u64,
    /// The class, in 24 bits.
    pub class: u64,
    /// Who made it.
    pub vendor: u64,
    /// What it is.
    pub device: u64,
    /// What it is to PCI Express; without that, whether it is a bridge. `None` where that is not known.
    pub kind: Option<&'static str>,
}

/// PCI_EXP_TYPE_* (include/uapi/linux/pci_regs.h), crash's words.
fn express_word(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0 => "ENDPOINT",
        1 => "LEG_END",
        4 => "ROOT_PORT",
        5 => "UPSTREAM_PORT",
        6 => "DOWNSTREAM_PORT",
        7 => "PCI_BRIDGE",
        8 => "PCIE_BRIDGE",
        9 => "ROOT_INT_EP",
        10 => "ROOT_EC",
        _ => return None,
    })
}

/// A range of ports or of physical memory that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Virtual address of the `struct resource`.
    pub address: u64,
    /// First.
    pub start: u64,
    /// Last.
    pub end: u64,
    /// Who has it.
    pub name: Result<String>,
}

impl Kernel {
    /// All PCI buses, each followed by those behind it, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no PCI.
    pub fn pci_buses(&self) -> Result<(Vec<Bus>, Vec<Error>)> {
        let head = self.shapes().device_tables.pci_buses.address()?;
        let (mut buses, mut errors) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        self.buses_of(head, None, 0, &mut seen, &mut buses, &mut errors);
        Ok((buses, errors))
    }

    fn buses_of(
        &self,
        head: u64,
        parent: Option<u64>,
        depth: usize,
        seen: &mut HashSet<u64>,
        buses: &mut Vec<Bus>,
        errors: &mut Vec<Error>,
    ) {
        let (target, shape) = (self.target(), &self.shapes().pci_bus);
        let link = match shape.on_parent.offset() {
            Ok(link) => link,
            Err(error) => return errors.push(error),
        };
        for entry in list(target, head).take(MAX_ENTRIES) {
            let address = match entry {
                Ok(entry) => entry.wrapping_sub(link),
                Err(error) => return errors.push(error),
            };
            if depth >= MAX_DEPTH || !seen.insert(address) {
                return errors.push(Error::corrupt(format!("PCI bus {address:x} comes twice")));
            }
            let name = shape.at(target, address).name();
            let name = name.and_then(|at| Ok(target.read_cstr(at, 64)?));
            let devices = self.pci_devices(address, errors);
            buses.push(Bus { address, name, parent, devices });
            match shape.children.address(address) {
                Ok(head) => self.buses_of(head, Some(address), depth + 1, seen, buses, errors),
                Err(error) => errors.push(error),
            }
        }
    }

    fn pci_devices(&self, bus: u64, errors: &mut Vec<Error>) -> Vec<Device> {
        let (target, shapes) = (self.target(), self.shapes());
        let mut found = Vec::new();
        let head = shapes.pci_bus.devices.address(bus);
        let (head, link) = match head.and_then(|at| Ok((at, shapes.pci_device.on_bus.offset()?))) {
            Ok(places) => places,
            Err(error) => {
                errors.push(error);
                return found;
            }
        };
        for entry in list(target, head).take(MAX_ENTRIES) {
            match entry.and_then(|entry| self.pci_device(entry.wrapping_sub(link))) {
                Ok(device) => found.push(device),
                Err(error) => errors.push(error),
            }
        }
        found
    }

    fn pci_device(&self, address: u64) -> Result<Device> {
        let device = self.shapes().pci_device.at(self.target(), address);
        let kind = match device.express() {
            Ok(0) => device.header().ok().map(|header| match header & 0x7f {
                0 => "PCI",
                _ => "PCI_BRIDGE",
            }),
            Ok(_) => device.express_flags().ok().and_then(|flags| express_word(flags >> 4 & 15)),
            Err(_) => None,
        };
        Ok(Device {
            address,
            slot_function: device.slot_function()?,
            class: device.class()?,
            vendor: device.vendor()?,
            device: device.device()?,
            kind,
        })
    }

    /// Ranges of I/O ports, those within others behind them, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no such tree.
    pub fn io_ports(&self) -> Result<(Vec<Range>, Vec<Error>)> {
        self.ranges(self.shapes().device_tables.ports.address()?)
    }

    /// Ranges of physical memory, likewise.
    ///
    /// # Errors
    /// This kernel has no such tree.
    pub fn io_memory(&self) -> Result<(Vec<Range>, Vec<Error>)> {
        self.ranges(self.shapes().device_tables.memory.address()?)
    }

    fn ranges(&self, root: u64) -> Result<(Vec<Range>, Vec<Error>)> {
        let target = self.target();
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut todo = vec![root];
        while let Some(address) = todo.pop() {
            if !seen.insert(address) || seen.len() > MAX_ENTRIES {
                errors.push(Error::corrupt(format!("resource {address:x} comes twice")));
                continue;
            }
            let range = self.shapes().resource.at(target, address);
            match (range.start(), range.end()) {
                (Ok(start), Ok(end)) => {
                    let name = range.name().and_then(|at| match at {
                        0 => Ok(String::new()),
                        at => Ok(target.read_cstr(at, 256)?),
                    });
                    found.push(Range { address, start, end, name });
                }
                (Err(error), _) | (_, Err(error)) => errors.push(error),
            }
            // What lies within comes before what follows.
            for next in [range.sibling(), range.child()] {
                match next {
                    Ok(0) => {}
                    Ok(next) => todo.push(next),
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok((found, errors))
    }
}
