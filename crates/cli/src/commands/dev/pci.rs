//! PCI buses and devices.

use necropsy_linux::{Kernel, pci};

use crate::rows::device::{BusRow, PciRow};
use crate::{
    Outcome,
    problems::Problems,
    render::{Hex, Output},
};

pub(super) fn show(kernel: &Kernel, out: &mut Output) -> Outcome {
    let (buses, errors) = kernel.pci_buses()?;
    let mut problems = Problems::default();
    problems.extend(errors);
    for bus in &buses {
        let name = bus.name.clone().unwrap_or_else(|_| "?".into());
        let row = BusRow {
            bus: Hex(bus.address),
            parent: bus.parent.map(Hex),
            devices: bus.devices.iter().map(|device| device_row(&name, device)).collect(),
            name,
        };
        out.record(&row, |line| {
            match row.parent {
                None => {
                    writeln!(line, "    ROOT BUS     BUSNAME\n{:016x} {}", row.bus.0, row.name)?;
                }
                Some(parent) => {
                    writeln!(line, "      PCI BUS          BUSNAME   PARENT BUS")?;
                    writeln!(line, "  {:016x} {:<9} {:016x}", row.bus.0, row.name, parent.0)?;
                }
            }
            writeln!(line, "      PCI DEV      DO:BU:SL.FN  CLASS   PCI_ID      TYPE   ")?;
            row.devices.iter().try_for_each(|device| {
                write!(line, "  {:016x} {}  {}", device.device.0, device.address, device.class)?;
                writeln!(line, "  {}  {} ", device.id, device.device_type.unwrap_or("?"))
            })
        })?;
    }
    problems.report("PCI device", out)
}

fn device_row(bus: &str, device: &pci::Device) -> PciRow {
    let (slot, function) = (device.slot_function >> 3 & 0x1f, device.slot_function & 7);
    PciRow {
        device: Hex(device.address),
        address: format!("{bus}:{slot:02x}.{function}"),
        class: format!("{:04x}", device.class >> 8 & 0xffff),
        id: format!("{:04x}:{:04x}", device.vendor & 0xffff, device.device & 0xffff),
        device_type: device.kind,
    }
}
