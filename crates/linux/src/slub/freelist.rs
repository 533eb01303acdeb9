//! Walks along free lists.

use necropsy_dump::{Fault, Reason};

use super::{cache::Cache, slab::Slab};
use crate::Kernel;

/// What is wrong with a free list, and ended the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The pointer in the free object cannot be read.
    Unreadable(u64, Fault),
    /// The pointer in a free object (0: the head of the list) leads to no object of the slab: the
    /// object, what is stored, what that means.
    Stray(u64, u64, u64),
    /// An object is met twice: the object, and the one that led to it.
    Twice(u64, u64),
}

/// The free objects that a list leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreeList {
    /// One bit for each object of the slab.
    bits: Vec<u64>,
    /// How many.
    pub count: u64,
    /// What ended the walk before its end.
    pub flaw: Option<Flaw>,
}

impl FreeList {
    /// Of a slab of so many objects, none of them free.
    pub(super) fn none(objects: u64) -> FreeList {
        // A slab's count of objects has 15 bits.
        let words = objects.min(0x7fff).div_ceil(64) as usize;
        FreeList { bits: vec![0; words], count: 0, flaw: None }
    }

    /// Whether the object of that number is free.
    pub fn has(&self, number: u64) -> bool {
        self.bits.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Marks an object; false when it was marked.
    pub(super) fn mark(&mut self, number: u64) -> bool {
        let Some(word) = self.bits.get_mut((number / 64) as usize) else { return false };
        let bit = 1u64 << (number % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        new
    }
}

impl Kernel {
    /// The free objects on the list that begins at `first` in `slab`.
    pub(super) fn free_list(&self, cache: &Cache, slab: &Slab, first: u64) -> FreeList {
        let mut list = FreeList::none(slab.objects);
        let pointers = match self.pointers_of(cache) {
            Ok(pointers) => pointers,
            Err(error) => {
                let unknown = Fault::kernel(cache.address, Reason::BadAddress);
                let fault = error.fault().copied().unwrap_or(unknown);
                list.flaw = (first != 0).then_some(Flaw::Unreadable(first, fault));
                return list;
            }
        };
        let (mut object, mut from, mut stored) = (first, 0, first);
        while object != 0 {
            let Some(number) = cache.number_of(slab, object) else {
                list.flaw = Some(Flaw::Stray(from, stored, object));
                break;
            };
            if !list.mark(number) {
                list.flaw = Some(Flaw::Twice(object, from));
                break;
            }
            match self.free_pointer(&pointers, object) {
                Ok((raw, next)) => (from, stored, object) = (object, raw, next),
                Err(fault) => {
                    list.flaw = Some(Flaw::Unreadable(object, fault));
                    break;
                }
            }
        }
        list
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Flaw::Unreadable(object, fault) => {
                write!(f, "the free pointer of object {object:x} cannot be read: {fault}")
            }
            Flaw::Stray(0, stored, _) => {
                write!(f, "the free list begins at {stored:x}, which is no object of the slab")
            }
            Flaw::Stray(object, stored, means) if stored == means => {
                write!(
                    f,
                    "the free pointer of object {object:x}, {stored:x}, is no object of the slab"
                )
            }
            Flaw::Stray(object, stored, means) => write!(
                f,
                "the free pointer of object {object:x}, stored as {stored:x}, means {means:x}: no object of the slab"
            ),
            Flaw::Twice(object, from) => {
                write!(f, "object {object:x} is on the free list twice, again behind {from:x}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_marked_once_and_within_its_slab() {
        let mut list = FreeList::none(70);
        assert!(list.mark(0) && list.mark(69) && !list.mark(69));
        assert!(list.has(69) && !list.has(1) && !list.has(1 << 40));
        assert!(!list.mark(1 << 40), "no such object");
        assert_eq!(list.count, 2);
        let hostile = FreeList::none(u64::MAX);
        assert!(hostile.bits.len() <= 512, "a slab's count has 15 bits");
    }
}
