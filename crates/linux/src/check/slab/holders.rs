//! CPUs, nodes and sheaves: what they hold of a cache, and what they count.

use super::{
    super::{Checker, Class, Confidence, lacks},
    object_title,
};
use crate::{
    Error,
    slub::{Cache, Flaw, Held, Role, Slab},
};

pub(super) fn check(checker: &mut Checker<'_>, cache: &Cache, slabs: &[Slab], held: &Held) {
    let kernel = checker.kernel;
    for (start, error) in &held.errors {
        match error {
            // Said below, in numbers.
            Error::Corrupt { .. } if held.sheaves.iter().any(|sheaf| sheaf.address == *start) => {}
            Error::Corrupt { .. } if held.flaws.iter().any(|(page, ..)| page == start) => {}
            Error::Corrupt { what, .. } => {
                let found = checker.find("lists", Class::Link, cache.title(), *start, what.clone());
                found.start(*start);
            }
            _ => checker.unread("lists of caches", 1, Some(error)),
        }
    }
    flaws(checker, cache, held);
    sheaves(checker, cache, held);
    for barn in held.barns.iter().filter(|barn| barn.whole) {
        let object = format!("barn of node {} of {}", barn.node, cache.title());
        let shape = &kernel.shapes().node_barn;
        for (field, (counted, listed)) in
            [(&shape.nr_full, barn.full), (&shape.nr_empty, barn.empty)]
        {
            let at = field.address(barn.address).unwrap_or(barn.address);
            let text = "a node's counter of sheaves is not the length of their list";
            if let Some(finding) =
                checker.compare("barn", object.clone(), at, (listed, counted), text)
            {
                finding.start(barn.address).confidence(half_done(listed, counted));
            }
        }
    }
    for (page, told, real) in &held.behind {
        let text = "a slab that a CPU holds back counts other than so many behind it";
        let object = format!("slab {page:x} of {}", cache.title());
        if let Some(finding) = checker.compare("behind", object, *page, (*real, *told), text) {
            finding.start(*page);
        }
    }
    for (page, first, second) in &held.twice {
        let text = format!("a slab is the {first} and the {second}");
        checker
            .find(
                "slab_twice",
                Class::Link,
                format!("slab {page:x} of {}", cache.title()),
                *page,
                text,
            )
            .start(*page);
    }
    for (object, first, second) in &held.free_twice {
        let text = format!("a free object is in the {first} and in the {second}");
        checker
            .find("free_twice", Class::Link, object_title(cache, *object), *object, text)
            .start(*object);
    }
    for (object, keeper) in &held.objects {
        // What the dump lacks is not wrong.
        let slab = match kernel.slab_at(*object) {
            Ok(slab) => slab,
            Err(error) if lacks(&error) => {
                checker.unread("kept objects", 1, Some(&error));
                continue;
            }
            Err(_) => None,
        };
        let fits = slab.is_some_and(|slab| {
            slab.cache == cache.address && cache.number_of(&slab, *object).is_some()
        });
        if !fits {
            let text = format!("the {keeper} holds {object:x}, which is no object of the cache");
            checker
                .find("kept_object", Class::Pointer, cache.title(), *object, text)
                .start(cache.address)
                .found(*object);
        }
    }
    for page in held.slabs.keys() {
        let slab = kernel.slab_of_page(*page);
        if let Err(error) = &slab
            && lacks(error)
        {
            checker.unread("slabs", 1, Some(error));
            continue;
        }
        if !slab.is_ok_and(|slab| slab.cache == cache.address) {
            let role = held.slabs.get(page).map_or(String::new(), Role::to_string);
            let text = format!("the {role} is {page:x}, which is no slab of the cache");
            checker
                .find("held_slab", Class::Pointer, cache.title(), *page, text)
                .start(cache.address)
                .found(*page);
        }
    }
    let name = cache.title();
    for node in &held.nodes {
        let object = format!("node {} of {name}", node.node);
        if let (Some(counted), true) = (node.nr_partial, node.whole) {
            let text = "a node's counter of partial slabs is not the length of its list";
            let found =
                checker.compare("nr_partial", object, node.address, (node.listed, counted), text);
            if let Some(finding) = found {
                finding.start(node.address).confidence(half_done(node.listed, counted));
            }
        }
    }
    // What lies in memory that the dump does not describe cannot be counted.
    let whole = kernel.slabs().is_ok_and(|index| index.unknown_frames == 0)
        && !kernel.target().dump().completeness().is_damaged();
    if let ([node], true) = (held.nodes.as_slice(), whole) {
        let object = format!("node {} of {name}", node.node);
        let objects: u64 = slabs.iter().map(|slab| slab.objects).sum();
        for (check, counted, real, text) in [
            (
                "nr_slabs",
                node.nr_slabs,
                slabs.len() as u64,
                "the counter of slabs is not the number of slabs in memory",
            ),
            (
                "total_objects",
                node.total_objects,
                objects,
                "the counter of objects is not their number in memory",
            ),
        ] {
            let Some(counted) = counted else { continue };
            let found = checker.compare(check, object.clone(), node.address, (real, counted), text);
            if let Some(finding) = found {
                // A slab is counted a moment before, or after, it is made.
                let near = real.abs_diff(counted) <= cache.objects.max(1);
                finding.start(node.address).confidence(if near {
                    Confidence::Possible
                } else {
                    Confidence::Certain
                });
            }
        }
    }
}

