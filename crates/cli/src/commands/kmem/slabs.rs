//! `kmem -s`, `kmem -S`.

use std::fmt::Write;

use necropsy_linux::{
    Kernel, check,
    slub::{Cache, Counts, Held, ObjectState, Role, Slab},
};

use super::{IGNORE, OBJECTS};
use crate::rows::kmem::{CacheRow, ObjectRow, SlabRow};
use crate::{
    CommandError, Outcome,
    cpus::cpu_list,
    numbers,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
};

pub(super) const HEADING: &str =
    "CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME";

pub(super) fn show(kernel: &Kernel, parsed: &Parsed, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let (caches, errors) = kernel.slab_caches()?;
    problems.extend(errors);
    let caches = wanted(kernel, caches, parsed)?;
    let index = kernel.slabs()?;
    let cpus = parsed.value(OBJECTS).map(|cpus| cpu_list(kernel, cpus)).transpose()?;
    if !parsed.has(OBJECTS) {
        out.title(HEADING)?;
    }
    for (cache, inside) in &caches {
        out.check_interrupt()?;
        let row = cache_row(kernel, cache)?;
        if parsed.has(OBJECTS) {
            out.title(HEADING)?;
            out.line(cache_line(&row))?;
        } else {
            out.record(&row, |line| writeln!(line, "{}", cache_line(&row)))?;
        }
        match inside {
            Some(address) => one_slab(kernel, cache, *address, parsed.has(OBJECTS), out)?,
            None if parsed.has(OBJECTS) => objects(kernel, cache, cpus.as_deref(), out)?,
            None => {}
        }
        let held = kernel.held_of(cache);
        problems.extend(held.errors.iter().map(|(_, error)| error.clone()));
        for address in parsed.args.iter().filter_map(|word| numbers::parse_hex(word)) {
            slab_of_address(kernel, cache, address, out)?;
        }
    }
    if index.unknown_frames > 0 {
        let share = index.unknown_frames;
        out.line(format_args!(
            "(the descriptions of {share} page frames are not in the dump: slabs may be missing)"
        ))?;
    }
    problems.report("slab cache", out)
}

/// The slab that an address lies in, or that a `struct page` describes.
fn slab_of(kernel: &Kernel, address: u64) -> Option<Slab> {
    kernel.slab_at(address).ok().flatten().or_else(|| kernel.slab_of_page(address).ok())
}

/// The slab that an address lies in, with the object there, or with all.
fn one_slab(kernel: &Kernel, cache: &Cache, address: u64, all: bool, out: &mut Output) -> Outcome {
    let Some(slab) = slab_of(kernel, address) else { return Ok(()) };
    let mut row = slab_row(kernel, cache, &slab, &kernel.held_of(cache));
    if !all && address != slab.page {
        row.objects.retain(|object| address.wrapping_sub(object.object.0) < cache.stride);
    }
    out.record(&row, |line| slab_text(&row, line))
}

