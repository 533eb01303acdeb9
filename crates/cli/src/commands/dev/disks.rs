//! Disks, and what they are waiting for.

use necropsy_linux::Kernel;

use crate::rows::device::DiskRow;
use crate::{
    Outcome,
    problems::Problems,
    render::{Faults, Hex, Output},
};

/// Disks that are memory or files; crash leaves them out.
const NO_HARDWARE: [&str; 2] = ["loop", "ram"];

pub(super) fn show(kernel: &Kernel, busy: bool, out: &mut Output) -> Outcome {
    let (disks, errors) = kernel.disks();
    let mut problems = Problems::default();
    problems.extend(errors);
    out.title("MAJOR GENDISK            NAME       REQUEST_QUEUE      TOTAL  READ WRITE ")?;
    for disk in disks {
        let mut faults = Faults::default();
        let counts = faults.keep(kernel.in_flight(&disk));
        let total = counts.map(|counts| counts.reads.wrapping_add(counts.writes));
        let hidden = NO_HARDWARE.iter().any(|prefix| disk.name.starts_with(prefix));
        if total == Some(0) && (busy || hidden) {
            continue;
        }
        let row = DiskRow {
            major: disk.major,
            gendisk: Hex(disk.address),
            name: disk.name,
            request_queue: Hex(disk.queue),
            total,
            reads: counts.map(|counts| counts.reads),
            writes: counts.map(|counts| counts.writes),
            faults,
        };
        out.record(&row, |line| {
            let count = |count: Option<u64>| count.map_or("?".to_owned(), |n| n.to_string());
            write!(line, "{:>5} {:016x}   {:<10} ", row.major, row.gendisk.0, row.name)?;
            let (total, reads, writes) = (count(row.total), count(row.reads), count(row.writes));
            writeln!(line, "{:016x}   {total:>5} {reads:>5} {writes:>5} ", row.request_queue.0)
        })?;
    }
    problems.report("disk", out)
}
