//! Areas of swap.

use necropsy_linux::files::FileKind;

use crate::rows::device::SwapRow;
use crate::{
    Outcome,
    command::{Command, Example},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["swap"],
    summary: "areas of swap",
    synopsis: "",
    options: &[],
    rows: &[SwapRow::TYPE],
    args: &[],
    description: "Shows partitions and files that pages are swapped to, and how full they are.",
    examples: &[Example { about: "All of them.", line: "swap", output: "" }],
    run,
};

fn run(session: &mut Session, _: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let (areas, errors) = kernel.swap_areas()?;
    let mut problems = Problems::default();
    problems.extend(errors);
    let page = kernel.target().page_size();
    out.title("SWAP_INFO_STRUCT    TYPE       SIZE       USED     PCT  PRI  FILENAME")?;
    for area in areas {
        let mut faults = Faults::default();
        let inode = kernel.place_of_file(area.file).and_then(|place| kernel.inode_of(place.dentry));
        let kind = faults.keep(inode.and_then(|inode| kernel.inode_kind(inode)));
        let row = SwapRow {
            swap_info: Hex(area.address),
            path: faults.keep(kernel.name_of_file(area.file)),
            swap_type: kind.map(|kind| if kind == FileKind::Block { "PARTITION" } else { "FILE" }),
            size: area.pages.wrapping_mul(page),
            used: area.used.wrapping_mul(page),
            priority: area.priority,
            faults,
        };
        out.record(&row, |line| {
            let percent = (u128::from(row.used) * 100).checked_div(row.size.into()).unwrap_or(0);
            write!(line, "{:016x}  {:<9} ", row.swap_info.0, row.swap_type.unwrap_or("?"))?;
            let kilobytes = |bytes: u64| format!("{}k", bytes / 1024);
            write!(line, "{:>9} {:>10} ", kilobytes(row.size), kilobytes(row.used))?;
            let path = row.path.as_deref().unwrap_or("?");
            writeln!(line, "{:>5}% {:>4}  {path}", percent, row.priority)
        })?;
    }
    problems.report("swap area", out)
}