/// What is wrong with the slab that an address lies in, or describes, and with the lists of its
/// cache: `kmem -s ADDRESS`.
fn slab_of_address(kernel: &Kernel, cache: &Cache, address: u64, out: &mut Output) -> Outcome {
    let Some(slab) = slab_of(kernel, address).filter(|slab| slab.cache == cache.address) else {
        return Ok(());
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let Some(area) = check::area("slab") else { return Ok(()) };
    let bytes = kernel.target().page_size() << cache.order_of(slab.objects);
    let inside = |at: u64| at == slab.page || at.wrapping_sub(slab.start) < bytes;
    let nodes: Vec<u64> = kernel.held_of(cache).nodes.iter().map(|node| node.address).collect();
    let near = |at: u64| inside(at) || at == cache.address || nodes.contains(&at);
    for found in check::run(kernel, &[area], &stop).findings {
        if near(found.address) || found.start.is_some_and(near) {
            let row = crate::commands::check::damage_row(&found);
            out.record(&row, |line| {
                writeln!(line, "kmem: {}: {}: {}", cache.title(), row.object, row.statement)
            })?;
        }
    }
    Ok(())
}

/// `kmem -r`.
pub(super) fn roots(kernel: &Kernel, parsed: &Parsed, out: &mut Output) -> Outcome {
    if kernel.offset_of("kmem_cache", "memcg_params").is_ok() {
        out.line("(the caches of control groups are among the others)")?;
    } else {
        out.line("(control groups have no caches of their own in this kernel)")?;
    }
    show(kernel, parsed, out)
}

/// The caches that were asked for, and the address in one of their slabs if that was given.
fn wanted(
    kernel: &Kernel,
    caches: Vec<Cache>,
    parsed: &Parsed,
) -> Result<Vec<(Cache, Option<u64>)>, CommandError> {
    let ignored: Vec<&str> = parsed.values(IGNORE).flat_map(|list| list.split(',')).collect();
    let mut wanted = Vec::new();
    if parsed.args.is_empty() {
        wanted = caches.into_iter().map(|cache| (cache, None)).collect();
    } else {
        for word in &parsed.args {
            let named = |cache: &&Cache| cache.name.as_deref() == Some(word);
            if let Some(cache) = caches.iter().find(named) {
                wanted.push((cache.clone(), None));
                continue;
            }
            let address = numbers::parse_hex(word);
            let known = address.and_then(|at| caches.iter().find(|cache| cache.address == at));
            let of_object = || {
                let slab = slab_of(kernel, address?)?;
                caches.iter().find(|cache| cache.address == slab.cache)
            };
            match (known, of_object()) {
                (Some(cache), _) => wanted.push((cache.clone(), None)),
                (None, Some(cache)) => wanted.push((cache.clone(), address)),
                (None, None) => {
                    return Err(CommandError::failed(format!("{word}: no such slab cache")));
                }
            }
        }
    }
    wanted.retain(|(cache, _)| !ignored.iter().any(|name| cache.name.as_deref() == Some(*name)));
    Ok(wanted)
}

/// Every object of the cache counted.
fn cache_row(kernel: &Kernel, cache: &Cache) -> Result<CacheRow, CommandError> {
    Ok(row_of(kernel, cache, kernel.cache_counts(cache)?))
}

pub(super) fn row_of(kernel: &Kernel, cache: &Cache, counts: Counts) -> CacheRow {
    CacheRow {
        cache: Hex(cache.address),
        name: cache.name.clone(),
        object_size: cache.object_size,
        stride: cache.stride,
        allocated: counts.allocated,
        total: counts.total,
        unknown: counts.unknown,
        slabs: counts.slabs,
        slab_bytes: cache.slab_bytes(kernel.target().page_size()),
        users: cache.users,
    }
}

pub(super) fn cache_line(row: &CacheRow) -> String {
    format!(
        "{:x} {:8} {:10} {:9} {:6} {:>5}k  {}",
        row.cache.0,
        row.object_size,
        row.allocated,
        row.total,
        row.slabs,
        row.slab_bytes >> 10,
        row.name.as_deref().unwrap_or("?")
    )
}

/// `full`, `slab of CPU 0`.
pub(super) fn held(role: Option<Role>, slab: &Slab) -> String {
    match role {
        Some(role) => role.to_string(),
        None if slab.freelist == 0 => "full".to_owned(),
        None => "on no list".to_owned(),
    }
}

pub(super) fn slab_row(kernel: &Kernel, cache: &Cache, slab: &Slab, of: &Held) -> SlabRow {
    let states = kernel.slab_states(cache, slab, of);
    let counts = kernel.slab_counts(cache, slab, of);
    let object = |number: u64| {
        let object = cache.nth(slab, number);
        let state = states.of(number, object, of);
        let kept = match state {
            ObjectState::Free(Some(keeper)) => Some(keeper.to_string()),
            _ => None,
        };
        ObjectRow { object: Hex(object), allocated: state.allocated(), kept }
    };
    SlabRow {
        cache: Hex(cache.address),
        name: cache.name.clone(),
        slab: Hex(slab.page),
        memory: Hex(slab.start),
        node: kernel.pfn_of(slab.page).ok().and_then(|pfn| kernel.node_of_frame(pfn)),
        held: held(of.slabs.get(&slab.page).copied(), slab),
        total: counts.total,
        allocated: counts.allocated,
        unknown: counts.unknown,
        flaw: states.flaw().map(|flaw| flaw.to_string()),
        objects: (0..slab.objects).map(object).collect(),
    }
}

fn objects(kernel: &Kernel, cache: &Cache, cpus: Option<&[u32]>, out: &mut Output) -> Outcome {
    let of = kernel.held_of(cache);
    for slab in kernel.slabs()?.of(cache.address) {
        let role = of.slabs.get(&slab.page);
        let on_cpu = match role {
            Some(Role::Cpu(cpu) | Role::CpuPartial(cpu)) => Some(cpu),
            _ => None,
        };
        if cpus.is_some_and(|cpus| !on_cpu.is_some_and(|cpu| cpus.contains(cpu))) {
            continue;
        }
        let row = slab_row(kernel, cache, slab, &of);
        out.record(&row, |line| slab_text(&row, line))?;
    }
    Ok(())
}

pub(super) const SLAB_HEADING: &str =
    "  SLAB              MEMORY            NODE  TOTAL  ALLOCATED  FREE  HELD";

/// A slab's line, without its end.
pub(super) fn slab_line(row: &SlabRow) -> String {
    format!(
        "  {:016x}  {:016x}  {:>4}  {:5}  {:9}  {:4}  {}",
        row.slab.0,
        row.memory.0,
        row.node.map_or("?".to_owned(), |node| node.to_string()),
        row.total,
        row.allocated,
        row.total.saturating_sub(row.allocated),
        row.held
    )
}

fn slab_text(row: &SlabRow, line: &mut dyn Write) -> std::fmt::Result {
    writeln!(line, "{SLAB_HEADING}\n{}", slab_line(row))?;
    if let Some(flaw) = &row.flaw {
        writeln!(line, "  {flaw}")?;
    }
    writeln!(line, "  FREE / [ALLOCATED]")?;
    row.objects.iter().try_for_each(|object| object_text(object, line))
}

pub(super) fn object_text(object: &ObjectRow, line: &mut dyn Write) -> std::fmt::Result {
    let at = object.object.0;
    match (object.allocated, &object.kept) {
        (Some(true), _) => writeln!(line, "  [{at:016x}]"),
        (Some(false), Some(kept)) => writeln!(line, "   {at:016x}  ({kept})"),
        (Some(false), None) => writeln!(line, "   {at:016x}"),
        (None, _) => writeln!(line, "  ?{at:016x}?"),
    }
}
