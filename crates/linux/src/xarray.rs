//! XArray (include/linux/xarray.h), and what is built on it: the page cache, IDR and IDA, and the
//! radix tree, which had nodes of its own until 4.19 (include/linux/radix-tree.h).

use std::collections::HashSet;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    memory::Memory,
    path::Path,
};

/// Slots of the largest node; a type that says more is not believed.
const MAX_SLOTS: u64 = 64;
/// Deepest tree: 64 index bits in steps of 4.
const MAX_DEPTH: usize = 16;
/// The most nodes that a walk visits.
const MAX_NODES: usize = 50_000_000;

/// Reserved and not yet used: an internal entry of 257 (include/linux/xarray.h).
pub(crate) const XA_ZERO_ENTRY: u64 = 257 << 2 | 2;

/// Where the members of a tree's root and nodes lie, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The pointer in the root.
    pub head: u64,
    shift: u64,
    offset: u64,
    count: u64,
    parent: u64,
    slots: u64,
    /// Slots of a node: 64, or 16 on small machines.
    slot_count: u64,
    /// The low two bits of an entry that leads to a node.
    internal: u64,
}

impl Layout {
    /// As this kernel's types have it.
    ///
    /// # Errors
    /// When it has neither kind of tree.
    pub fn of(kernel: &Kernel) -> Result<Layout> {
        let shapes = kernel.shapes();
        let node = &shapes.xa_node;
        Ok(Layout {
            head: shapes.xarray.head.offset()?,
            shift: node.shift.offset()?,
            offset: node.offset.offset()?,
            count: node.count.offset()?,
            parent: node.parent.offset()?,
            slots: node.slots.offset()?,
            slot_count: (node.slots.size()? / kernel.target().word_size()).min(MAX_SLOTS),
            internal: if node.structure.tag() == "xa_node" { 2 } else { 1 },
        })
    }

    /// The marked reference to a node, from itself or from the node's bare address.
    pub fn reference(&self, node: u64) -> u64 {
        if node & 3 == 0 { node | self.internal } else { node }
    }

    /// The address of the node that an entry leads to. Small numbers with the same mark say
    /// "same as slot n", "retry" or "reserved".
    fn node(&self, entry: u64) -> Option<u64> {
        (entry & 3 == self.internal && entry > 4096).then_some(entry & !3)
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A pointer, in whose low bits its owner may keep a mark.
    Pointer,
    /// An integer, stored as `value << 1 | 1`: in the page cache, the shadow of an evicted page.
    Value(u64),
    /// Reserved and not yet used (`XA_ZERO_ENTRY`); its owner sees nothing there.
    Reserved,
}

/// An entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The first index that it stands at.
    pub index: u64,
    /// How many indexes it stands at: more than one for a large folio. 0 is all of them.
    pub span: u64,
    /// As stored.
    pub raw: u64,
    /// What it is.
    pub kind: Kind,
    /// The node that holds it, `None` for a single entry in the root.
    pub node: Option<u64>,
    /// How it is reached.
    pub path: Path,
}

/// Walks the tree whose root (`struct xarray`, `struct radix_tree_root`) is at `root`, by index.
///
/// An `Err` says what is wrong and where; the walk goes on with the rest of the tree.
pub fn entries<M: Memory>(memory: &M, layout: Layout, root: u64) -> Entries<'_, M> {
    let mut walk = below(memory, layout, 0);
    match memory.word(root.wrapping_add(layout.head)) {
        Ok(head) => walk.start(head, true),
        Err(fault) => walk.todo.push(Todo::Tell(fault.into())),
    }
    walk
}

/// Walks from a tagged pointer to a node (`xa_head`) down.
pub fn below<M: Memory>(memory: &M, layout: Layout, head: u64) -> Entries<'_, M> {
    let mut walk = Entries { memory, layout, todo: Vec::new(), seen: HashSet::new(), check: false };
    walk.start(head, false);
    walk
}

#[derive(Debug)]
enum Todo {
    Node { at: u64, base: u64, path: Path, parent: Option<u64>, above: u64 },
    Yield(Entry),
    Tell(Error),
}

