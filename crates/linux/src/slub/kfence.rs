//! KFENCE (mm/kfence/core.c): a sample of the objects of all caches, each on a page of its own between
//! pages that nobody may touch, with who allocated and who freed it. These pages count as slabs, but
//! no cache knows them.

use std::sync::OnceLock;

use super::{Event, Keeper, Object, ObjectState, Role, Slab, Track};
use necropsy_machine::scope::Scope;

use crate::{Kernel, error::Result};

/// An object that KFENCE keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KfenceObject {
    /// Its `struct kfence_metadata`.
    pub metadata: u64,
    /// The first byte of its page.
    pub page: u64,
    /// Its first byte, somewhere on that page.
    pub address: u64,
    /// Bytes that were asked for.
    pub size: u64,
    /// Its cache's `kmem_cache`.
    pub cache: u64,
    /// Whether it is allocated, or was and is free.
    pub allocated: bool,
}

#[derive(Debug, Default)]
struct Known(OnceLock<Option<Pool>>);

/// Two pages that nobody may touch, and for each object its page and another such.
#[derive(Debug, Clone, Copy)]
struct Pool {
    start: u64,
    metadata: u64,
    stride: u64,
    objects: u64,
    page_size: u64,
}

/// CONFIG_KFENCE_NUM_OBJECTS is less.
const MOST_OBJECTS: u64 = 1 << 16;
/// Frames of a stack that are believed.
const MOST_FRAMES: u64 = 64;

/// Whether a function is one of KFENCE, or of the allocator that calls it.
fn is_allocator(function: &str) -> bool {
    let name = function.trim_start_matches('_');
    ["kfence_", "kmem_cache_", "kmalloc", "kfree", "kvmalloc", "kvfree", "krealloc", "slab_"]
        .iter()
        .any(|start| name.starts_with(start))
}

impl Pool {
    /// The page of an object, by its number.
    fn page(&self, number: u64) -> u64 {
        self.start.wrapping_add((2 * number + 2) * self.page_size)
    }

    fn number_of(&self, address: u64) -> Option<u64> {
        let page = address.checked_sub(self.start)? / self.page_size;
        let number = page.checked_sub(2)? / 2;
        (page.is_multiple_of(2) && number < self.objects).then_some(number)
    }
}

impl Kernel {
    /// The pool, as far as it describes itself as one.
    fn kfence_pool(&self) -> Option<&Pool> {
        let find = || {
            let (shapes, target) = (self.shapes(), self.target());
            let variables = &shapes.kfence_variables;
            let start = target.read_pointer(variables.pool.address().ok()?).ok()?;
            let table = variables.metadata.address().ok()?;
            let stride = shapes.kfence_metadata.sizeof().ok()?.max(1);
            let page_size = target.page_size();
            let found = |metadata| Pool { start, metadata, stride, objects: 0, page_size };
            let leads_to_its_page = |pool: &Pool, number: u64| {
                let at = pool.metadata.wrapping_add(number * stride);
                let address = shapes.kfence_metadata.addr.read(target, at).unwrap_or(0);
                address & !(page_size - 1) == pool.page(number)
            };
            if start == 0 {
                return None;
            }
            // The table itself, until 6.5, or a pointer to it: the right one leads to the pool.
            let tables = [Some(table), target.read_pointer(table).ok()];
            let mut pools = tables.into_iter().flatten().map(found);
            let mut pool = pools.find(|pool| leads_to_its_page(pool, 0))?;
            pool.objects = (1..MOST_OBJECTS)
                .find(|number| !leads_to_its_page(&pool, *number))
                .unwrap_or(MOST_OBJECTS);
            Some(pool)
        };
        self.memo::<Known>().0.get_or_init(find).as_ref()
    }

    /// Whether an address of the map of all memory lies in KFENCE's pages.
    pub(crate) fn is_kfence(&self, address: u64) -> bool {
        self.kfence_pool()
            .is_some_and(|pool| (pool.start..pool.page(pool.objects)).contains(&address))
    }

