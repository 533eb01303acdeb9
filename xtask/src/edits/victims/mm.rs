//! Address spaces and their mappings.

use necropsy_linux::{Kernel, shape::Field};

use super::{super::Random, Victim, victim};

fn some_mapping(kernel: &Kernel, random: &mut Random) -> Option<(u64, necropsy_linux::vma::Vma)> {
    let tasks = kernel.tasks().tasks;
    let spaces: Vec<u64> = tasks.iter().filter_map(|task| task.mm().ok().flatten()).collect();
    let mm = *random.one_of(&spaces)?;
    let (vmas, _) = kernel.mappings(mm).ok()?;
    Some((mm, *random.one_of(&vmas)?))
}

pub(super) fn mm_counter(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (mm, _) = some_mapping(kernel, random)?;
    let shape = &kernel.shapes().mm;
    let fields = [&shape.map_count, &shape.total_vm];
    victim("mm_counter", "mm_struct".into(), mm, shape.sizeof().ok()?, random.one_of(&fields)?)
}

fn vma_field(
    kernel: &Kernel,
    random: &mut Random,
    kind: &'static str,
    field: &Field,
) -> Option<Victim> {
    let (mm, vma) = some_mapping(kernel, random)?;
    let size = kernel.shapes().vma.sizeof().ok()?;
    victim(kind, "vm_area_struct".into(), vma.address, size, field)?.with(&[mm])
}

pub(super) fn vma_start(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    vma_field(kernel, random, "vma_start", &kernel.shapes().vma.start)
}

pub(super) fn vma_mm(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    vma_field(kernel, random, "vma_mm", &kernel.shapes().vma.mm)
}

pub(super) fn vma_file(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    vma_field(kernel, random, "vma_file", &kernel.shapes().vma.file)
}
