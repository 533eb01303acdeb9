//! Maple trees (include/linux/maple_tree.h, lib/maple_tree.c): ranges of indexes in wide nodes,
//! since 6.1.

use std::collections::HashSet;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    memory::Memory,
    path::Path,
    xarray::XA_ZERO_ENTRY,
};

/// Nodes are aligned to their size; the low byte of a reference carries marks.
const NODE_MASK: u64 = 0xff;
/// Slots of the widest node (a dense one).
const MAX_SLOTS: u64 = 31;
/// The height has five bits in `ma_flags`.
const MAX_DEPTH: usize = 32;
/// The most nodes that a walk visits.
const MAX_NODES: usize = 50_000_000;

/// `enum maple_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeType {
    /// One slot an index.
    Dense,
    /// Ranges with entries.
    Leaf64,
    /// Ranges with nodes.
    Range64,
    /// Ranges with nodes and the largest gap below each.
    Arange64,
}

impl NodeType {
    /// From a reference to a node.
    fn of(reference: u64) -> Option<NodeType> {
        Some(match reference >> 3 & 0xf {
            0 => NodeType::Dense,
            1 => NodeType::Leaf64,
            2 => NodeType::Range64,
            3 => NodeType::Arange64,
            _ => return None,
        })
    }

    /// The kernel's name.
    pub fn name(self) -> &'static str {
        match self {
            NodeType::Dense => "maple_dense",
            NodeType::Leaf64 => "maple_leaf_64",
            NodeType::Range64 => "maple_range_64",
            NodeType::Arange64 => "maple_arange_64",
        }
    }

    /// Its number in `enum maple_type`.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Whether its slots hold entries rather than nodes.
    pub fn is_leaf(self) -> bool {
        matches!(self, NodeType::Dense | NodeType::Leaf64)
    }
}

/// An array in a node: bytes from its start, number of words.
#[derive(Debug, Clone, Copy)]
struct Words {
    offset: u64,
    count: u64,
}

/// Where the members of a tree and its nodes lie, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    root: u64,
    flags: u64,
    parent: u64,
    dense_slots: Words,
    range_pivots: Words,
    range_slots: Words,
    range_end: u64,
    arange_pivots: Words,
    arange_slots: Words,
    arange_gaps: Words,
    arange_end: u64,
}

impl Layout {
    /// As this kernel's types have it.
    ///
    /// # Errors
    /// When it has no maple trees (before 6.1).
    pub fn of(kernel: &Kernel) -> Result<Layout> {
        let (tree, node) = (&kernel.shapes().maple_tree, &kernel.shapes().maple_node);
        let word = kernel.target().word_size();
        let words = |field: &crate::shapes::Field| -> Result<Words> {
            Ok(Words { offset: field.offset()?, count: (field.size()? / word).min(MAX_SLOTS) })
        };
        Ok(Layout {
            root: tree.root.offset()?,
            flags: tree.flags.offset()?,
            parent: node.parent.offset()?,
            dense_slots: words(&node.dense_slots)?,
            range_pivots: words(&node.range_pivots)?,
            range_slots: words(&node.range_slots)?,
            range_end: node.range_end.offset()?,
            arange_pivots: words(&node.arange_pivots)?,
            arange_slots: words(&node.arange_slots)?,
            arange_gaps: words(&node.arange_gaps)?,
            arange_end: node.arange_end.offset()?,
        })
    }

    fn slots(&self, kind: NodeType) -> Words {
        match kind {
            NodeType::Dense => self.dense_slots,
            NodeType::Leaf64 | NodeType::Range64 => self.range_slots,
            NodeType::Arange64 => self.arange_slots,
        }
    }

    fn pivots(&self, kind: NodeType) -> Words {
        match kind {
            NodeType::Dense => Words { offset: 0, count: 0 },
            NodeType::Leaf64 | NodeType::Range64 => self.range_pivots,
            NodeType::Arange64 => self.arange_pivots,
        }
    }
}

/// The root of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// `ma_flags`.
    pub flags: u32,
    /// `ma_root`: NULL, a single entry, or a reference to a node.
    pub reference: u64,
}

impl Root {
    /// Reads the `struct maple_tree` at `tree`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read<M: Memory>(memory: &M, layout: Layout, tree: u64) -> Result<Root> {
        let mut flags = [0; 4];
        memory.read(tree.wrapping_add(layout.flags), &mut flags)?;
        let reference = memory.word(tree.wrapping_add(layout.root))?;
        Ok(Root { flags: memory.numbers().number(&flags, 0, 4) as u32, reference })
    }

    /// How many levels of nodes it says it has.
    pub fn height(&self) -> u32 {
        self.flags >> 2 & 0x1f
    }
}

/// A range of indexes and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// First index.
    pub first: u64,
    /// Last index, inclusive.
    pub last: u64,
    /// What stands there; 0 is a gap.
    pub raw: u64,
    /// The node that holds it, `None` for a single entry in the root.
    pub node: Option<u64>,
    /// How it is reached.
    pub path: Path,
}

