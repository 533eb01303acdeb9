//! Drivers of character and block devices.

use necropsy_linux::{Kernel, device::Driver};

use crate::rows::device::DeviceRow;
use crate::{
    Outcome,
    problems::Problems,
    render::{Hex, Output},
};

pub(super) fn show(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let (devices, errors) = kernel.char_devices()?;
    problems.extend(errors);
    out.title("CHRDEV    NAME                 CDEV        OPERATIONS")?;
    devices.iter().try_for_each(|device| driver(kernel, "char", device, out))?;
    out.line("")?;
    let (devices, errors) = kernel.block_devices()?;
    problems.extend(errors);
    out.title("BLKDEV    NAME                GENDISK      OPERATIONS")?;
    devices.iter().try_for_each(|device| driver(kernel, "block", device, out))?;
    problems.report("device", out)
}

fn driver(kernel: &Kernel, kind: &'static str, driver: &Driver, out: &mut Output) -> Outcome {
    let symbol = |at: u64| match kernel.target().locate(at) {
        Some(found) if found.offset == 0 => found.symbol.name.to_owned(),
        _ => format!("{at:x}"),
    };
    let row = DeviceRow {
        kind,
        major: driver.major,
        name: driver.name.clone(),
        address: driver.object.map(Hex),
        operations: driver.operations.filter(|at| *at != 0).map(symbol),
    };
    out.record(&row, |line| {
        write!(line, "{:>4}      {:<12} ", row.major, row.name)?;
        match row.address {
            Some(at) => {
                writeln!(
                    line,
                    "{:>18}  {}",
                    format!("{:016x}", at.0),
                    row.operations.as_deref().unwrap_or("?")
                )
            }
            None => writeln!(line, "{:>13}", "(none)"),
        }
    })
}
