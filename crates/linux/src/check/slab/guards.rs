//! What lies in and around objects and nobody may write.

use super::{
    super::{Checker, Class, Confidence},
    object_title, title,
};
use crate::slub::{Cache, Event, Guards, Held, Slab, Zone, ZoneKind};

pub(super) fn check(
    checker: &mut Checker<'_>,
    cache: &Cache,
    guards: &Guards,
    slab: &Slab,
    held: &Held,
) {
    let kernel = checker.kernel;
    let states = kernel.slab_states(cache, slab, held);
    for number in 0..slab.objects.min(0x7fff) {
        let object = cache.nth(slab, number);
        let allocated = states.of(number, object, held).allocated();
        // What the lists say comes first, but an object on its way in or out is on none, or still on
        // one: what has fewer wrong bytes counts.
        let known = allocated.unwrap_or(true);
        let zones = [known, !known]
            .map(|allocated| kernel.guarded_zones(cache, guards, object, allocated))
            .into_iter()
            .min_by_key(|zones| zones.iter().map(|zone| wrong(checker, zone)).sum::<usize>())
            .unwrap_or_default();
        for zone in zones {
            check_zone(checker, cache, &object_title(cache, object), object, &zone);
        }
        tracks(checker, cache, object);
    }
    if let Some(rest) = kernel.guarded_rest(cache, guards, slab) {
        check_zone(checker, cache, &title(cache, slab), slab.start, &rest);
    }
    checker.count("guarded objects", slab.objects);
}

/// How many bytes of a zone are not what they should be.
fn wrong(checker: &Checker<'_>, zone: &Zone) -> usize {
    let found = checker.kernel.target().read_bytes(zone.start, zone.bytes.len() as u64);
    found.map_or(0, |found| found.iter().zip(&zone.bytes).filter(|(a, b)| a != b).count())
}

fn check_zone(checker: &mut Checker<'_>, cache: &Cache, name: &str, object: u64, zone: &Zone) {
    let kernel = checker.kernel;
    let found = match kernel.target().read_bytes(zone.start, zone.bytes.len() as u64) {
        Ok(found) => found,
        Err(fault) => return checker.unread("guarded zones", 1, Some(&fault.into())),
    };
    let mut differ = found.iter().zip(&zone.bytes).enumerate().filter(|(_, (a, b))| a != b);
    let Some((first, _)) = differ.next() else { return };
    let last = differ.next_back().map_or(first, |(at, _)| at);
    let class = match zone.kind {
        ZoneKind::Free => Class::WriteAfterFree,
        _ => Class::Overrun,
    };
    let mut text = format!("{}: {} bytes were overwritten", zone.kind.title(), last - first + 1);
    if let Some(owner) = owner(checker, cache, object) {
        text.push_str(&owner);
    }
    let (expected, found) = (zone.bytes.get(first..), found.get(first..));
    let (Some(expected), Some(found)) = (expected, found) else { return };
    let at = zone.start.wrapping_add(first as u64);
    checker.find(check_name(zone.kind), class, name, at, text).start(object).bytes(expected, found);
}

fn check_name(kind: ZoneKind) -> &'static str {
    match kind {
        ZoneKind::LeftRedZone | ZoneKind::RightRedZone | ZoneKind::UnusedRest => "red_zone",
        ZoneKind::Free => "poison",
        ZoneKind::Alignment | ZoneKind::Padding => "padding",
    }
}

/// `; allocated by f+0x12, pid 12, CPU 1`
pub(super) fn owner(checker: &Checker<'_>, cache: &Cache, object: u64) -> Option<String> {
    use necropsy_machine::scope::Scope;
    let kernel = checker.kernel;
    let track = kernel.slab_track(cache, object, Event::Allocated).ok()??;
    let (name, offset) = kernel.symbolize(track.by)?;
    let cpu = track.cpu.map_or(String::new(), |cpu| format!(", CPU {cpu}"));
    Some(format!("; last allocated by {name}+{offset:#x}, pid {}{cpu}", track.pid))
}

/// Records of owners name code, and CPUs that there are.
fn tracks(checker: &mut Checker<'_>, cache: &Cache, object: u64) {
    let kernel = checker.kernel;
    for event in [Event::Allocated, Event::Freed] {
        let Ok(Some(track)) = kernel.slab_track(cache, object, event) else { continue };
        let which = match event {
            Event::Allocated => "allocated",
            Event::Freed => "freed",
        };
        let Some((names, value)) = kernel.track_doubt(&track) else { continue };
        let text = format!("the record of who {which} it names {names}");
        checker
            .find("owner", Class::Value, object_title(cache, object), track.address, text)
            .start(object)
            .found(value)
            .confidence(Confidence::Likely);
    }
}
