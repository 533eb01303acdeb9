//! Hash chains (include/linux/list.h, list_bl.h, list_nulls.h): a head of one pointer, and nodes
//! of `next` and `pprev`.

use crate::{list::Chain, memory::Memory};

/// Walks the `struct hlist_head` at `head`, yielding the address of each `hlist_node`. Errors are
/// those of [`list`](crate::list::list).
pub fn hlist<M: Memory>(memory: &M, head: u64) -> Chain<'_, M> {
    Chain::behind(memory, head)
}

/// As [`hlist`], for `struct hlist_bl_head`, whose lowest bit is a lock.
pub fn hlist_bl<M: Memory>(memory: &M, head: u64) -> Chain<'_, M> {
    Chain::behind(memory, head).marked(|pointer| pointer & !1 == 0, |pointer| pointer & !1)
}

/// As [`hlist`], for `struct hlist_nulls_head`, whose chains end in an odd number.
pub fn hlist_nulls<M: Memory>(memory: &M, head: u64) -> Chain<'_, M> {
    Chain::behind(memory, head).marked(|pointer| pointer & 1 == 1, |pointer| pointer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fake::Words;

    #[test]
    fn each_kind_ends_in_its_own_way() {
        let mut memory = Words::default();
        memory.put(0x100, &[0x1000]);
        memory.put(0x200, &[0x1001]);
        memory.put(0x1000, &[0x2000, 0x100]);
        memory.put(0x2000, &[0, 0x1000]);
        let plain: Vec<u64> = hlist(&memory, 0x100).checked().map(Result::unwrap).collect();
        assert_eq!(plain, [0x1000, 0x2000]);
        let locked: Vec<u64> = hlist_bl(&memory, 0x200).map(Result::unwrap).collect();
        assert_eq!(locked, [0x1000, 0x2000]);
        memory.put(0x2000, &[0x17]);
        let nulls: Vec<u64> = hlist_nulls(&memory, 0x100).map(Result::unwrap).collect();
        assert_eq!(nulls, [0x1000, 0x2000]);
        memory.put(0x2000, &[0]);
        assert!(hlist_nulls(&memory, 0x100).last().unwrap().is_err(), "NULL ends no nulls chain");
    }

    #[test]
    fn a_node_that_was_deleted_under_the_walk_is_told() {
        let mut memory = Words::default();
        memory.put(0x100, &[0x1000]);
        memory.put(0x1000, &[0xdead_0000_0000_0100, 0xdead_0000_0000_0122]);
        let last = hlist(&memory, 0x100).last().unwrap().unwrap_err().to_string();
        assert!(last.contains("LIST_POISON1"), "{last}");
    }
}
