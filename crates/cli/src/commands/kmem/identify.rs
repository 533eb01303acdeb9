//! `kmem ADDRESS`.

use std::fmt::Write;

use necropsy_linux::{
    Kernel,
    identify::Identity,
    page::{PageFacts, Use},
    slub::{Cache, Event, Role},
    task::Task,
};
use necropsy_machine::{AddressClass, scope::Scope};

use super::{slabs, vmalloc};
use crate::rows::kmem::{IdentityRow, ObjectRow, TrackRow};
use crate::{
    Outcome,
    render::{Hex, Output},
    rows::tasks::Context,
};

/// Kernel addresses begin above this; below, crash takes an address as physical.
const KERNEL: u64 = 0xff00_0000_0000_0000;

/// The kernel's address of what was given, which may be physical.
fn virtual_address(kernel: &Kernel, address: u64, physical: bool) -> u64 {
    let memory = kernel.target().dump_pfns() << kernel.target().page_shift();
    match kernel.target().layout() {
        Some(layout) if physical || (address < memory && address < KERNEL) => {
            layout.to_virtual(address).unwrap_or(address)
        }
        _ => address,
    }
}

/// The page frame that an address lies in, or that a `struct page` describes.
pub(super) fn frame(kernel: &Kernel, address: u64, physical: bool) -> Option<u64> {
    let address = virtual_address(kernel, address, physical);
    frame_of(kernel, address, kernel.identify(address, &[]).as_ref())
}

pub(super) fn show(kernel: &Kernel, address: u64, physical: bool, out: &mut Output) -> Outcome {
    let virtual_address = virtual_address(kernel, address, physical);
    let identity = if address == 0 { None } else { kernel.identify(virtual_address, &[]) };
    let mut row = IdentityRow { address: Hex(address), ..IdentityRow::default() };
    fill(kernel, &mut row, identity.as_ref());
    fill_object(kernel, &mut row, virtual_address);
    let frame = frame_of(kernel, virtual_address, identity.as_ref());
    let facts = frame.and_then(|pfn| kernel.page_facts(pfn).ok()).filter(|_| address != 0);
    if let Some(facts) = &facts {
        fill_page(kernel, &mut row, facts, virtual_address);
        // What the frame's own description does not tell, its mapping does.
        row.used = match identity {
            Some(Identity::Stack { .. }) if facts.used == Use::Other => Some("stack"),
            Some(Identity::Vmalloc(Some(_))) if facts.used == Use::Other => Some("vmalloc"),
            _ => row.used,
        };
    }
    if row.kind.is_empty() {
        row.kind = match kernel.target().address_class(virtual_address) {
            _ if address == 0 => "null",
            _ if facts.is_some() => "page",
            AddressClass::User => "user",
            AddressClass::NonCanonical => "noncanonical",
            _ => "unmapped",
        };
    }
    out.record(&row, |line| text(kernel, &row, identity.as_ref(), facts.as_ref(), line))
}

/// The frame that an address lies in; of a `struct page`, the one that it describes.
fn frame_of(kernel: &Kernel, address: u64, identity: Option<&Identity>) -> Option<u64> {
    if let Some(Identity::Page(pfn)) = identity {
        return Some(*pfn);
    }
    let target = kernel.target();
    if address < KERNEL {
        return None;
    }
    let pfn = target.translate(address).ok()? >> target.page_shift();
    (pfn < target.dump_pfns()).then_some(pfn)
}

fn fill(kernel: &Kernel, row: &mut IdentityRow, identity: Option<&Identity>) {
    row.about = identity.map(Identity::to_string);
    match identity {
        Some(Identity::Symbol { name, offset, module }) => {
            row.kind = if module.is_some() { "module" } else { "symbol" };
            row.symbol = Some(name.clone());
            row.offset = Some(*offset);
            row.module.clone_from(module);
        }
        Some(Identity::Task { .. }) | None => {}
        Some(Identity::Stack { kind, task, .. }) => {
            row.kind = "stack";
            row.stack = Some(kind.title());
            row.task = task.map(Hex);
            if let Some(task) = task.map(|at| kernel.task_at(at)) {
                row.pid = task.pid().ok();
                row.comm = task.comm().ok();
            }
        }
        Some(Identity::Slab { cache, object, offset, allocated, slab, held }) => {
            row.kind = "slab";
            row.cache = Some(cache.clone());
            row.object = object.map(Hex);
            row.offset = object.is_some().then_some(*offset);
            row.allocated = *allocated;
            row.slab = Some(Hex(*slab));
            row.held = Some(held.clone().unwrap_or_else(|| "full".to_owned()));
        }
        Some(Identity::PerCpu(place)) => {
            row.kind = "percpu";
            row.cpu = Some(place.cpu);
            row.symbol.clone_from(&place.symbol);
            row.offset = Some(place.offset);
        }
        Some(Identity::DirectMap(_)) => row.kind = "page",
        Some(Identity::Vmalloc(area)) => {
            row.kind = if area.is_some() { "vmalloc" } else { "unmapped" };
            if let Some(area) = area {
                row.start = Some(Hex(area.start));
                row.end = Some(Hex(area.end));
                row.caller = vmalloc::caller(kernel, area);
                row.pages = area.pages;
            }
        }
        Some(Identity::Page(_)) => row.kind = "vmemmap",
    }
}

