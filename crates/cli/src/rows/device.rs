//! Devices, swap, and who waits.

use necropsy_rows::{Faults, Hex, row};

row! {
    /// Numbers of devices that a driver has.
    #[derive(Debug)]
    pub struct DeviceRow {
        /// `char` or `block`.
        pub kind: &'static str,
        /// The major number.
        pub major: u64,
        /// What the driver calls itself.
        pub name: String,
        /// Its `struct cdev` or `struct gendisk`.
        pub address: Option<Hex>,
        /// Its operations: a symbol where there is one.
        pub operations: Option<String>,
    }

    /// A disk, and the requests that it has not answered (`dev -d`).
    #[derive(Debug)]
    pub struct DiskRow {
        /// Its major number.
        pub major: u64,
        /// Its `struct gendisk`.
        pub gendisk: Hex,
        /// Its name.
        pub name: String,
        /// Its `struct request_queue`.
        pub request_queue: Hex,
        /// Requests in flight.
        pub total: Option<u64>,
        /// Reads among them.
        pub reads: Option<u64>,
        /// Writes among them.
        pub writes: Option<u64>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// Ports or memory that somebody has (`dev -i`).
    #[derive(Debug)]
    pub struct RangeRow {
        /// `ports` or `memory`.
        pub space: &'static str,
        /// Its `struct resource`.
        pub resource: Hex,
        /// The first port, or physical address.
        pub start: Hex,
        /// The last.
        pub end: Hex,
        /// Who has it.
        pub name: Option<String>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A device on a PCI bus.
    #[derive(Debug)]
    pub struct PciRow {
        /// Its `struct pci_dev`.
        pub device: Hex,
        /// Domain, bus, slot and function.
        pub address: String,
        /// Base class and sub-class.
        pub class: String,
        /// Vendor and device.
        pub id: String,
        /// What it is to PCI Express; `PCI` or `PCI_BRIDGE` if it is not of it.
        pub device_type: Option<&'static str> [key "type"],
    }

    /// A PCI bus (`dev -p`).
    #[derive(Debug)]
    pub struct BusRow {
        /// Its `struct pci_bus`.
        pub bus: Hex,
        /// Its name.
        pub name: String,
        /// The bus that leads to it; `null` for a root bus.
        pub parent: Option<Hex>,
        /// What is on it.
        pub devices: Vec<PciRow>,
    }

    /// An area of swap.
    #[derive(Debug)]
    pub struct SwapRow {
        /// Its `struct swap_info_struct`.
        pub swap_info: Hex,
        /// The partition or file.
        pub path: Option<String>,
        /// `PARTITION` or `FILE`.
        pub swap_type: Option<&'static str> [key "type"],
        /// Its size.
        pub size: u64 [bytes],
        /// How much of it is used.
        pub used: u64 [bytes],
        /// Areas of a higher one are filled first.
        pub priority: i64,
        /// What could not be read.
        pub faults: Faults [maybe],
    }
}
