//! Slab caches: free lists, counters, lists of slabs, sheaves, and what lies around objects.

mod caches;
mod free;
mod guards;
mod holders;
mod kfence;

use std::collections::HashSet;

use rayon::prelude::*;

use super::{
    Area, Checker, Class, Confidence,
    ring::{self, Owner, Seen},
};
use crate::slub::{Cache, Held, Slab};

pub(super) static AREA: Area = Area {
    name: "slab",
    about: "\
the free list of every slab leads through objects of the slab, to none twice, and is as long as \
the slab's counters say; no object is free in two places; no slab is on two lists, and those that \
are on none are full; what CPUs and sheaves keep are objects of the cache; counters of nodes agree \
with their lists and with the slabs found in memory; sizes of a cache agree with each other; red \
zones, poison and padding hold what they must, records of owners name code; objects are zero where \
the kernel clears them when they are freed; what KFENCE wrote around its objects is there",
    run,
};

/// Slabs that one thread takes at a time.
const BATCH: usize = 32;

fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let (caches, errors) = match kernel.slab_caches() {
        Ok(found) => found,
        Err(error) => return checker.unread("caches", 1, Some(&error)),
    };
    // Which of them is wrong, the walk below tells.
    let whole = errors.is_empty();
    for error in errors.iter().filter(|error| !error.is_no_such()) {
        match error {
            // A cache whose sizes cannot be; a break of the list is told below.
            crate::Error::Corrupt { what, at: Some(cache) } => {
                let size = kernel.shapes().kmem_cache.size.address(*cache).unwrap_or(*cache);
                let name = format!("kmem_cache {cache:x}");
                checker.find("cache_sizes", Class::Value, name, size, what.clone()).start(*cache);
            }
            error => checker.unread("caches", 1, Some(error)),
        }
    }
    list_of_caches(checker);
    let index = match kernel.slabs() {
        Ok(index) => index,
        Err(error) => return checker.unread("slabs", 1, Some(&error)),
    };
    checker.unread("page frames", index.unknown_frames, None);
    for cache in &caches {
        if checker.stopped() {
            return;
        }
        one(checker, cache, index.of(cache.address));
    }
    kfence::check(checker);
    let known: HashSet<u64> = caches.iter().map(|cache| cache.address).collect();
    for slab in index.all().iter().filter(|slab| whole && !known.contains(&slab.cache)) {
        checker
            .find(
                "slab_cache",
                Class::Pointer,
                format!("slab {:x}", slab.page),
                slab.page,
                format!("a slab belongs to {:x}, which is no cache", slab.cache),
            )
            .start(slab.page)
            .found(slab.cache);
    }
}

/// The list of all caches.
fn list_of_caches(checker: &mut Checker<'_>) {
    let Ok(head) = checker.kernel.shapes().slab_variables.slab_caches.address() else { return };
    let owner = Owner { name: "slab_caches", start: Some(head) };
    ring::walk(checker, head, owner, &mut Seen::new());
}

fn one(checker: &mut Checker<'_>, cache: &Cache, slabs: &[Slab]) {
    let kernel = checker.kernel;
    let held = kernel.held_of(cache);
    let guards = kernel.slab_guards(cache);
    let look: &Checker<'_> = checker;
    let parts: Vec<Checker<'_>> = slabs
        .par_chunks(BATCH)
        .map(|slabs| {
            let mut part = look.part();
            for slab in slabs {
                free::check(&mut part, cache, slab, &held);
                if let Some(guards) = &guards {
                    guards::check(&mut part, cache, guards, slab, &held);
                }
            }
            part
        })
        .collect();
    parts.into_iter().for_each(|part| checker.take(part));
    checker.count("caches", 1);
    checker.count("slabs", slabs.len() as u64);
    checker.count("objects", slabs.iter().map(|slab| slab.objects).sum());
    caches::check(checker, cache);
    holders::check(checker, cache, slabs, &held);
    roles(checker, cache, slabs, &held);
}

/// Slabs on no list are full.
fn roles(checker: &mut Checker<'_>, cache: &Cache, slabs: &[Slab], held: &Held) {
    if !held.errors.is_empty() || held.nodes.iter().any(|node| !node.whole) {
        return;
    }
    for slab in slabs.iter().filter(|slab| !held.slabs.contains_key(&slab.page)) {
        if slab.freelist != 0 || slab.inuse < slab.objects {
            checker
                .find(
                    "slab_lost",
                    Class::Link,
                    title(cache, slab),
                    slab.page,
                    "a slab has free objects and is on no list",
                )
                .start(slab.page)
                .values(slab.objects, slab.inuse)
                .confidence(Confidence::Possible);
        }
    }
}

/// `slab ffffea0000123400 of kmalloc-64`
fn title(cache: &Cache, slab: &Slab) -> String {
    format!("slab {:x} of {}", slab.page, cache.title())
}

/// `object ffff888001234500 of kmalloc-64`
fn object_title(cache: &Cache, object: u64) -> String {
    format!("object {object:x} of {}", cache.title())
}