/// What its cache tells of an object: names, its type, who allocated and freed it.
fn fill_object(kernel: &Kernel, row: &mut IdentityRow, address: u64) {
    if let Some(known) = kernel.known_structure(address) {
        let into = address.wrapping_sub(known.start);
        row.structure = Some(known.tag);
        row.type_reason = Some(known.reason);
        row.member = kernel.member_at(known.tag, into).filter(|_| into < known.size);
    }
    let Ok(Some(found)) = kernel.slab_object(address) else { return };
    // A task is named as such; it is an object of a slab all the same.
    if row.kind.is_empty() {
        row.kind = "slab";
        row.cache.clone_from(&found.cache.name);
        row.object = found.address.map(Hex);
        row.offset = u64::try_from(found.offset).ok();
        row.allocated = found.state.allocated();
        row.slab = Some(Hex(found.slab.page));
        row.held = Some(found.role.map_or("full".to_owned(), |role| role.to_string()));
    }
    if found.cache.users > 1 {
        row.merged = kernel.cache_aliases(&found.cache);
    }
    if let Some(object) = found.address {
        row.alloc = track(kernel, &found.cache, object, Event::Allocated);
        row.free = track(kernel, &found.cache, object, Event::Freed);
    }
}

fn track(kernel: &Kernel, cache: &Cache, object: u64, event: Event) -> Option<TrackRow> {
    let track = kernel.slab_track(cache, object, event).ok()??;
    let symbol = |at: u64| {
        let (name, offset) = kernel.symbolize(at)?;
        Some(format!("{name}+{offset:#x}"))
    };
    Some(TrackRow {
        by: Hex(track.by),
        symbol: symbol(track.by),
        pid: track.pid,
        cpu: track.cpu,
        age: track.ago_ns.map(|ns| ns as f64 / 1e9),
        stack: track
            .stack
            .iter()
            .map(|at| symbol(*at).unwrap_or_else(|| format!("{at:x}")))
            .collect(),
        doubt: kernel.track_doubt(&track).map(|(names, _)| names),
    })
}

fn fill_page(kernel: &Kernel, row: &mut IdentityRow, facts: &PageFacts, address: u64) {
    let shift = kernel.target().page_shift();
    let within = if row.kind == "vmemmap" { 0 } else { address & ((1 << shift) - 1) };
    row.physical = Some(Hex(facts.pfn << shift | within));
    row.page = Some(Hex(facts.page));
    row.pfn = Some(Hex(facts.pfn));
    row.flags.clone_from(&facts.flags);
    row.refcount = facts.refcount;
    row.mapcount = facts.mapcount;
    row.mapping = facts.mapping.map(Hex);
    row.index = facts.index.map(Hex);
    row.used = Some(facts.used.word());
    if facts.used == Use::File
        && let Some(mapping) = facts.mapping
    {
        row.path = kernel.path_of_mapping(mapping);
    }
    if let Use::Buddy(order) = facts.used {
        row.order = Some(order);
    }
}

fn text(
    kernel: &Kernel,
    row: &IdentityRow,
    identity: Option<&Identity>,
    facts: Option<&PageFacts>,
    line: &mut dyn Write,
) -> std::fmt::Result {
    match identity {
        Some(Identity::Slab { .. } | Identity::Task { .. }) => slab_text(kernel, row, line)?,
        // Its area is shown below.
        Some(Identity::Vmalloc(Some(_))) => {}
        Some(Identity::Symbol { .. }) => {
            let letter = kernel.target().locate(row.address.0).map_or('?', |at| at.symbol.kind);
            let about = row.about.as_deref().unwrap_or_default();
            writeln!(line, "{:x} ({letter}) {about}\n", row.address.0)?;
        }
        Some(Identity::Stack { .. } | Identity::PerCpu(_)) => {
            writeln!(line, "{:x}: {}\n", row.address.0, row.about.as_deref().unwrap_or_default())?;
        }
        Some(Identity::DirectMap(_) | Identity::Page(_)) if row.page.is_some() => {}
        _ if row.page.is_some() => {}
        _ => writeln!(line, "{:x}: {}", row.address.0, row.kind)?,
    }
    if let Some(task) = task_of(kernel, row) {
        Context::new(kernel, task).write(line)?;
        writeln!(line)?;
    }
    if let Some(area) = kernel.vmalloc_area(row.address.0) {
        let area = vmalloc::area_row(kernel, area);
        writeln!(line, "{}\n{}", vmalloc::HEADING, vmalloc::area_line(&area))?;
        if let Some(caller) = &area.caller {
            writeln!(line, "CALLER: {caller}")?;
        }
        writeln!(line)?;
    }
    page_text(kernel, row, facts, line)
}

