//! What a cache keeps around and in its objects to find those who write where they must not
//! (slub_debug; mm/slub.c): red zones, poison, padding, and who allocated and freed an object.

use super::{cache::Cache, slab::Slab};
use crate::{Kernel, error::Result, shape::Constant};

/// SLAB_RED_ZONE and others, where no enum tells their numbers (include/linux/slab.h until 6.8).
const RED_ZONE: u64 = 0x400;
const POISON: u64 = 0x800;
const KMALLOC: u64 = 0x1000;
const STORE_USER: u64 = 0x1_0000;
const OBJECT_POISON: u64 = 0x8000_0000;

/// Bytes that mark (include/linux/poison.h).
const RED_INACTIVE: u8 = 0xbb;
const RED_ACTIVE: u8 = 0xcc;
const POISON_INUSE: u8 = 0x5a;
const POISON_FREE: u8 = 0x6b;
const POISON_END: u8 = 0xa5;

/// How the objects of a cache are guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// Red zones lie on both sides of the user's bytes.
    pub red_zone: bool,
    /// What nobody uses is filled.
    pub poison: bool,
    /// Free objects are filled.
    pub free_poison: bool,
    /// Bytes into an object at which it is told who allocated and who freed it.
    pub tracks: Option<u64>,
    /// And how many bytes its user asked for, behind that.
    pub requested: Option<u64>,
    /// Bytes into an object from which on it is padding.
    end: u64,
}

/// What a zone of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneKind {
    /// Before the user's bytes.
    LeftRedZone,
    /// Behind them.
    RightRedZone,
    /// Behind the bytes that the user of a kmalloc cache asked for.
    UnusedRest,
    /// Free memory.
    Free,
    /// Between the user's bytes and the next word.
    Alignment,
    /// Behind everything.
    Padding,
}

impl ZoneKind {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            ZoneKind::LeftRedZone => "the red zone before the object",
            ZoneKind::RightRedZone => "the red zone behind the object",
            ZoneKind::UnusedRest => "the rest of the object that was not asked for",
            ZoneKind::Free => "the poison of a free object",
            ZoneKind::Alignment => "the padding behind the object",
            ZoneKind::Padding => "the padding behind the object's records",
        }
    }
}

/// Bytes that nobody may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// What it is.
    pub kind: ZoneKind,
    /// Its first byte, a virtual address.
    pub start: u64,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Who allocated or freed an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Its own address.
    pub address: u64,
    /// The code that did, an address.
    pub by: u64,
    /// The CPU; `None` where it is not recorded.
    pub cpu: Option<u32>,
    /// The thread.
    pub pid: u64,
    /// How long before the end, in ns; `None` where the clocks are not known.
    pub ago_ns: Option<u64>,
    /// Where from: addresses of code, the innermost first.
    pub stack: Vec<u64>,
}

/// Which of an object's two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The last allocation.
    Allocated,
    /// The last time that it was freed.
    Freed,
}

/// Frames of a stack that are believed.
const MAX_FRAMES: u64 = 256;

impl Kernel {
    /// How the objects of a cache are guarded; `None` when they are not.
    pub fn slab_guards(&self, cache: &Cache) -> Option<Guards> {
        let (flags, shapes) = (&self.shapes().slab_flags, self.shapes());
        let set = |bit: &Constant, fixed: u64| {
            let mask = bit.index().ok().and_then(|bit| 1u64.checked_shl(bit as u32));
            cache.flags & mask.unwrap_or(fixed) != 0
        };
        let red_zone = set(&flags.red_zone, RED_ZONE);
        let poison = set(&flags.poison, POISON);
        let store_user = set(&flags.store_user, STORE_USER);
        if !red_zone && !poison && !store_user {
            return None;
        }
        let pointer = shapes.kmem_cache.free_pointer.read(self.target(), cache.address).ok()?;
        let word = u64::from(self.target().pointer_size());
        let mut end = if pointer >= cache.inuse { cache.inuse + word } else { cache.inuse };
        let track = shapes.slab_track.sizeof().ok();
        let tracks = track.filter(|_| store_user).map(|_| end);
        let mut requested = None;
        if store_user {
            end += 2 * track?;
            if set(&flags.kmalloc, KMALLOC) {
                requested = Some(end);
                end += 8;
            }
        }
        let free_poison = poison && set(&flags.object_poison, OBJECT_POISON);
        Some(Guards { red_zone, poison, free_poison, tracks, requested, end })
    }

    /// The bytes of an object that nobody may write, as long as it is allocated, or free.
    pub fn guarded_zones(
        &self,
        cache: &Cache,
        guards: &Guards,
        object: u64,
        allocated: bool,
    ) -> Vec<Zone> {
        let mut zones = Vec::new();
        let mut zone = |kind, start: u64, len: u64, byte: u8| {
            // A cache's sizes were checked, but not against each other.
            if len > 0 && len <= cache.stride {
                zones.push(Zone { kind, start, bytes: vec![byte; len as usize] });
            }
        };
        let (size, inuse) = (cache.object_size, cache.inuse);
        let behind = inuse.saturating_sub(size);
        if guards.red_zone {
            let red = if allocated { RED_ACTIVE } else { RED_INACTIVE };
            let left = object.wrapping_sub(cache.left_pad);
            zone(ZoneKind::LeftRedZone, left, cache.left_pad, red);
            zone(ZoneKind::RightRedZone, object.wrapping_add(size), behind, red);
            let asked = guards
                .requested
                .filter(|_| allocated)
                .and_then(|at| self.target().read_u32(object.wrapping_add(at)).ok().map(u64::from));
            if let Some(asked) = asked.filter(|asked| (1..size).contains(asked)) {
                zone(ZoneKind::UnusedRest, object.wrapping_add(asked), size - asked, red);
            }
        } else if guards.poison {
            zone(ZoneKind::Alignment, object.wrapping_add(size), behind, POISON_INUSE);
        }
        if guards.poison {
            let rest = cache.stride.saturating_sub(cache.left_pad).saturating_sub(guards.end);
            zone(ZoneKind::Padding, object.wrapping_add(guards.end), rest, POISON_INUSE);
        }
        if guards.free_poison && !allocated {
            zone(ZoneKind::Free, object, size, POISON_FREE);
            let own = zones.last_mut().filter(|zone| matches!(zone.kind, ZoneKind::Free));
            if let Some(last) = own.and_then(|zone| zone.bytes.last_mut()) {
                *last = POISON_END;
            }
        }
        zones
    }