/// See [`entries`].
#[derive(Debug)]
pub struct Entries<'a, M> {
    memory: &'a M,
    layout: Layout,
    todo: Vec<Todo>,
    seen: HashSet<u64>,
    check: bool,
}

impl<M: Memory> Entries<'_, M> {
    /// Checks each node's parent, offset and count of entries too.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.check = true;
        self
    }

    fn start(&mut self, head: u64, is_root: bool) {
        let path = Path::default();
        if let Some(at) = self.layout.node(head) {
            let parent = is_root.then_some(0);
            self.todo.push(Todo::Node { at, base: 0, path, parent, above: u64::MAX });
        } else if head != 0 {
            self.push_entry(head, 0, 1, None, path);
        }
    }

    fn tell(&mut self, at: u64, what: String) {
        self.todo.push(Todo::Tell(Error::corrupt_at(at, what)));
    }

    fn push_entry(&mut self, raw: u64, index: u64, span: u64, node: Option<u64>, path: Path) {
        let kind = if self.layout.internal == 2 {
            match raw {
                XA_ZERO_ENTRY => Kind::Reserved,
                _ if raw & 1 == 1 => Kind::Value(raw >> 1),
                _ if raw & 3 == 2 => return,
                _ => Kind::Pointer,
            }
        } else {
            match raw & 3 {
                2 => Kind::Value(raw >> 2),
                1 | 3 => return,
                _ => Kind::Pointer,
            }
        };
        self.todo.push(Todo::Yield(Entry { index, span, raw, kind, node, path }));
    }

    /// Whether an entry says "same as a lower slot of this node".
    fn is_sibling(&self, raw: u64, node: u64) -> bool {
        if self.layout.internal == 2 {
            raw & 3 == 2 && raw >> 2 < MAX_SLOTS
        } else {
            let slots = node.wrapping_add(self.layout.slots);
            raw & 3 == 1
                && (raw & !3).wrapping_sub(slots) < self.layout.slot_count * self.memory.word_size()
        }
    }

    /// The slots of a node, and whether all could be read; those that cannot are told and read as
    /// empty.
    fn slots(&mut self, at: u64) -> (Vec<u64>, bool) {
        let first = at.wrapping_add(self.layout.slots);
        let mut bytes = vec![0; self.layout.slot_count as usize * self.memory.word_size() as usize];
        if self.memory.read(first, &mut bytes).is_ok() {
            return (self.memory.numbers().words(&bytes), true);
        }
        let memory = self.memory;
        let slots = (0..self.layout.slot_count)
            .map(|slot| match memory.word(first.wrapping_add(slot * memory.word_size())) {
                Ok(entry) => entry,
                Err(fault) => {
                    self.todo.push(Todo::Tell(fault.into()));
                    0
                }
            })
            .collect();
        (slots, false)
    }

    fn enter(&mut self, at: u64, base: u64, path: Path, parent: Option<u64>, above: u64) {
        let shift = match self.memory.byte(at.wrapping_add(self.layout.shift)) {
            Ok(shift) => u64::from(shift),
            Err(fault) => return self.todo.push(Todo::Tell(fault.into())),
        };
        // The shift falls on the way down: a node that does not obey closes a cycle or is garbage.
        if path.depth() >= MAX_DEPTH || shift >= 64 || shift >= above {
            return self.tell(at, format!("xarray node {at:x}: shift {shift} is impossible"));
        }
        if !self.seen.insert(at) || self.seen.len() > MAX_NODES {
            return self.tell(at, format!("xarray node {at:x} appears twice, again as {path}"));
        }
        let (slots, whole) = self.slots(at);
        // Pushed backwards, since what is pushed last is done first.
        let mut siblings = 0;
        for slot in (0..slots.len() as u64).rev() {
            let entry = slots[slot as usize];
            if self.is_sibling(entry, at) {
                siblings += 1;
                continue;
            }
            let span = (siblings + 1u64).checked_shl(shift as u32).unwrap_or(0);
            siblings = 0;
            let index = base.wrapping_add(slot << shift);
            let path = path.then(slot);
            match self.layout.node(entry) {
                Some(child) if shift > 0 => {
                    let parent = Some(at);
                    self.todo.push(Todo::Node {
                        at: child,
                        base: index,
                        path,
                        parent,
                        above: shift,
                    });
                }
                Some(_) => {
                    self.tell(at, format!("xarray node {at:x}: a node below its lowest level"))
                }
                None if entry != 0 => self.push_entry(entry, index, span, Some(at), path),
                None => {}
            }
        }
        if self.check && whole {
            self.check_node(at, &slots, path, parent);
        }
    }

    fn check_node(&mut self, at: u64, slots: &[u64], path: Path, parent: Option<u64>) {
        let used = slots.iter().filter(|entry| **entry != 0).count();
        let memory = self.memory;
        match memory.byte(at.wrapping_add(self.layout.count)) {
            Ok(count) if usize::from(count) != used => {
                self.tell(
                    at,
                    format!("xarray node {at:x}: count is {count}, but {used} slots are used"),
                );
            }
            Ok(_) => {}
            Err(fault) => self.todo.push(Todo::Tell(fault.into())),
        }
        let (Some(parent), actual) = (parent, memory.word(at.wrapping_add(self.layout.parent)))
        else {
            return;
        };
        if let Ok(actual) = actual
            && actual != parent
        {
            self.tell(
                at,
                format!("xarray node {at:x}: its parent is {actual:x}, but {parent:x} leads to it"),
            );
        }
        if let (Some(slot), Ok(offset)) =
            (path.slots().last(), memory.byte(at.wrapping_add(self.layout.offset)))
            && *slot != offset
        {
            self.tell(
                at,
                format!("xarray node {at:x}: its offset is {offset}, but slot {slot} leads to it"),
            );
        }
    }
}

