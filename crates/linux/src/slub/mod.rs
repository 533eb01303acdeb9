//! SLUB, the allocator of kernel objects (mm/slub.c), in all its layouts.
//!
//! Where an object is free is told by five places: the slab's own free list; until 6.19 the free
//! list of a CPU's slab and those of the slabs that a CPU holds back; from 6.18 on the sheaves of
//! each CPU and those in a memory node's barn. Full slabs are on no list, so that all slabs are
//! found by one pass over the `struct page`s ([`Kernel::slabs`]).
//!
//! [`Kernel::slabs`]: crate::Kernel::slabs

mod aliases;
mod cache;
mod debug;
mod freelist;
mod held;
mod index;
mod kfence;
mod object;
mod pointer;
mod slab;

pub use cache::Cache;
pub use debug::{Event, Guards, Track, Zone, ZoneKind};
pub use freelist::{Flaw, FreeList};
pub use held::{Barn, Held, Keeper, Node, Role, Sheaf};
pub use index::Slabs;
pub use kfence::KfenceObject;
pub use object::{Counts, Object, ObjectState, States};
pub use pointer::Mangling;
pub use slab::Slab;
