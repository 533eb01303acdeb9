//! Slab caches: free pointers, counters, red zones.

use necropsy_linux::{Kernel, slub::Cache};

use super::{super::Random, Victim, victim};

fn some_cache(kernel: &Kernel, random: &mut Random) -> Option<Cache> {
    let (caches, _) = kernel.slab_caches().ok()?;
    let index = kernel.slabs().ok()?;
    let used: Vec<&Cache> =
        caches.iter().filter(|cache| !index.of(cache.address).is_empty()).collect();
    random.one_of(&used).map(|cache| (*cache).clone())
}

/// A free object on its slab's list, and its cache.
fn free_object(kernel: &Kernel, random: &mut Random) -> Option<(Cache, u64, u64)> {
    for _ in 0..200 {
        let cache = some_cache(kernel, random)?;
        let slabs = kernel.slabs().ok()?.of(cache.address);
        let slab = random.one_of(slabs)?;
        if slab.freelist != 0 && cache.number_of(slab, slab.freelist).is_some() {
            return Some((cache, slab.freelist, slab.page));
        }
    }
    None
}

pub(super) fn free_pointer(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (cache, object, page) = free_object(kernel, random)?;
    let pointers = kernel.free_pointers(cache.address).ok()?;
    Some(Victim {
        kind: "free_pointer",
        object: format!("object of {}", cache.title()),
        start: object,
        extent: cache.stride,
        address: object + pointers.offset,
        size: 8,
        low_byte: 0,
        page: true,
        relatives: vec![page, cache.address],
    })
}

pub(super) fn slab_counters(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let cache = some_cache(kernel, random)?;
    let slab = *random.one_of(kernel.slabs().ok()?.of(cache.address))?;
    let size = kernel.shapes().page.sizeof().ok()?;
    let field = &kernel.shapes().slab.objects;
    let nodes: Vec<u64> = kernel.held_of(&cache).nodes.iter().map(|node| node.address).collect();
    victim("slab_counters", format!("slab of {}", cache.title()), slab.page, size, field)?
        .with(&[cache.address])?
        .with(&nodes)
}

pub(super) fn slab_cache(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let cache = some_cache(kernel, random)?;
    let slab = *random.one_of(kernel.slabs().ok()?.of(cache.address))?;
    let size = kernel.shapes().page.sizeof().ok()?;
    let field = &kernel.shapes().slab.slab_cache;
    let nodes: Vec<u64> = kernel.held_of(&cache).nodes.iter().map(|node| node.address).collect();
    victim("slab_cache", format!("slab of {}", cache.title()), slab.page, size, field)?
        .with(&[cache.address])?
        .with(&nodes)
}

pub(super) fn node_counters(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let cache = some_cache(kernel, random)?;
    let node = kernel.held_of(&cache).nodes.first()?.address;
    let shape = &kernel.shapes().kmem_cache_node;
    let fields = [&shape.nr_partial, &shape.nr_slabs, &shape.total_objects];
    let field = random.one_of(&fields)?;
    victim("node_counters", format!("node of {}", cache.title()), node, shape.sizeof().ok()?, field)
}

pub(super) fn cache_size(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let cache = some_cache(kernel, random)?;
    let shape = &kernel.shapes().kmem_cache;
    victim("cache_size", cache.title(), cache.address, shape.sizeof().ok()?, &shape.size)
}

pub(super) fn cache_objects(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let cache = some_cache(kernel, random)?;
    let shape = &kernel.shapes().kmem_cache;
    victim(
        "cache_objects",
        cache.title(),
        cache.address,
        shape.sizeof().ok()?,
        &shape.order_objects,
    )
}

pub(super) fn cache_list(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let cache = some_cache(kernel, random)?;
    let shape = &kernel.shapes().kmem_cache;
    let mut found =
        victim("cache_list", cache.title(), cache.address, shape.sizeof().ok()?, &shape.list)?;
    found.address += 8 * random.below(2);
    found.size = 8;
    Some(found)
}

pub(super) fn red_zone(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (caches, _) = kernel.slab_caches().ok()?;
    let guarded = caches.iter().find(|cache| {
        kernel.slab_guards(cache).is_some()
            && kernel.slabs().is_ok_and(|all| !all.of(cache.address).is_empty())
    })?;
    let guards = kernel.slab_guards(guarded)?;
    let slab = *random.one_of(kernel.slabs().ok()?.of(guarded.address))?;
    let held = kernel.held_of(guarded);
    let states = kernel.slab_states(guarded, &slab, &held);
    let number = random.below(slab.objects);
    let object = guarded.nth(&slab, number);
    let allocated = states.of(number, object, &held).allocated()?;
    let zones = kernel.guarded_zones(guarded, &guards, object, allocated);
    let zone = random.one_of(&zones)?;
    let at = random.below(zone.bytes.len() as u64 / 8) * 8;
    Some(Victim {
        kind: "red_zone",
        object: format!("{} of {}", zone.kind.title(), guarded.title()),
        start: object - guarded.left_pad,
        extent: guarded.stride,
        address: zone.start + at,
        size: (zone.bytes.len() as u64 - at).min(8),
        low_byte: 0,
        page: false,
        relatives: vec![slab.page],
    })
}
