//! `kmem -v`, `kmem -o`.

use necropsy_linux::{Kernel, vmalloc::Area};
use necropsy_machine::scope::Scope;

use crate::rows::kmem::{AreaRow, OffsetRow};
use crate::{
    Outcome,
    problems::Problems,
    render::{Hex, Output},
};

/// The function that asked for an area, with the offset behind the call.
pub(super) fn caller(kernel: &Kernel, area: &Area) -> Option<String> {
    let (name, offset) = kernel.symbolize(area.caller?)?;
    Some(if offset == 0 { name } else { format!("{name}+{offset:#x}") })
}

pub(super) const HEADING: &str =
    "   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE";

pub(super) fn area_row(kernel: &Kernel, area: &Area) -> AreaRow {
    AreaRow {
        vmap_area: Hex(area.address),
        vm_struct: (area.vm != 0).then_some(Hex(area.vm)),
        start: Hex(area.start),
        end: Hex(area.end),
        size: area.end.saturating_sub(area.start),
        pages: area.pages,
        flags: area.flags.map(Hex),
        caller: caller(kernel, area),
    }
}

pub(super) fn area_line(row: &AreaRow) -> String {
    let vm = row.vm_struct.map_or(0, |vm| vm.0);
    format!(
        "{:016x}  {vm:016x}  {:016x} - {:016x}  {:7}",
        row.vmap_area.0, row.start.0, row.end.0, row.size
    )
}

pub(super) fn areas(kernel: &Kernel, out: &mut Output) -> Outcome {
    let (areas, errors) = kernel.vmalloc_areas()?;
    let mut problems = Problems::default();
    problems.extend(errors.iter().cloned());
    out.title(HEADING)?;
    // Areas that have no vm_struct are mapped in another way; crash leaves them out.
    for area in areas.iter().filter(|area| area.vm != 0) {
        let row = area_row(kernel, area);
        out.record(&row, |line| writeln!(line, "{}", area_line(&row)))?;
    }
    problems.report("area", out)
}

pub(super) fn offsets(kernel: &Kernel, out: &mut Output) -> Outcome {
    out.title("PER-CPU OFFSET VALUES:")?;
    for cpu in kernel.possible_cpus() {
        let Some(offset) = kernel.per_cpu_offset(cpu) else { continue };
        let row = OffsetRow { cpu, offset: Hex(offset) };
        let name = format!("CPU {cpu}");
        out.record(&row, |line| writeln!(line, "{name:>7}: {offset:x}"))?;
    }
    Ok(())
}