impl Entry {
    /// Whether its owner sees nothing there: a gap, or reserved (`XA_ZERO_ENTRY`).
    pub fn is_empty(&self) -> bool {
        self.raw == 0 || self.raw == XA_ZERO_ENTRY
    }
}

/// A node on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its virtual address.
    pub address: u64,
    /// What its slots hold.
    pub kind: NodeType,
    /// First index that it covers.
    pub first: u64,
    /// Last index that it covers, inclusive.
    pub last: u64,
    /// The marked reference to its parent, as stored.
    pub parent: u64,
    /// All pivots, also beyond `end`.
    pub pivots: Vec<u64>,
    /// All slots, also beyond `end`.
    pub slots: Vec<u64>,
    /// The largest gap below each slot; empty unless the kind is [`NodeType::Arange64`].
    pub gaps: Vec<u64>,
    /// The last slot in use.
    pub end: usize,
    /// How it is reached.
    pub path: Path,
}

/// A step of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A node is entered.
    Node(Box<Node>),
    /// An entry, or a gap.
    Entry(Entry),
}

/// Walks the `struct maple_tree` at `tree` by index, nodes and gaps included.
///
/// An `Err` says what is wrong and where; the walk goes on with the rest of the tree.
pub fn walk<M: Memory>(memory: &M, layout: Layout, tree: u64) -> Walk<'_, M> {
    match Root::read(memory, layout, tree) {
        Ok(root) => Walk::new(memory, layout, root.reference, Some(tree)),
        Err(error) => {
            let mut walk = Walk::new(memory, layout, 0, Some(tree));
            walk.todo.push(Todo::Tell(error));
            walk
        }
    }
}

/// Walks from a marked reference to a node (`ma_root`, a slot) down; a node says what it covers
/// only through its parents, so the range is taken to be everything.
pub fn below<M: Memory>(memory: &M, layout: Layout, reference: u64) -> Walk<'_, M> {
    Walk::new(memory, layout, reference, None)
}