    /// The objects that KFENCE keeps, allocated and free.
    pub fn kfence_objects(&self) -> impl Iterator<Item = KfenceObject> + '_ {
        let pool = self.kfence_pool();
        pool.into_iter().flat_map(move |pool| {
            (0..pool.objects).filter_map(move |number| self.kfence_number(pool, number))
        })
    }

    /// The object on whose page an address lies.
    pub fn kfence_object(&self, address: u64) -> Option<KfenceObject> {
        let pool = self.kfence_pool()?;
        self.kfence_number(pool, pool.number_of(address)?)
    }

    fn kfence_number(&self, pool: &Pool, number: u64) -> Option<KfenceObject> {
        let (shapes, target) = (self.shapes(), self.target());
        let at = pool.metadata.wrapping_add(number * pool.stride);
        let metadata = shapes.kfence_metadata.at(target, at);
        let state = metadata.state().ok()?;
        let states = &shapes.kfence_states;
        // What waits for a grace period is in use until that is over.
        let allocated = [&states.allocated, &states.being_freed]
            .into_iter()
            .any(|of| of.index().is_ok_and(|of| of == state));
        if !allocated && states.freed.index().ok()? != state {
            return None;
        }
        let (address, size) = (metadata.addr().ok()?, metadata.size().ok()?);
        let (page, cache) = (pool.page(number), metadata.cache().ok()?);
        let on_its_page = address.wrapping_sub(page).checked_add(size)? <= pool.page_size;
        on_its_page.then_some(KfenceObject { metadata: at, page, address, size, cache, allocated })
    }

    /// An address on an object's page, as [`Kernel::slab_object`] tells it.
    pub(super) fn object_of_kfence(&self, found: KfenceObject, address: u64) -> Result<Object> {
        let target = self.target();
        // A page of a free object is not mapped.
        let physical = target.layout().and_then(|layout| layout.linear(found.page));
        let physical = physical.map_or_else(|| target.translate(found.page), Ok)?;
        let slab: Slab = self.slab_of_page(self.page_of(physical >> target.page_shift())?)?;
        let state = match found.allocated {
            true => ObjectState::Allocated,
            false => ObjectState::Free(Some(Keeper::Kfence)),
        };
        Ok(Object {
            cache: self.known_cache(found.cache)?,
            slab,
            address: Some(found.address),
            offset: address.wrapping_sub(found.address) as i64,
            state,
            role: Some(Role::Kfence),
        })
    }

    /// Who allocated, or freed, an object that KFENCE keeps.
    ///
    /// # Errors
    /// The record cannot be read.
    pub(super) fn kfence_track(
        &self,
        object: &KfenceObject,
        event: Event,
    ) -> Result<Option<Track>> {
        let shapes = self.shapes();
        let of = match event {
            Event::Allocated => &shapes.kfence_metadata.allocated_by,
            Event::Freed => &shapes.kfence_metadata.freed_by,
        };
        if event == Event::Freed && object.allocated {
            return Ok(None);
        }
        let track = shapes.kfence_track.at(self.target(), of.address(object.metadata)?);
        let count = track.count()?.min(MOST_FRAMES);
        let stack = self.frames(track.address_of(|track| &track.entries)?, count);
        // The record begins within the allocator.
        let inside = |at: &&u64| self.symbolize(**at).is_some_and(|(name, _)| is_allocator(&name));
        let caller = stack.iter().find(|at| !inside(at)).or(stack.first());
        let Some(by) = caller.copied() else { return Ok(None) };
        let now = self.online_cpus().into_iter().filter_map(|cpu| self.rq_clock(cpu).ok()).max();
        let ago_ns = now.zip(track.time_ns().ok()).and_then(|(now, then)| now.checked_sub(then));
        Ok(Some(Track {
            address: track.address,
            by,
            // An older kernel does not tell it.
            cpu: track.cpu().ok().map(|cpu| cpu as u32),
            pid: track.pid()?,
            ago_ns,
            stack,
        }))
    }
}