    /// Why a record is not believed, and the value that tells: it was written over.
    pub fn track_doubt(&self, track: &Track) -> Option<(String, u64)> {
        // The code that initialised a module is gone, so that the area counts, not what is there.
        let code = self.target().architecture().kernel_start().min(self.target().modules_base());
        if track.by < code {
            return Some((format!("{:x}, which is no code", track.by), track.by));
        }
        let cpu = track.cpu.filter(|cpu| !self.possible_cpus().contains(cpu))?;
        Some((format!("CPU {cpu}"), cpu.into()))
    }

    /// Who allocated, or last freed, an object; `None` when nobody did, or it was not kept.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn slab_track(&self, cache: &Cache, object: u64, event: Event) -> Result<Option<Track>> {
        if let Some(found) = self.kfence_object(object) {
            return self.kfence_track(&found, event);
        }
        let shape = &self.shapes().slab_track;
        let Some(first) = self.slab_guards(cache).and_then(|guards| guards.tracks) else {
            return Ok(None);
        };
        let second = if event == Event::Freed { shape.sizeof()? } else { 0 };
        let track = shape.at(self.target(), object.wrapping_add(first + second));
        let by = track.addr()?;
        if by == 0 {
            return Ok(None);
        }
        let stack = if shape.addrs.exists() {
            let count = (shape.addrs.size()? / 8).min(MAX_FRAMES);
            let mut stack = self.frames(shape.addrs.address(track.address)?, count);
            stack.truncate(stack.iter().position(|at| *at == 0).unwrap_or(stack.len()));
            stack
        } else {
            track.handle().ok().and_then(|handle| self.depot_stack(handle)).unwrap_or_default()
        };
        let when = track.when()?;
        // The record's word may be shorter than the clock's.
        let ago_ns = self.jiffies().ok().zip(self.hz().ok()).map(|(now, hz)| {
            let ticks = u64::from((now as u32).wrapping_sub(when as u32));
            ticks.saturating_mul(1_000_000_000) / hz.max(1)
        });
        Ok(Some(Track {
            address: track.address,
            by,
            cpu: Some(track.cpu()? as u32),
            pid: track.pid()?,
            ago_ns,
            stack,
        }))
    }

    pub(super) fn frames(&self, first: u64, count: u64) -> Vec<u64> {
        let frame = |number: u64| self.target().read_pointer_at(first, number).ok();
        (0..count).map_while(frame).collect()
    }

    /// The stack that the stack depot (lib/stackdepot.c) keeps under a handle.
    fn depot_stack(&self, handle: u64) -> Option<Vec<u64>> {
        /// Stacks begin at multiples of this.
        const ALIGN: u64 = 16;
        let (shapes, target) = (self.shapes(), self.target());
        let bytes = handle.to_le_bytes();
        let number = shapes.stack_handle.pool.decode(&bytes).ok()?;
        let from = u64::from(shapes.stack_handle.pool.name()?.member == "pool_index_plus_1");
        let number = number.checked_sub(from)?;
        let offset = shapes.stack_handle.offset.decode(&bytes).ok()?;
        let table = shapes.slab_variables.stack_pools.address().ok()?;
        // The table itself, or a pointer to it: the right one leads to the handle again.
        let tables = [Some(table), target.read_pointer(table).ok()];
        tables.into_iter().flatten().find_map(|table| {
            let pool = target.read_pointer_at(table, number).ok()?;
            let record = shapes.stack_record.at(target, pool.wrapping_add(offset * ALIGN));
            if record.handle().ok()? as u32 != handle as u32 {
                return None;
            }
            let count = record.size().ok()?.min(MAX_FRAMES);
            Some(self.frames(record.address_of(|record| &record.entries).ok()?, count))
        })
    }

    /// The rest of a slab behind its last object, which is filled too.
    pub fn guarded_rest(&self, cache: &Cache, guards: &Guards, slab: &Slab) -> Option<Zone> {
        if !guards.poison {
            return None;
        }
        let bytes = self.target().page_size() << cache.order_of(slab.objects);
        let used = slab.objects.checked_mul(cache.stride)?;
        let rest = bytes.checked_sub(used).filter(|rest| *rest > 0 && *rest < cache.stride)?;
        let start = slab.start.wrapping_add(used);
        let bytes = vec![POISON_INUSE; rest as usize];
        Some(Zone { kind: ZoneKind::Padding, start, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_the_kernel() {
        for (byte, name) in [
            (RED_INACTIVE, "SLUB_RED_INACTIVE"),
            (POISON_INUSE, "POISON_INUSE"),
            (POISON_FREE, "POISON_FREE"),
        ] {
            let word = u64::from_le_bytes([byte; 8]);
            let poison = necropsy_lexicon::value::poison(word, true);
            assert_eq!(poison.map(|poison| poison.name), Some(name));
        }
    }
}