/// The task whose stack or `task_struct` an address is in.
fn task_of<'k>(kernel: &'k Kernel, row: &IdentityRow) -> Option<Task<'k>> {
    let object = || {
        row.object.filter(|_| row.structure == Some("task_struct") && row.allocated == Some(true))
    };
    row.task.or_else(object).map(|at| kernel.task_at(at.0))
}

/// The object, its slab and its cache, as crash shows them.
fn slab_text(kernel: &Kernel, row: &IdentityRow, line: &mut dyn Write) -> std::fmt::Result {
    let Ok(Some(found)) = kernel.slab_object(row.object.map_or(row.address.0, |object| object.0))
    else {
        return Ok(());
    };
    if let Some(counts) = kernel.cache_counts_told(&found.cache) {
        let cache = slabs::row_of(kernel, &found.cache, counts);
        writeln!(line, "{}\n{}", slabs::HEADING, slabs::cache_line(&cache))?;
    } else if let Some(name) = &found.cache.name {
        writeln!(line, "CACHE {:x} {name}", found.cache.address)?;
    }
    let held = kernel.held_of(&found.cache);
    let mut slab = slabs::slab_row(kernel, &found.cache, &found.slab, &held);
    if let Some(role @ Role::Kfence) = found.role {
        slab.held = role.to_string();
    }
    writeln!(line, "{}\n{}", slabs::SLAB_HEADING, slabs::slab_line(&slab))?;
    writeln!(line, "  FREE / [ALLOCATED]")?;
    match found.address {
        Some(object) => {
            let allocated = found.state.allocated();
            let kept = row.held.clone().filter(|_| allocated == Some(false));
            let kept = kept.filter(|kept| slab.held != *kept);
            slabs::object_text(&ObjectRow { object: Hex(object), allocated, kept }, line)?;
        }
        None => writeln!(line, "  {:016x}  (no object)", row.address.0)?,
    }
    tracks_text(row, line)?;
    writeln!(line)
}

fn tracks_text(row: &IdentityRow, line: &mut dyn Write) -> std::fmt::Result {
    if !row.merged.is_empty() {
        writeln!(line, "  MERGED: {}", row.merged.join(", "))?;
    }
    if let (Some(structure), Some(reason)) = (row.structure, row.type_reason) {
        let member = row.member.as_ref().map_or(String::new(), |member| format!(".{member}"));
        writeln!(line, "  TYPE: struct {structure}{member} ({reason})")?;
    }
    for (title, track) in [("ALLOCATED", &row.alloc), ("FREED", &row.free)] {
        let Some(track) = track else { continue };
        if let Some(names) = &track.doubt {
            writeln!(line, "  {title} by ?: the record was written over, it names {names}")?;
            continue;
        }
        let by = track.symbol.clone().unwrap_or_else(|| track.by.to_string());
        write!(line, "  {title} by {by}, pid {}", track.pid)?;
        track.cpu.iter().try_for_each(|cpu| write!(line, ", CPU {cpu}"))?;
        match track.age {
            Some(age) => writeln!(line, ", {age:.3} s before the end")?,
            None => writeln!(line)?,
        }
        track.stack.iter().try_for_each(|frame| writeln!(line, "    {frame}"))?;
    }
    Ok(())
}

/// The page's line as everywhere, and what the page is used for where neither its flags nor what
/// stands above tell.
fn page_text(
    kernel: &Kernel,
    row: &IdentityRow,
    facts: Option<&PageFacts>,
    line: &mut dyn Write,
) -> std::fmt::Result {
    let Some(facts) = facts else { return Ok(()) };
    let page = super::pages::page_row(kernel, facts);
    write!(line, "{}\n{}", super::pages::HEADING, super::pages::page_line(&page).trim_end())?;
    match (&facts.used, row.used) {
        (Use::Slab | Use::Reserved, _) | (Use::Other, Some("other") | None) => writeln!(line)?,
        (_, used) => writeln!(line, " ({})", used.unwrap_or("?"))?,
    }
    row.path.iter().try_for_each(|path| writeln!(line, "FILE: {path}"))
}
