//! A cache: its sizes agree with each other.

use super::super::{Checker, Class};
use crate::{shape::Field, slub::Cache};

pub(super) fn check(checker: &mut Checker<'_>, cache: &Cache) {
    let (kernel, title) = (checker.kernel, cache.title());
    let (shape, target) = (&kernel.shapes().kmem_cache, kernel.target());
    let mut wrong = |field: &Field, expected: u64, found: u64, text: &str| {
        if expected == found {
            return;
        }
        let at = field.address(cache.address).unwrap_or(cache.address);
        checker
            .find("cache_sizes", Class::Value, title.clone(), at, text)
            .start(cache.address)
            .values(expected, found);
    };
    let known = |field: &Field| field.read(target, cache.address).ok();
    if let (Some(m), Some(sh1), Some(sh2)) =
        (known(&shape.reciprocal_m), known(&shape.reciprocal_sh1), known(&shape.reciprocal_sh2))
    {
        let text = "how to divide by the size of an object does not fit the size";
        let (want_m, want_sh1, want_sh2) = reciprocal(cache.stride);
        wrong(&shape.reciprocal_m, want_m, m, text);
        wrong(&shape.reciprocal_sh1, want_sh1, sh1, text);
        wrong(&shape.reciprocal_sh2, want_sh2, sh2, text);
    }
    let page = target.page_size();
    for (field, (objects, order)) in [
        (&shape.order_objects, (cache.objects, cache.order)),
        (&shape.least_order_objects, cache.least),
    ] {
        if let Some(raw) = known(field) {
            let low = objects | u64::from(order) << 16;
            wrong(field, low, raw, "no slab is made of so many frames");
            let room = (page << order) / cache.stride;
            wrong(field, room, objects, "the number of objects of a slab does not fit its order");
        }
    }
    if cache.object_size > cache.inuse && cache.inuse != 0 {
        wrong(
            &shape.object_size,
            cache.inuse,
            cache.object_size,
            "an object is larger than its room",
        );
    }
    if cache.inuse > cache.stride {
        wrong(
            &shape.inuse,
            cache.stride,
            cache.inuse,
            "an object is larger than the next one's distance",
        );
    }
    let word = u64::from(target.pointer_size());
    if let Some(offset) = known(&shape.free_pointer)
        && offset.saturating_add(word) > cache.stride
    {
        wrong(
            &shape.free_pointer,
            cache.stride.saturating_sub(word),
            offset,
            "the free pointer lies outside the object",
        );
    }
    if let (Some(start), Some(size)) = (known(&shape.useroffset), known(&shape.usersize))
        && start.saturating_add(size) > cache.object_size
    {
        wrong(
            &shape.usersize,
            cache.object_size.saturating_sub(start),
            size,
            "more may be copied to users than an object has",
        );
    }
    if let Some(constructor) = known(&shape.ctor)
        && constructor != 0
        && !target.is_text(constructor)
    {
        wrong(&shape.ctor, 0, constructor, "the constructor is no code");
    }
    // Those that the allocator itself began with count -1.
    let many = cache.users > MAX_USERS && cache.users as u32 != u32::MAX;
    if known(&shape.refcount).is_some() && (cache.users == 0 || many) {
        wrong(&shape.refcount, 1, cache.users, "so many caches were not merged into one");
    }
    match &cache.name {
        Some(name)
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() || c == ' ') => {}
        Some(_) => {
            let found = known(&shape.name).unwrap_or(0);
            wrong(&shape.name, 0, found, "the name is no text");
        }
        None => {}
    }
}

/// No kernel makes so many caches of one kind.
const MAX_USERS: u64 = 4096;

/// `reciprocal_value()` of lib/math/reciprocal_div.c: factor and two shifts.
fn reciprocal(divisor: u64) -> (u64, u64, u64) {
    let divisor = divisor.clamp(1, u32::MAX.into());
    let bits = u64::from(64 - (divisor - 1).leading_zeros());
    let factor = (1u64 << 32) * ((1u64 << bits) - divisor) / divisor + 1;
    (factor & 0xffff_ffff, bits.min(1), bits.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_by_the_size() {
        // crashme_widget of a kernel in the lab: 256 bytes.
        assert_eq!(reciprocal(256), (1, 1, 7));
        assert_eq!(reciprocal(1), (1, 0, 0));
        for size in [8u64, 96, 192, 704, 4096, 10_048] {
            let (m, sh1, sh2) = reciprocal(size);
            for at in [0, 1, size - 1, size, 7 * size + 3, 1 << 20] {
                let t = (at * m) >> 32;
                assert_eq!((t + ((at - t) >> sh1)) >> sh2, at / size, "{at} / {size}");
            }
        }
    }
}
