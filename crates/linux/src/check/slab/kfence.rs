//! What lies around the objects that KFENCE keeps, on their pages (mm/kfence/core.c).

use super::{
    super::{Checker, Class},
    guards,
};

/// KFENCE_CANARY_PATTERN: a byte that depends on its place.
fn canary(address: u64) -> u8 {
    0xaa ^ (address & 7) as u8
}

pub(super) fn check(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let target = kernel.target();
    for object in kernel.kfence_objects() {
        // A page of a free object is not mapped, but is there.
        let Some(physical) = target.layout().and_then(|layout| layout.linear(object.page)) else {
            continue;
        };
        let mut page = vec![0; target.page_size() as usize];
        checker.count("objects of KFENCE", 1);
        if let Err(fault) = target.read_physical(physical, &mut page) {
            checker.unread("guarded zones", 1, Some(&fault.into()));
            continue;
        }
        let first = object.address.wrapping_sub(object.page) as usize;
        let end = first.saturating_add(object.size as usize);
        for (side, start, end) in [("before", 0, first), ("behind", end, page.len())] {
            let Some(found) = page.get(start..end) else { continue };
            let at = object.page.wrapping_add(start as u64);
            let expected: Vec<u8> = (at..).take(found.len()).map(canary).collect();
            let mut differ = (0..found.len()).filter(|at| found[*at] != expected[*at]);
            let Some(first) = differ.next() else { continue };
            let last = differ.next_back().unwrap_or(first);
            let cache = kernel.known_cache(object.cache).ok();
            let name = cache.as_ref().map_or_else(|| "its cache".to_owned(), |cache| cache.title());
            let owner = cache.and_then(|cache| guards::owner(checker, &cache, object.address));
            let text = format!(
                "what KFENCE wrote {side} the object: {} bytes were overwritten{}",
                last - first + 1,
                owner.unwrap_or_default(),
            );
            let title = format!("object {:x} of {name}, kept by KFENCE", object.address);
            checker
                .find("canary", Class::Overrun, title, at.wrapping_add(first as u64), text)
                .start(object.address)
                .bytes(&expected[first..], &found[first..]);
        }
    }
}
