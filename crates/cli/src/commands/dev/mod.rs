//! Devices.

mod disks;
mod drivers;
mod pci;
mod ranges;

use crate::rows::device::{BusRow, DeviceRow, DiskRow, RangeRow};
use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    parsed::Parsed,
    render::Output,
    session::Session,
};

const DISKS: Opt = Opt::flag("-d", "disks, and the requests that they have not answered");
const BUSY: Opt = Opt::flag("-D", "as -d, only disks that have such requests");
const RANGES: Opt = Opt::flag("-i", "ranges of I/O ports and of memory, and who has them");
const PCI: Opt = Opt::flag("-p", "PCI buses and devices");
const DUMPS: Opt = Opt::flag("-V", "device dumps in the dump file");
const DUMP: Opt = Opt::value("-v", "index", "the device dump of this number");

pub(crate) static COMMAND: Command = Command {
    names: &["dev"],
    summary: "devices: character, block, disks, PCI, ports and memory",
    synopsis: "[-d | -D | -i | -p | -V | -v index]",
    options: &[DISKS, BUSY, RANGES, PCI, DUMPS, DUMP],
    rows: &[DeviceRow::TYPE, DiskRow::TYPE, RangeRow::TYPE, BusRow::TYPE],
    args: &[],
    description: "\
Without options, shows the major numbers of character and block devices: the driver, its cdev or last
disk, and its operations.

-d counts the requests that were handed to a disk's driver and have not come back: reads and writes.
Disks that are no hardware (loop, ram) are shown when they have some. A disk that has no queue of
requests (device mapper, MD) tells by its counters.

-p shows each PCI bus and what is on it, by domain, bus, slot and function, with class, vendor and
device. A device that does not speak PCI Express is of type PCI.",
    examples: &[
        Example { about: "All drivers.", line: "dev", output: "" },
        Example { about: "What disks are waiting for.", line: "dev -d", output: "" },
        Example { about: "PCI devices.", line: "dev -p", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let chosen = parsed.one_of(&[DISKS, BUSY, RANGES, PCI, DUMPS, DUMP])?;
    if matches!(chosen, Some(DUMPS | DUMP)) {
        return dumps(session, out);
    }
    let kernel = session.kernel()?;
    match chosen {
        None => drivers::show(&kernel, out),
        Some(DISKS) => disks::show(&kernel, false, out),
        Some(BUSY) => disks::show(&kernel, true, out),
        Some(RANGES) => ranges::show(&kernel, out),
        Some(_) => pci::show(&kernel, out),
    }
}

/// Drivers can add what their hardware holds to the ELF file of kdump (NT_VMCOREDD).
fn dumps(session: &Session, out: &mut Output) -> Outcome {
    const NT_VMCOREDD: u32 = 0x700;
    let kernel = session.kernel()?;
    let notes = kernel.target().dump().notes();
    let mut index = 0;
    for note in notes.iter().filter(|note| note.kind == NT_VMCOREDD) {
        // struct vmcoredd_header without the note before it: 44 bytes of name.
        let name: Vec<u8> =
            note.desc.iter().take(44).copied().take_while(|byte| *byte != 0).collect();
        if index == 0 {
            out.title("INDEX            NAME                       SIZE")?;
        }
        let size = note.desc.len().saturating_sub(44);
        out.line(format_args!("{index:>5} {:>28} {size:>10}", name.escape_ascii().to_string()))?;
        index += 1;
    }
    if index == 0 {
        return Err(CommandError::failed("no device dumps found in this dumpfile"));
    }
    Ok(())
}
