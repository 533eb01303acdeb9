//! A slab: its counters, and its free list.

use super::{
    super::{Checker, Class, Confidence},
    object_title, title,
};
use crate::slub::{Cache, Flaw, Held, Role, Slab};

pub(super) fn check(checker: &mut Checker<'_>, cache: &Cache, slab: &Slab, held: &Held) {
    let kernel = checker.kernel;
    let states = kernel.slab_states(cache, slab, held);
    let most = cache.objects.max(cache.least.0);
    // Of a cache whose own numbers are wrong, its slabs are not to blame.
    let known = most > 0 && cache.fits(kernel.target().page_size());
    if slab.objects == 0
        || (known && slab.objects != cache.objects && slab.objects != cache.least.0)
    {
        let text = "a slab has room for a number of objects that its cache does not make";
        let values = (most, slab.objects);
        if let Some(finding) =
            checker.compare("objects", title(cache, slab), slab.page, values, text)
        {
            finding.start(slab.page);
        }
    }
    if slab.inuse > slab.objects {
        let text = "a slab has more objects in use than it has room for";
        let values = (slab.objects, slab.inuse);
        if let Some(finding) = checker.compare("inuse", title(cache, slab), slab.page, values, text)
        {
            finding.start(slab.page);
        }
    }
    frozen(checker, cache, slab, held);
    for number in states.both(slab) {
        let object = cache.nth(slab, number);
        let text = "an object is on its slab's free list and kept elsewhere too";
        checker
            .find("free_twice", Class::Link, object_title(cache, object), object, text)
            .start(object);
    }
    match states.flaw() {
        Some(Flaw::Unreadable(_, fault)) => checker.unread("free lists", 1, Some(&fault.into())),
        Some(flaw @ Flaw::Stray(object, stored, means)) => {
            stray(checker, cache, slab, (object, stored, means), flaw.to_string());
        }
        Some(flaw @ Flaw::Twice(object, from)) => {
            checker
                .find(
                    "free_cycle",
                    Class::Pointer,
                    object_title(cache, if from == 0 { object } else { from }),
                    if from == 0 { slab.page } else { from },
                    flaw.to_string(),
                )
                .start(if from == 0 { object } else { from })
                .found(object);
        }
        None => {
            let text = "a slab's free list is not as long as its counters say";
            let values = (slab.objects.saturating_sub(slab.inuse), states.listed());
            if let Some(finding) =
                checker.compare("free_count", title(cache, slab), slab.page, values, text)
            {
                finding.start(slab.page);
            }
        }
    }
}

/// A CPU's slab is frozen, one on a node's list is not.
fn frozen(checker: &mut Checker<'_>, cache: &Cache, slab: &Slab, held: &Held) {
    if !checker.kernel.shapes().kmem_cache.cpu_slab.exists() {
        return;
    }
    let expected = match held.slabs.get(&slab.page) {
        Some(Role::Cpu(_)) => true,
        Some(Role::Partial(_)) => false,
        // Those that CPUs hold back are no longer frozen since 6.8.
        _ => return,
    };
    if expected != slab.frozen {
        let text = if expected {
            "a CPU's slab is not frozen"
        } else {
            "a slab on a node's list is frozen"
        };
        let found = checker.find("frozen", Class::Value, title(cache, slab), slab.page, text);
        found
            .start(slab.page)
            .values(expected.into(), slab.frozen.into())
            .confidence(Confidence::Possible);
    }
}

/// A free pointer that leads to no object.
fn stray(
    checker: &mut Checker<'_>,
    cache: &Cache,
    slab: &Slab,
    (object, stored, means): (u64, u64, u64),
    statement: String,
) {
    let kernel = checker.kernel;
    let (name, address) = if object == 0 {
        (title(cache, slab), slab.page)
    } else {
        let offset = kernel.free_pointers(cache.address).map_or(0, |pointers| pointers.offset);
        (object_title(cache, object), object.wrapping_add(offset))
    };
    let start = if object == 0 { slab.page } else { object };
    // One that differs in a bit or a byte from one that could be is taken for that.
    let near = near(cache, slab, means);
    let class = if object == 0 { Class::Pointer } else { Class::WriteAfterFree };
    let finding = checker.find("free_pointer", class, name, address, statement).start(start);
    match near {
        // What mangles is the same for both, so that the stored words differ as the meanings do.
        Some(near) => finding.values(stored ^ means ^ near, stored),
        None => finding.found(stored),
    };
}

/// The only pointer to an object of the slab, or the end, that differs in one bit; else in one
/// byte.
fn near(cache: &Cache, slab: &Slab, pointer: u64) -> Option<u64> {
    let fits = |candidate: &u64| *candidate != 0 && cache.number_of(slab, *candidate).is_some();
    let bits = (0..64).map(|bit| pointer ^ 1 << bit).filter(fits);
    let bytes = (0..8).flat_map(|byte| (1..=255u64).map(move |flip| pointer ^ flip << (byte * 8)));
    only(bits).or_else(|| only(bytes.filter(fits)))
}

fn only(mut candidates: impl Iterator<Item = u64>) -> Option<u64> {
    let first = candidates.next()?;
    candidates.next().is_none().then_some(first)
}
