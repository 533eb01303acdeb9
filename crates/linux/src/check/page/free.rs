//! Free frames: lists of the buddy allocator, and those that CPUs keep at hand.

use super::{
    super::{
        Checker, Class, Confidence,
        ring::{self, Owner, Seen},
    },
    frames::Frames,
};
use crate::zone::{CpuPages, FreeArea, Zone};

/// Frames that are moved between lists before any is counted (`rmqueue_bulk()`).
const BATCH: u64 = 1024;

pub(super) fn check(checker: &mut Checker<'_>, frames: &mut Frames) {
    let mut seen = Seen::new();
    for zone in frames.zones.clone() {
        if checker.stopped() {
            return;
        }
        buddy(checker, frames, &zone, &mut seen);
        match checker.kernel.cpu_pages(&zone) {
            Ok(pages) => pages.iter().for_each(|of| at_hand(checker, frames, &zone, of, &mut seen)),
            Err(error) => checker.unread("lists of CPUs", 1, Some(&error)),
        }
    }
    runs(checker, frames);
}

fn buddy(checker: &mut Checker<'_>, frames: &mut Frames, zone: &Zone, seen: &mut Seen) {
    let kernel = checker.kernel;
    let areas = match kernel.free_areas(zone) {
        Ok(areas) => areas,
        Err(error) => return checker.unread("free lists", 1, Some(&error)),
    };
    let (mut total, mut whole) = (0u64, true);
    for area in &areas {
        let (count, ended) = area_lists(checker, frames, zone, area, seen);
        whole &= ended;
        total = total.saturating_add(count << area.order.min(40));
        if !ended {
            continue;
        }
        let text = "the counter of free runs is not their number on the lists";
        let name = format!("zone {}, order {}", zone.name, area.order);
        let field = &kernel.shapes().free_area.nr_free;
        let at = field.address(area.address).unwrap_or(area.address);
        if let Some(finding) = checker.compare("nr_free", name, at, (count, area.nr_free), text) {
            // A CPU that was stopped may have put one on the list and not counted it yet.
            let half_done = count.abs_diff(area.nr_free) <= 1;
            finding.start(area.address).confidence(match half_done {
                true => Confidence::Possible,
                false => Confidence::Certain,
            });
        }
    }
    let counted = kernel
        .zone_counters(zone)
        .ok()
        .and_then(|counters| counters.into_iter().find(|counter| counter.name == "NR_FREE_PAGES"));
    if let (Some(counted), Ok(more), true) = (counted, kernel.free_pages_not_added(zone), whole) {
        let counted = counted.value.saturating_add(more);
        let off = counted.abs_diff(total as i64);
        if off != 0 {
            let at = kernel.shapes().zone.vm_stat.address(zone.address).unwrap_or(zone.address);
            let text = "the counter of free frames is not their number on the lists";
            checker
                .find("nr_free_pages", Class::Counter, format!("zone {}", zone.name), at, text)
                .start(zone.address)
                .values(total, counted as u64)
                // A run is counted a moment before, or after, it is listed.
                .confidence(if off <= BATCH { Confidence::Possible } else { Confidence::Certain });
        }
    }
    checker.count("zones", 1);
}

/// How many runs the lists of an order have, and whether all of them could be followed.
fn area_lists(
    checker: &mut Checker<'_>,
    frames: &mut Frames,
    zone: &Zone,
    area: &FreeArea,
    seen: &mut Seen,
) -> (u64, bool) {
    let kernel = checker.kernel;
    let (mut count, mut whole) = (0, true);
    for list in &area.lists {
        let name = format!("of free runs, zone {}, order {}", zone.name, area.order);
        ring::walk(checker, list.head, Owner { name: &name, start: Some(area.address) }, seen);
        let (pages, broken) = kernel.free_runs(list.head);
        whole &= broken.is_none();
        for page in pages {
            count += 1;
            run(checker, frames, zone, area, page);
        }
    }
    (count, whole)
}

/// A run on a list.
fn run(checker: &mut Checker<'_>, frames: &mut Frames, zone: &Zone, area: &FreeArea, page: u64) {
    let kernel = checker.kernel;
    let Ok(pfn) = kernel.pfn_of(page) else {
        let name = format!("zone {}, order {}", zone.name, area.order);
        checker
            .find(
                "free_run",
                Class::Pointer,
                name,
                page,
                "a list of free runs has what is no page frame",
            )
            .start(area.address)
            .found(page);
        return;
    };
    let frame = frames.get(pfn);
    if !frame.known() {
        return;
    }
    let private = &kernel.shapes().page.private;
    let kind = &kernel.shapes().page.page_type;
    let at = |field: &crate::shape::Field| field.address(page).unwrap_or(page);
    let name = format!("page frame {pfn:#x}");
    let order = area.order;
    if !frame.buddy() {
        let text =
            format!("it is on the list of free runs of order {order}, and is not marked free");
        // A run that is split is listed before it is marked.
        checker
            .find("free_mark", Class::Value, name.clone(), at(kind), text)
            .start(page)
            .confidence(Confidence::Likely);
    } else if u64::from(frame.order) != order {
        let text = "a free run is on the list of another order than its own";
        checker
            .find("free_order", Class::Value, name.clone(), at(private), text)
            .start(page)
            .values(order, frame.order.into());
    } else if pfn & ((1 << order.min(40)) - 1) != 0 {
        let text = format!("a free run of order {order} is not aligned to its size");
        checker.find("free_alignment", Class::Value, name.clone(), page, text).start(page);
    }
    if !zone.spans(pfn) {
        let text = format!("it is on a list of zone {}, which it is no part of", zone.name);
        checker.find("free_zone", Class::Value, name.clone(), page, text).start(page);
    }
    if let Some(frame) = frames.get_mut(pfn)
        && !frame.list()
    {
        checker
            .find("free_twice", Class::Link, name, page, "it is on two lists of free runs")
            .start(page);
    }
}