/// The entries of a tree without gaps and reserved ranges.
pub fn entries<M: Memory>(
    memory: &M,
    layout: Layout,
    tree: u64,
) -> impl Iterator<Item = Result<Entry>> + '_ {
    walk(memory, layout, tree).filter_map(|step| match step {
        Ok(Step::Entry(entry)) if !entry.is_empty() => Some(Ok(entry)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

#[derive(Debug, Clone, Copy)]
struct Enter {
    reference: u64,
    first: u64,
    last: u64,
    /// The address that the node's parent pointer leads to, if known; with bit 0 for a tree.
    parent: Option<u64>,
    path: Path,
}

#[derive(Debug)]
enum Todo {
    Enter(Enter),
    Yield(Entry),
    Tell(Error),
}

/// See [`walk`].
#[derive(Debug)]
pub struct Walk<'a, M> {
    memory: &'a M,
    layout: Layout,
    todo: Vec<Todo>,
    seen: HashSet<u64>,
}

impl<'a, M: Memory> Walk<'a, M> {
    fn new(memory: &'a M, layout: Layout, reference: u64, tree: Option<u64>) -> Self {
        let mut walk = Walk { memory, layout, todo: Vec::new(), seen: HashSet::new() };
        let path = Path::default();
        let is_node = if tree.is_some() {
            // A root that leads to a node is marked as an internal entry of an XArray.
            reference & 3 == 2 && reference > 4096
        } else {
            reference > 4096
        };
        if is_node {
            let parent = tree.map(|tree| tree | 1);
            walk.todo.push(Todo::Enter(Enter {
                reference,
                first: 0,
                last: u64::MAX,
                parent,
                path,
            }));
        } else if reference != 0 {
            let entry = Entry { first: 0, last: 0, raw: reference, node: None, path };
            walk.todo.push(Todo::Yield(entry));
        }
        walk
    }

    fn tell(&mut self, at: u64, what: String) {
        self.todo.push(Todo::Tell(Error::corrupt_at(at, what)));
    }

    fn words(&self, node: u64, array: Words) -> Result<Vec<u64>> {
        let mut bytes = vec![0; array.count as usize * self.memory.word_size() as usize];
        self.memory.read(node.wrapping_add(array.offset), &mut bytes)?;
        Ok(self.memory.numbers().words(&bytes))
    }

    /// The last slot in use, as `ma_data_end` finds it.
    fn end(&self, address: u64, kind: NodeType, pivots: &[u64], last: u64) -> Result<usize> {
        let meta = |offset: u64| -> Result<usize> {
            Ok(usize::from(self.memory.byte(address.wrapping_add(offset))?))
        };
        Ok(match (kind, pivots.last()) {
            (NodeType::Arange64, _) => meta(self.layout.arange_end)?,
            (_, Some(0)) => meta(self.layout.range_end)?,
            (_, Some(pivot)) if *pivot == last => pivots.len() - 1,
            (NodeType::Dense, _) | (_, None) => MAX_SLOTS as usize - 1,
            _ => pivots.len(),
        })
    }

    fn node(&self, enter: &Enter, kind: NodeType) -> Result<Node> {
        let address = enter.reference & !NODE_MASK;
        let parent = self.memory.word(address.wrapping_add(self.layout.parent))?;
        let pivots = self.words(address, self.layout.pivots(kind))?;
        let slots = self.words(address, self.layout.slots(kind))?;
        let gaps = if kind == NodeType::Arange64 {
            self.words(address, self.layout.arange_gaps)?
        } else {
            Vec::new()
        };
        let end = self.end(address, kind, &pivots, enter.last)?;
        let (first, last, path) = (enter.first, enter.last, enter.path);
        Ok(Node { address, kind, first, last, parent, pivots, slots, gaps, end, path })
    }

    fn enter(&mut self, enter: Enter) -> Option<Node> {
        let address = enter.reference & !NODE_MASK;
        let Some(kind) = NodeType::of(enter.reference) else {
            self.tell(
                address,
                format!(
                    "maple tree: reference {:x} at {} has no known node type",
                    enter.reference, enter.path
                ),
            );
            return None;
        };
        if enter.path.depth() >= MAX_DEPTH || self.seen.len() >= MAX_NODES {
            self.tell(address, format!("maple node {address:x}: the tree has no end"));
            return None;
        }
        if !self.seen.insert(address) {
            self.tell(
                address,
                format!("maple node {address:x} appears twice, again as {}", enter.path),
            );
            return None;
        }
        let mut node = match self.node(&enter, kind) {
            Ok(node) => node,
            Err(error) => {
                self.todo.push(Todo::Tell(error));
                return None;
            }
        };
        if node.end >= node.slots.len() {
            let (end, count) = (node.end, node.slots.len());
            node.end = count.saturating_sub(1);
            self.push_slots(&node);
            self.tell(
                address,
                format!("maple node {address:x}: its last slot is {end} of {count}"),
            );
        } else {
            self.push_slots(&node);
        }
        self.check_parent(&node, enter.parent);
        Some(node)
    }

    /// Notes what each slot holds, the last first.
    fn push_slots(&mut self, node: &Node) {
        let mut steps = Vec::new();
        let mut first = node.first;
        for slot in 0..=node.end {
            let pivot = match node.kind {
                NodeType::Dense => Some(node.first.saturating_add(slot as u64)),
                _ => node.pivots.get(slot).copied().filter(|pivot| *pivot != 0 || slot == 0),
            };
            let is_end = slot == node.end || pivot.is_none();
            let last = if is_end { node.last } else { pivot.unwrap_or(node.last) };
            let path = node.path.then(slot as u64);
            if last < first || last > node.last {
                steps.push(Todo::Tell(Error::corrupt_at(
                    node.address,
                    format!(
                        "maple node {:x}: pivot {slot} is {last:x}, not within {first:x}-{:x}",
                        node.address, node.last
                    ),
                )));
                break;
            }
            let raw = node.slots.get(slot).copied().unwrap_or(0);
            if node.kind.is_leaf() {
                let node = Some(node.address);
                steps.push(Todo::Yield(Entry { first, last, raw, node, path }));
            } else if raw > 4096 {
                let parent = Some(node.address);
                steps.push(Todo::Enter(Enter { reference: raw, first, last, parent, path }));
            } else {
                steps.push(Todo::Tell(Error::corrupt_at(
                    node.address,
                    format!("maple node {:x}: slot {slot} holds {raw:x}, no node", node.address),
                )));
            }
            if is_end || last == node.last {
                break;
            }
            first = last + 1;
        }
        self.todo.extend(steps.into_iter().rev());
    }

    fn check_parent(&mut self, node: &Node, expected: Option<u64>) {
        let leads_to = node.parent & !NODE_MASK;
        if leads_to == node.address {
            return self.tell(
                node.address,
                format!("maple node {:x} is dead: it was replaced", node.address),
            );
        }
        let wrong = match expected {
            None => false,
            Some(tree) if tree & 1 == 1 => node.parent != tree,
            Some(parent) => leads_to != parent,
        };
        if let (true, Some(expected)) = (wrong, expected) {
            self.tell(
                node.address,
                format!(
                    "maple node {:x}: its parent is {:x}, but {:x} leads to it",
                    node.address,
                    node.parent,
                    expected & !1
                ),
            );
        }
    }
}

impl<M: Memory> Iterator for Walk<'_, M> {
    type Item = Result<Step>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.todo.pop()? {
                Todo::Yield(entry) => return Some(Ok(Step::Entry(entry))),
                Todo::Tell(error) => return Some(Err(error)),
                Todo::Enter(enter) => {
                    if let Some(node) = self.enter(enter) {
                        return Some(Ok(Step::Node(Box::new(node))));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