/// Free lists of CPUs that lead to no object.
fn flaws(checker: &mut Checker<'_>, cache: &Cache, held: &Held) {
    let kernel = checker.kernel;
    for (page, keeper, flaw) in &held.flaws {
        let text = format!("{keeper}: {flaw}");
        let (object, address, found) = match *flaw {
            Flaw::Unreadable(_, fault) => {
                checker.unread("free lists", 1, Some(&fault.into()));
                continue;
            }
            Flaw::Stray(0, _, means) => (*page, *page, means),
            Flaw::Stray(object, stored, _) => {
                let offset = kernel.free_pointers(cache.address).map_or(0, |at| at.offset);
                (object, object.wrapping_add(offset), stored)
            }
            Flaw::Twice(object, from) => (if from == 0 { object } else { from }, object, object),
        };
        // What was taken from an overwritten object tells which.
        let from = kernel.overwritten_free_object(cache.address, found);
        let (object, address) =
            from.as_ref().map_or((object, address), |from| (from.object, from.address));
        let name = if object == *page {
            format!("slab {page:x} of {}", cache.title())
        } else {
            object_title(cache, object)
        };
        let finding =
            checker.find("free_pointer", Class::WriteAfterFree, name, address, text).start(object);
        match from {
            Some(from) => finding.found(from.stored).neighbours(format!(
                "that is what a free pointer overwritten with {:#x} gives",
                from.byte
            )),
            None => finding.found(found),
        };
    }
}

/// Sheaves have no more objects than they have room for, and know their cache.
fn sheaves(checker: &mut Checker<'_>, cache: &Cache, held: &Held) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    let capacity = shapes.kmem_cache.sheaf_capacity.read(kernel.target(), cache.address).ok();
    let capacity = capacity.filter(|capacity| *capacity > 0);
    for sheaf in &held.sheaves {
        let object = format!("sheaf {:x} of {}", sheaf.address, cache.title());
        let at =
            |field: &crate::shape::Field| field.address(sheaf.address).unwrap_or(sheaf.address);
        if let Some(capacity) = capacity.filter(|capacity| sheaf.size > *capacity) {
            let text = format!("the {} has more objects than room", sheaf.keeper);
            checker
                .find(
                    "sheaf_size",
                    Class::Counter,
                    object.clone(),
                    at(&shapes.slab_sheaf.size),
                    text,
                )
                .start(sheaf.address)
                .values(capacity, sheaf.size);
        }
        // Caches that have no sheaves share one that is always empty.
        let shared = kernel.target().image_at(sheaf.address).is_some();
        if sheaf.cache != cache.address && !shared {
            let text = format!("the {} is for another cache", sheaf.keeper);
            checker
                .find("sheaf_cache", Class::Pointer, object, at(&shapes.slab_sheaf.cache), text)
                .start(sheaf.address)
                .values(cache.address, sheaf.cache);
        }
    }
}

/// A CPU that was stopped may have counted one that is not on the list yet.
fn half_done(listed: u64, counted: u64) -> Confidence {
    if listed.abs_diff(counted) <= 1 { Confidence::Possible } else { Confidence::Certain }
}