/// Runs that are marked free: on a list, their frames unused, not next to their other half.
fn runs(checker: &mut Checker<'_>, frames: &Frames) {
    let kernel = checker.kernel;
    let largest = frames.zones.iter().filter_map(|zone| kernel.free_areas(zone).ok());
    let largest = largest.map(|areas| areas.len()).max().unwrap_or(11).saturating_sub(1) as u32;
    let mut pfn = 0;
    while pfn < frames.end() {
        let frame = frames.get(pfn);
        if !frame.buddy() {
            pfn += 1;
            continue;
        }
        let page = kernel.page_of(pfn).unwrap_or(0);
        let name = format!("page frame {pfn:#x}");
        if !frame.listed() {
            let text = "it is marked free, and is on no list of free runs";
            let field = &kernel.shapes().page.page_type;
            checker
                .find("free_lost", Class::Value, name, field.address(page).unwrap_or(page), text)
                .start(page)
                .confidence(Confidence::Likely);
            pfn += 1;
            continue;
        }
        let order = u32::from(frame.order).min(largest);
        for inner in pfn + 1..(pfn + (1 << order)).min(frames.end()) {
            let part = frames.get(inner);
            if part.known() && (part.buddy() || part.slab() || part.used()) {
                let page = kernel.page_of(inner).unwrap_or(0);
                let what = if part.buddy() {
                    "is marked as the first of a run of its own"
                } else if part.slab() {
                    "is marked as a slab's"
                } else {
                    "has references"
                };
                let text = format!("it lies within the free run at frame {pfn:#x}, and {what}");
                let field = if part.used() {
                    &kernel.shapes().page.refcount
                } else {
                    &kernel.shapes().page.page_type
                };
                checker
                    .find(
                        "free_inside",
                        Class::Value,
                        format!("page frame {inner:#x}"),
                        field.address(page).unwrap_or(page),
                        text,
                    )
                    .start(page);
            }
        }
        pfn += 1 << order;
    }
}

/// Frames that a CPU keeps at hand.
fn at_hand(
    checker: &mut Checker<'_>,
    frames: &mut Frames,
    zone: &Zone,
    of: &CpuPages,
    seen: &mut Seen,
) {
    let kernel = checker.kernel;
    let title = format!("of CPU {} at hand, zone {}", of.cpu, zone.name);
    let (mut listed, mut whole) = (0u64, true);
    for (number, head) in (0u64..).zip(&of.lists) {
        ring::walk(checker, *head, Owner { name: &title, start: Some(of.address) }, seen);
        let (pages, broken) = kernel.free_runs(*head);
        whole &= broken.is_none();
        // Since 5.14 there are lists for larger orders; the first ones, of each kind, are of 0.
        let order = of.order_of(number, kernel.target().paging());
        for page in pages {
            listed += 1 << order;
            let Ok(pfn) = kernel.pfn_of(page) else {
                checker
                    .find(
                        "at_hand",
                        Class::Pointer,
                        title.clone(),
                        page,
                        "a list has what is no page frame",
                    )
                    .start(of.address)
                    .found(page);
                continue;
            };
            let frame = frames.get(pfn);
            if frame.known() && (frame.buddy() || frame.slab() || frame.used()) {
                let text = format!("a CPU keeps it at hand ({title}), and it is in use elsewhere");
                checker
                    .find("at_hand", Class::Value, format!("page frame {pfn:#x}"), page, text)
                    .start(page)
                    .confidence(Confidence::Likely);
            }
            if let Some(frame) = frames.get_mut(pfn) {
                frame.list();
            }
        }
    }
    if whole && listed != of.count {
        let field = &kernel.shapes().per_cpu_pages.count;
        let at = field.address(of.address).unwrap_or(of.address);
        let text = "the counter of frames at hand is not their number on the lists";
        checker
            .find("at_hand_count", Class::Counter, format!("frames {title}"), at, text)
            .start(of.address)
            .values(listed, of.count)
            .confidence(if listed.abs_diff(of.count) <= BATCH {
                Confidence::Possible
            } else {
                Confidence::Certain
            });
    }
    checker.count("frames at hand", listed);
}
