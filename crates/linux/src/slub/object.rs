//! Objects: which are allocated.

use std::sync::Arc;

use super::{
    cache::Cache,
    freelist::FreeList,
    held::{Held, Keeper, Role},
    slab::Slab,
};
use crate::{Kernel, error::Result};

/// Whether an object is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectState {
    /// It is.
    Allocated,
    /// It is free: on its slab's list, or kept by someone.
    Free(Option<Keeper>),
    /// The free list cannot be followed to its end.
    Unknown,
}

impl ObjectState {
    /// Whether it is allocated, `None` when that cannot be known.
    pub fn allocated(self) -> Option<bool> {
        match self {
            ObjectState::Allocated => Some(true),
            ObjectState::Free(_) => Some(false),
            ObjectState::Unknown => None,
        }
    }
}

/// An object of a cache, or the place in a slab that an address is.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its cache.
    pub cache: Arc<Cache>,
    /// Its slab.
    pub slab: Slab,
    /// Its first byte; `None` for what is before the first object or behind the last.
    pub address: Option<u64>,
    /// Bytes from there to the address that was asked for: negative in the red zone before it.
    pub offset: i64,
    /// Whether it is in use.
    pub state: ObjectState,
    /// Whose the slab is; `None`: it is full.
    pub role: Option<Role>,
}

/// A cache, or a slab, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Slabs.
    pub slabs: u64,
    /// Objects that there is room for.
    pub total: u64,
    /// Of them, those that are allocated; with those of which it cannot be known.
    pub allocated: u64,
    /// Of them, those of which it cannot be known.
    pub unknown: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.slabs += other.slabs;
        self.total += other.total;
        self.allocated += other.allocated;
        self.unknown += other.unknown;
    }
}

/// The state of every object of a slab.
#[derive(Debug, Clone)]
pub struct States {
    pub(super) free: FreeList,
    /// The objects that are kept elsewhere than on the slab's list.
    pub(super) kept: FreeList,
    /// Whether all that is free is known.
    pub(super) complete: bool,
}

impl States {
    /// Of the object of that number, at `object`.
    pub fn of(&self, number: u64, object: u64, held: &Held) -> ObjectState {
        if self.kept.has(number) {
            ObjectState::Free(held.objects.get(&object).copied())
        } else if self.free.has(number) {
            ObjectState::Free(None)
        } else if self.complete {
            ObjectState::Allocated
        } else {
            ObjectState::Unknown
        }
    }

    /// What is wrong with the slab's free list.
    pub fn flaw(&self) -> Option<super::Flaw> {
        self.free.flaw
    }

    /// How many objects are on the slab's free list.
    pub fn listed(&self) -> u64 {
        self.free.count
    }

    /// Objects that are on the slab's list and kept elsewhere too.
    pub fn both(&self, slab: &Slab) -> impl Iterator<Item = u64> {
        (0..slab.objects).filter(|number| self.free.has(*number) && self.kept.has(*number))
    }
}

impl Kernel {
    /// The state of every object of a slab.
    pub fn slab_states(&self, cache: &Cache, slab: &Slab, held: &Held) -> States {
        let free = self.free_list(cache, slab, slab.freelist);
        let mut kept = FreeList::none(slab.objects);
        if !held.objects.is_empty() {
            for number in 0..slab.objects.min(0x7fff) {
                if held.objects.contains_key(&cache.nth(slab, number)) {
                    kept.mark(number);
                }
            }
        }
        // A list that breaks off behind its last object has told everything.
        let expected = slab.objects.saturating_sub(slab.inuse);
        let complete = free.flaw.is_none() || free.count >= expected;
        let complete = complete && !held.incomplete && !held.incomplete_slabs.contains(&slab.page);
        States { free, kept, complete }
    }

    /// A slab, counted.
    pub fn slab_counts(&self, cache: &Cache, slab: &Slab, held: &Held) -> Counts {
        let states = self.slab_states(cache, slab, held);
        let mut free = states.free.count + states.kept.count;
        free -= states.both(slab).count() as u64;
        let expected = slab.objects.saturating_sub(slab.inuse);
        let total = slab.objects;
        let unknown = match states.complete {
            true => 0,
            false if held.incomplete || held.incomplete_slabs.contains(&slab.page) => {
                total.saturating_sub(free)
            }
            false => expected.saturating_sub(states.free.count),
        };
        Counts { slabs: 1, total, allocated: total.saturating_sub(free), unknown }
    }

    /// The object that an address of the map of all memory lies in; `None` when it is in no slab.
    ///
    /// # Errors
    /// The page or the cache cannot be read.
    pub fn slab_object(&self, address: u64) -> Result<Option<Object>> {
        if let Some(found) = self.kfence_object(address) {
            return self.object_of_kfence(found, address).map(Some);
        }
        let Some(slab) = self.slab_at(address)? else { return Ok(None) };
        let cache = self.known_cache(slab.cache)?;
        let held = self.held_of(&cache);
        let role = held.slabs.get(&slab.page).copied();
        let Some((object, number)) = cache.object_at(&slab, address) else {
            let (address, offset) = (None, address.wrapping_sub(slab.start) as i64);
            let state = ObjectState::Unknown;
            return Ok(Some(Object { cache, slab, address, offset, state, role }));
        };
        let state = match held.objects.get(&object) {
            Some(keeper) => ObjectState::Free(Some(*keeper)),
            None => self.slab_states(&cache, &slab, &held).of(number, object, &held),
        };
        let offset = address.wrapping_sub(object) as i64;
        Ok(Some(Object { cache, slab, address: Some(object), offset, state, role }))
    }
}
