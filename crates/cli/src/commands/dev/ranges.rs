//! Ranges of I/O ports and of memory.

use necropsy_linux::{Kernel, pci::Range};

use crate::rows::device::RangeRow;
use crate::{
    Outcome,
    problems::Problems,
    render::{Faults, Hex, Output},
};

pub(super) fn show(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let (ranges, errors) = kernel.io_ports()?;
    problems.extend(errors);
    out.title("    RESOURCE        RANGE    NAME")?;
    ranges.iter().try_for_each(|range| show_range("ports", 4, range, out))?;
    let (ranges, errors) = kernel.io_memory()?;
    problems.extend(errors);
    out.title("\n    RESOURCE            RANGE        NAME")?;
    ranges.iter().try_for_each(|range| show_range("memory", 8, range, out))?;
    problems.report("resource", out)
}

fn show_range(space: &'static str, width: usize, range: &Range, out: &mut Output) -> Outcome {
    let mut faults = Faults::default();
    let name = faults.keep(range.name.clone());
    // As crash: what has no name is nobody's.
    if name.as_deref() == Some("") {
        return Ok(());
    }
    let row = RangeRow {
        space,
        resource: Hex(range.address),
        start: Hex(range.start),
        end: Hex(range.end),
        name,
        faults,
    };
    out.record(&row, |line| {
        let (start, end) = (row.start.0, row.end.0);
        let name = row.name.as_deref().unwrap_or("?");
        writeln!(line, "{:016x}  {start:0width$x}-{end:0width$x}  {name}", row.resource.0)
    })
}
