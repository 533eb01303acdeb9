//! Address spaces: mappings against counters, and against each other.

use std::collections::HashSet;

use rayon::prelude::*;

use super::{Area, Checker, Class, Confidence, task::in_use};
use crate::{shape::Field, vma::Vma};

pub(super) static AREA: Area = Area {
    name: "mm",
    about: "\
mappings of each address space are sorted, disjoint, of whole pages, know their address space and \
have open files; their number and sizes are what the address space counts; its counters of users and \
its own addresses can be",
    run,
};

fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let mut known = HashSet::new();
    let mut spaces = Vec::new();
    for task in kernel.tasks().tasks {
        if let Ok(Some(mm)) = task.mm()
            && known.insert(mm)
        {
            spaces.push((mm, task.comm().unwrap_or_else(|_| "?".into())));
        }
    }
    let look: &Checker<'_> = checker;
    let parts: Vec<Checker<'_>> = spaces
        .par_iter()
        .map(|(mm, comm)| {
            let mut part = look.part();
            if !part.stopped() {
                one(&mut part, *mm, comm);
            }
            part
        })
        .collect();
    parts.into_iter().for_each(|part| checker.take(part));
}

fn one(checker: &mut Checker<'_>, mm: u64, comm: &str) {
    let kernel = checker.kernel;
    let (shape, target) = (&kernel.shapes().mm, kernel.target());
    let name = format!("mm_struct {mm:x} of {comm}");
    checker.count("address spaces", 1);
    // An address that is none of an `mm_struct` is the area of tasks' to tell.
    if !in_use(kernel, mm) {
        return;
    }
    let known = |field: &Field| field.read_signed(target, mm).ok();
    for (field, text) in [
        (&shape.mm_users, "an address space in use is counted as used by nobody"),
        (&shape.mm_count, "an address space in use is counted as held by nobody"),
    ] {
        if let Some(count) = known(field).map(|count| i64::from(count as i32))
            && !(1..1 << 24).contains(&count)
        {
            let at = field.address(mm).unwrap_or(mm);
            checker
                .find("mm_users", Class::Counter, name.clone(), at, text)
                .start(mm)
                .found(count as u64);
        }
    }
    for (start, end) in [(&shape.arg_start, &shape.arg_end), (&shape.env_start, &shape.env_end)] {
        let address = |field: &Field| field.read(target, mm).ok();
        if let (Some(from), Some(to)) = (address(start), address(end))
            && to.checked_sub(from).is_none_or(|size| size > 64 << 20)
        {
            let at = start.address(mm).unwrap_or(mm);
            let text = "the strings that the process was started with do not begin before they end";
            checker.find("mm_strings", Class::Value, name.clone(), at, text).start(mm).found(from);
        }
    }
    match kernel.mappings(mm) {
        Ok((vmas, errors)) => {
            for error in &errors {
                checker.walk("mappings", "mappings", name.clone(), mm, error);
            }
            mappings(checker, mm, &name, &vmas, errors.is_empty());
        }
        Err(error) => checker.unread("mappings", 1, Some(&error)),
    }
}

fn mappings(checker: &mut Checker<'_>, mm: u64, name: &str, vmas: &[Vma], whole: bool) {
    let kernel = checker.kernel;
    let (shapes, target) = (kernel.shapes(), kernel.target());
    let page = target.page_size();
    checker.count("mappings", vmas.len() as u64);
    let (mut pages, mut before): (u64, u64) = (0, 0);
    for vma in vmas {
        let title = format!("mapping {:x} of {name}", vma.address);
        let mut wrong = |field: &Field, found: u64, text: &str| {
            let at = field.address(vma.address).unwrap_or(vma.address);
            checker
                .find("mapping", Class::Value, title.clone(), at, text)
                .start(vma.address)
                .found(found);
        };
        if vma.start % page != 0 || vma.end <= vma.start && vma.end % page == 0 {
            wrong(&shapes.vma.start, vma.start, "it does not begin with a page, before its end");
        } else if vma.end % page != 0 {
            wrong(&shapes.vma.end, vma.end, "it does not end with a page");
        } else if vma.start < before {
            wrong(&shapes.vma.start, vma.start, "it overlaps the one before it");
        }
        if vma.file != 0 && !in_use(kernel, vma.file) {
            wrong(&shapes.vma.file, vma.file, "its file is no object in use");
        }
        if let Ok(of) = shapes.vma.mm.read(target, vma.address)
            && of != mm
        {
            let at = shapes.vma.mm.address(vma.address).unwrap_or(vma.address);
            checker
                .find(
                    "mapping",
                    Class::Pointer,
                    title.clone(),
                    at,
                    "it belongs to another address space",
                )
                .start(vma.address)
                .values(mm, of);
        }
        before = vma.end;
        pages = pages.saturating_add(vma.end.saturating_sub(vma.start) / page);
    }
    if !whole {
        return;
    }
    for (field, real, text) in [
        (&shapes.mm.map_count, vmas.len() as u64, "the counter of mappings is not their number"),
        (&shapes.mm.total_vm, pages, "the size of the address space is not that of its mappings"),
    ] {
        let Ok(counted) = field.read(target, mm) else { continue };
        let at = field.address(mm).unwrap_or(mm);
        if let Some(finding) = checker.compare("mm_counter", name, at, (real, counted), text) {
            finding.start(mm).confidence(Confidence::Likely);
        }
    }
}
