//! Descriptions of frames, and the lists of free ones.

use necropsy_linux::{Kernel, shape::Field};

use super::{super::Random, Victim, victim};

pub(super) fn some_frame(
    kernel: &Kernel,
    random: &mut Random,
    fits: fn(&necropsy_linux::page::PageFacts) -> bool,
) -> Option<necropsy_linux::page::PageFacts> {
    let ranges = kernel.described_frames().ok()?;
    let zones = kernel.zones().ok()?;
    for _ in 0..20_000 {
        let (start, end) = *random.one_of(&ranges)?;
        let pfn = start + random.below(end - start);
        if !zones.iter().any(|zone| zone.spans(pfn)) {
            continue;
        }
        if let Ok(facts) = kernel.page_facts(pfn)
            && fits(&facts)
        {
            return Some(facts);
        }
    }
    None
}

pub(super) fn page_field(
    kernel: &Kernel,
    kind: &'static str,
    facts: &necropsy_linux::page::PageFacts,
    field: &Field,
) -> Option<Victim> {
    let size = kernel.shapes().page.sizeof().ok()?;
    victim(kind, format!("page frame {:#x}", facts.pfn), facts.page, size, field)
}

pub(super) fn page_numbers(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let facts = some_frame(kernel, random, |_| true)?;
    let mut found = page_field(kernel, "page_numbers", &facts, &kernel.shapes().page.flags)?;
    // The highest byte: node, zone.
    found.address += 7;
    found.size = 1;
    Some(found)
}

pub(super) fn page_kind(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    use necropsy_linux::page::Use;
    let facts = some_frame(kernel, random, |facts| matches!(facts.used, Use::Buddy(_)))?;
    page_field(kernel, "page_kind", &facts, &kernel.shapes().page.page_type)?.low(3)
}

fn free_run(kernel: &Kernel, random: &mut Random) -> Option<(u64, u64)> {
    let zones = kernel.zones().ok()?;
    let mut lists = Vec::new();
    for zone in zones.iter().filter(|zone| zone.present > 0) {
        for area in kernel.free_areas(zone).ok()? {
            for list in &area.lists {
                let (runs, _) = kernel.free_runs(list.head);
                lists.extend(runs.into_iter().map(|run| (run, area.address)));
            }
        }
    }
    random.one_of(&lists).copied()
}

pub(super) fn free_list_entry(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (page, area) = free_run(kernel, random)?;
    let size = kernel.shapes().page.sizeof().ok()?;
    let field = &kernel.shapes().page.list;
    let mut found = victim("free_list_entry", "a free run".into(), page, size, field)?;
    found.address += 8 * random.below(2);
    found.size = 8;
    let zones: Vec<u64> = kernel.zones().ok()?.iter().map(|zone| zone.address).collect();
    found.with(&[area])?.with(&zones)
}

pub(super) fn free_counter(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let zones = kernel.zones().ok()?;
    let zones: Vec<_> = zones.iter().filter(|zone| zone.present > 0).collect();
    let areas = kernel.free_areas(random.one_of(&zones)?).ok()?;
    let area = random.one_of(&areas)?;
    let shape = &kernel.shapes().free_area;
    let name = format!("free_area of order {}", area.order);
    victim("free_counter", name, area.address, shape.sizeof().ok()?, &shape.nr_free)
}

pub(super) fn free_frame_counter(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let zones = kernel.zones().ok()?;
    let zones: Vec<_> = zones.iter().filter(|zone| zone.present > 0).collect();
    let zone = random.one_of(&zones)?;
    let shape = &kernel.shapes().zone;
    let mut found = victim(
        "free_frame_counter",
        zone.name.clone(),
        zone.address,
        shape.sizeof().ok()?,
        &shape.vm_stat,
    )?;
    found.size = 8;
    Some(found)
}

pub(super) fn hand_counter(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let zones = kernel.zones().ok()?;
    let zones: Vec<_> = zones.iter().filter(|zone| zone.present > 0).collect();
    let pages = kernel.cpu_pages(random.one_of(&zones)?).ok()?;
    let of = random.one_of(&pages)?;
    let shape = &kernel.shapes().per_cpu_pages;
    victim(
        "hand_counter",
        format!("CPU {}", of.cpu),
        of.address,
        shape.sizeof().ok()?,
        &shape.count,
    )
}

pub(super) fn tail_link(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let facts = some_frame(kernel, random, |facts| facts.head.is_some())?;
    let head = facts.head?;
    page_field(kernel, "tail_link", &facts, &kernel.shapes().page.compound)?.with(&[head])
}

pub(super) fn free_references(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    use necropsy_linux::page::Use;
    let facts = some_frame(kernel, random, |facts| matches!(facts.used, Use::Buddy(_)))?;
    page_field(kernel, "free_references", &facts, &kernel.shapes().page.refcount)
}

pub(super) fn page_mapping(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    use necropsy_linux::page::Use;
    let facts = some_frame(kernel, random, |facts| {
        facts.used == Use::File && facts.flags.contains(&"lru")
    })?;
    page_field(kernel, "page_mapping", &facts, &kernel.shapes().page.mapping)?.low(1)
}