impl<M: Memory> Iterator for Entries<'_, M> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.todo.pop()? {
                Todo::Yield(entry) => return Some(Ok(entry)),
                Todo::Tell(error) => return Some(Err(error)),
                Todo::Node { at, base, path, parent, above } => {
                    self.enter(at, base, path, parent, above);
                }
            }
        }
    }
}

/// Calls `visit(index, entry)` for every pointer and value of the tree at `address`, by index.
/// What cannot be read is handed to `fault` and skipped.
///
/// # Errors
/// When the kernel has no such trees.
pub fn for_each(
    kernel: &Kernel,
    address: u64,
    visit: &mut dyn FnMut(u64, u64),
    fault: &mut dyn FnMut(Error),
) -> Result<()> {
    for entry in entries(kernel.target(), Layout::of(kernel)?, address) {
        match entry {
            Ok(entry) if entry.kind != Kind::Reserved => visit(entry.index, entry.raw),
            Ok(_) => {}
            Err(error) => fault(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fake::Words;

    /// As in 6.12, with 16 slots: shift, offset, count at 0, 1, 2; parent at 8; slots at 40.
    const LAYOUT: Layout = Layout {
        head: 8,
        shift: 0,
        offset: 1,
        count: 2,
        parent: 8,
        slots: 40,
        slot_count: 16,
        internal: 2,
    };

    fn node(memory: &mut Words, at: u64, shift: u64, offset: u64, parent: u64, slots: &[u64; 16]) {
        let count = slots.iter().filter(|s| **s != 0).count() as u64;
        memory.put(at, &[shift | offset << 8 | count << 16, parent, 0, 0, 0]);
        memory.put(at + 40, slots);
    }

    /// A root at 0x100, its node at 0x1_0000 with leaves at 0x2_0000 (slot 0), 0x3_0000 (slot 2).
    fn tree() -> Words {
        let mut memory = Words::default();
        memory.put(0x100, &[0, 0x1_0002]);
        let mut slots = [0; 16];
        (slots[0], slots[2]) = (0x2_0002, 0x3_0002);
        node(&mut memory, 0x1_0000, 4, 0, 0, &slots);
        let mut slots = [0; 16];
        // A pointer, a folio of four indexes, an evicted page, a reserved entry, a retry entry.
        (slots[1], slots[4], slots[8], slots[9], slots[10]) = (0x8000, 0x9000, 0x55, 1030, 1026);
        (slots[5], slots[6], slots[7]) = (4 << 2 | 2, 4 << 2 | 2, 4 << 2 | 2);
        node(&mut memory, 0x2_0000, 0, 0, 0x1_0000, &slots);
        let mut slots = [0; 16];
        slots[15] = 0xa000;
        node(&mut memory, 0x3_0000, 0, 2, 0x1_0000, &slots);
        memory
    }

    fn walk(memory: &Words) -> (Vec<Entry>, Vec<String>) {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for item in entries(memory, LAYOUT, 0x100).checked() {
            match item {
                Ok(entry) => found.push(entry),
                Err(error) => errors.push(error.to_string()),
            }
        }
        (found, errors)
    }

    #[test]
    fn entries_by_index_with_spans_kinds_and_positions() {
        let (found, errors) = walk(&tree());
        assert!(errors.is_empty(), "{errors:?}");
        let seen: Vec<_> = found.iter().map(|e| (e.index, e.span, e.raw, e.kind)).collect();
        assert_eq!(
            seen,
            [
                (1, 1, 0x8000, Kind::Pointer),
                (4, 4, 0x9000, Kind::Pointer),
                (8, 1, 0x55, Kind::Value(0x2a)),
                (9, 1, 1030, Kind::Reserved),
                (47, 1, 0xa000, Kind::Pointer),
            ]
        );
        assert_eq!(found[4].path.to_string(), "root/2/15");
        assert_eq!(found[4].node, Some(0x3_0000));
    }

    #[test]
    fn a_single_entry_lies_in_the_root() {
        let mut memory = Words::default();
        memory.put(0x108, &[0x8000]);
        let (found, _) = walk(&memory);
        assert_eq!((found.len(), found[0].index, found[0].path.to_string()), (1, 0, "root".into()));
        memory.put(0x108, &[0]);
        assert!(walk(&memory).0.is_empty());
    }

    #[test]
    fn impossible_shifts_and_cycles_cost_one_branch() {
        let mut memory = tree();
        memory.put(0x2_0000, &[200]);
        let (found, errors) = walk(&memory);
        assert_eq!(found.len(), 1);
        assert!(errors[0].contains("node 20000: shift 200"), "{errors:?}");
        let mut memory = tree();
        memory.put(0x1_0000 + 40 + 3 * 8, &[0x1_0002, 0x3_0002]);
        let (found, errors) = walk(&memory);
        assert_eq!(found.len(), 5);
        assert!(errors.iter().any(|e| e.contains("10000: shift 4 is impossible")), "{errors:?}");
        assert!(errors.iter().any(|e| e.contains("30000 appears twice, again as root/4")));
    }

    #[test]
    fn wrong_counts_parents_and_offsets_are_named() {
        let mut memory = tree();
        memory.put(0x3_0000, &[1 << 8 | 7 << 16, 0x666]);
        let (found, errors) = walk(&memory);
        assert_eq!(found.len(), 5);
        assert!(errors.iter().any(|e| e.contains("count is 7, but 1 slots")), "{errors:?}");
        assert!(errors.iter().any(|e| e.contains("its parent is 666")));
        assert!(errors.iter().any(|e| e.contains("its offset is 1, but slot 2")));
    }

    #[test]
    fn a_lost_slot_is_told_and_the_others_stay() {
        let mut memory = tree();
        memory.lose(0x2_0000 + 40 + 12 * 8);
        let (found, errors) = walk(&memory);
        assert_eq!(found.len(), 5);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn radix_trees_mark_nodes_and_siblings_differently() {
        let layout = Layout { internal: 1, ..LAYOUT };
        let mut memory = Words::default();
        memory.put(0x108, &[0x1_0001]);
        let mut slots = [0; 16];
        (slots[3], slots[4], slots[5]) = (0x8000, (0x1_0000 + 40 + 24) | 1, 0x2a << 2 | 2);
        node(&mut memory, 0x1_0000, 0, 0, 0, &slots);
        let found: Vec<_> = entries(&memory, layout, 0x100).map(Result::unwrap).collect();
        assert_eq!((found[0].index, found[0].span, found[0].raw), (3, 2, 0x8000));
        assert_eq!((found[1].index, found[1].kind), (5, Kind::Value(0x2a)));
        assert_eq!(found.len(), 2);
    }
}
