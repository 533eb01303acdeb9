//! Red-black trees (include/linux/rbtree.h, lib/rbtree.c).

use std::{collections::HashSet, fmt};

use necropsy_dump::Reason;

use crate::{
    error::{Error, Result},
    memory::Memory,
};

/// No red-black tree of 64-bit addresses is deeper.
const MAX_DEPTH: u32 = 128;
/// The most nodes that a walk visits.
const MAX_NODES: usize = 50_000_000;
/// `struct rb_node`: `__rb_parent_color`, `rb_right`, `rb_left`, and nothing else since 2.6.18.
const NODE_SIZE: usize = 24;

/// The order in which nodes are yielded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By key: left subtree, node, right subtree.
    Sorted,
    /// From the root down: node, left subtree, right subtree.
    FromRoot,
}

/// The way from the root to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Path {
    /// The turns, the first in the highest of `depth` bits; 1 is right.
    turns: u128,
    depth: u32,
}

impl Path {
    fn turn(self, right: bool) -> Path {
        Path { turns: self.turns << 1 | u128::from(right), depth: self.depth + 1 }
    }

    /// How many turns there are; 0 at the root.
    pub fn depth(&self) -> u32 {
        self.depth
    }
}

/// `root/l/r`
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root")?;
        for turn in (0..self.depth).rev() {
            f.write_str(if self.turns >> turn & 1 == 1 { "/r" } else { "/l" })?;
        }
        Ok(())
    }
}

/// A node that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Virtual address of its `struct rb_node`.
    pub address: u64,
    /// How it is reached.
    pub path: Path,
}

/// Walks the `struct rb_root` (or `rb_root_cached`) at `root`.
///
/// An `Err` says what is wrong and where; the walk goes on with the rest of the tree.
pub fn rbtree<M: Memory>(memory: &M, root: u64, order: Order) -> RbTree<'_, M> {
    let mut tree = subtree(memory, 0, order);
    match memory.word(root) {
        Ok(node) => tree.push(node, Path::default(), 0, true),
        Err(fault) => tree.todo.push(Todo::Tell(fault.into())),
    }
    tree
}

/// Walks from the `struct rb_node` at `node` down.
pub fn subtree<M: Memory>(memory: &M, node: u64, order: Order) -> RbTree<'_, M> {
    let mut tree = RbTree {
        memory,
        order,
        todo: Vec::new(),
        seen: HashSet::new(),
        check: false,
        black_height: None,
    };
    tree.push(node, Path::default(), 0, false);
    tree
}

#[derive(Debug)]
enum Todo {
    /// A child pointer that is not NULL.
    Enter {
        node: u64,
        path: Path,
        parent: u64,
        blacks: u32,
        red_parent: bool,
        is_root: bool,
    },
    Yield(Node),
    Tell(Error),
}

/// See [`rbtree`].
#[derive(Debug)]
pub struct RbTree<'a, M> {
    memory: &'a M,
    order: Order,
    todo: Vec<Todo>,
    seen: HashSet<u64>,
    check: bool,
    /// Black nodes on the way to the first leaf; every other leaf must have as many.
    black_height: Option<u32>,
}

impl<M: Memory> RbTree<'_, M> {
    /// Checks parent pointers and colours too, and yields an `Err` for each rule that is broken.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.check = true;
        self
    }

    fn push(&mut self, node: u64, path: Path, parent: u64, is_root: bool) {
        if node != 0 {
            let (blacks, red_parent) = (0, false);
            self.todo.push(Todo::Enter { node, path, parent, blacks, red_parent, is_root });
        }
    }

    fn leaf(&mut self, node: u64, blacks: u32) {
        match self.black_height {
            _ if !self.check => {}
            None => self.black_height = Some(blacks),
            Some(expected) if expected == blacks => {}
            Some(expected) => {
                self.tell(node, format!(
                    "rbtree node {node:x}: {blacks} black nodes on the way to a leaf, elsewhere \
                     {expected}"
                ));
            }
        }
    }

    fn tell(&mut self, at: u64, what: String) {
        self.todo.push(Todo::Tell(Error::corrupt_at(at, what)));
    }

    /// Reads a node and notes what is to be done about it, last things first.
    fn enter(&mut self, entry: Todo) {
        let Todo::Enter { node, path, parent, blacks, red_parent, is_root } = entry else { return };
        if path.depth >= MAX_DEPTH || self.seen.len() >= MAX_NODES {
            return self.tell(node, format!("rbtree node {node:x}: the tree has no end"));
        }
        if !self.seen.insert(node) {
            return self.tell(node, format!("rbtree node {node:x} appears twice, again as {path}"));
        }
        let mut bytes = [0; NODE_SIZE];
        if let Err(fault) =
            self.memory.read(node, &mut bytes[..3 * self.memory.numbers().word_size().min(8)])
        {
            if parent != 0 && matches!(fault.reason, Reason::BadAddress | Reason::NotMapped { .. })
            {
                return self.tell(
                    parent,
                    format!("rbtree node {parent:x}: its child {node:x} is no address"),
                );
            }
            return self.todo.push(Todo::Tell(fault.into()));
        }
        let numbers = self.memory.numbers();
        let size = numbers.word_size();
        let word = |index: usize| numbers.number(&bytes, index * size, size);
        let (parent_color, right, left) = (word(0), word(1), word(2));
        let black = parent_color & 1 == 1;
        let blacks = blacks + u32::from(black);
        let down = |child: u64, right: bool, todo: &mut Vec<Todo>| {
            let path = path.turn(right);
            todo.push(Todo::Enter {
                node: child,
                path,
                parent: node,
                blacks,
                red_parent: !black,
                is_root: false,
            });
        };
        if right == 0 {
            self.leaf(node, blacks);
        } else {
            down(right, true, &mut self.todo);
        }
        let found = Todo::Yield(Node { address: node, path });
        if self.order == Order::Sorted {
            self.todo.push(found);
            if left == 0 {
                self.leaf(node, blacks);
            } else {
                down(left, false, &mut self.todo);
            }
        } else {
            if left == 0 {
                self.leaf(node, blacks);
            } else {
                down(left, false, &mut self.todo);
            }
            self.todo.push(found);
        }
        if self.check && (path.depth > 0 || is_root) {
            let actual = parent_color & !3;
            if actual != parent {
                self.tell(
                    node,
                    format!(
                        "rbtree node {node:x}: its parent is {actual:x}, but {parent:x} leads to it"
                    ),
                );
            }
            if red_parent && !black {
                self.tell(
                    node,
                    format!("rbtree node {node:x} and its parent {parent:x} are both red"),
                );
            }
        }
    }
}

impl<M: Memory> Iterator for RbTree<'_, M> {
    type Item = Result<Node>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.todo.pop()? {
                Todo::Yield(node) => return Some(Ok(node)),
                Todo::Tell(error) => return Some(Err(error)),
                entry => self.enter(entry),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fake::Words;

    const BLACK: u64 = 1;

    /// A root at 0x10 and the tree 2000(b) → 1000(r), 3000(r).
    fn small() -> Words {
        let mut memory = Words::default();
        memory.put(0x10, &[0x2000]);
        memory.put(0x2000, &[BLACK, 0x3000, 0x1000]);
        memory.put(0x1000, &[0x2000, 0, 0]);
        memory.put(0x3000, &[0x2000, 0, 0]);
        memory
    }

    fn walk(memory: &Words, order: Order) -> (Vec<(u64, String)>, Vec<String>) {
        let (mut nodes, mut errors) = (Vec::new(), Vec::new());
        for item in rbtree(memory, 0x10, order).checked() {
            match item {
                Ok(node) => nodes.push((node.address, node.path.to_string())),
                Err(error) => errors.push(error.to_string()),
            }
        }
        (nodes, errors)
    }

    #[test]
    fn both_orders_with_positions() {
        let named = |list: &[(u64, &str)]| -> Vec<(u64, String)> {
            list.iter().map(|(a, p)| (*a, (*p).to_owned())).collect()
        };
        let (nodes, errors) = walk(&small(), Order::Sorted);
        assert_eq!(nodes, named(&[(0x1000, "root/l"), (0x2000, "root"), (0x3000, "root/r")]));
        assert!(errors.is_empty(), "{errors:?}");
        let (nodes, _) = walk(&small(), Order::FromRoot);
        assert_eq!(nodes, named(&[(0x2000, "root"), (0x1000, "root/l"), (0x3000, "root/r")]));
        let mut empty = Words::default();
        empty.put(0x10, &[0]);
        assert_eq!(rbtree(&empty, 0x10, Order::Sorted).count(), 0);
    }

    #[test]
    fn a_cycle_costs_one_branch() {
        let mut memory = small();
        memory.put(0x1000, &[0x2000, 0x2000, 0]);
        let (nodes, errors) = walk(&memory, Order::Sorted);
        assert_eq!(nodes.len(), 3);
        assert!(errors.iter().any(|e| e.contains("2000 appears twice, again as root/l/r")));
    }

    #[test]
    fn a_lost_node_costs_its_branch_only() {
        let mut memory = small();
        memory.lose(0x1000);
        let (nodes, errors) = walk(&memory, Order::Sorted);
        assert_eq!(nodes.iter().map(|n| n.0).collect::<Vec<_>>(), [0x2000, 0x3000]);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn broken_rules_are_named() {
        let mut memory = small();
        memory.put(0x3000, &[0x1000, 0, 0]);
        memory.put(0x1000, &[0x2000, 0, 0x800]);
        memory.put(0x800, &[0x1000, 0, 0]);
        let (nodes, errors) = walk(&memory, Order::Sorted);
        assert_eq!(nodes.len(), 4);
        assert!(errors.iter().any(|e| e.contains("node 3000: its parent is 1000")), "{errors:?}");
        assert!(errors.iter().any(|e| e.contains("800 and its parent 1000 are both red")));
        memory.put(0x1000, &[0x2000 | BLACK, 0, 0]);
        memory.put(0x3000, &[0x2000, 0, 0]);
        let (_, errors) = walk(&memory, Order::FromRoot);
        assert!(errors.iter().any(|e| e.contains("black nodes on the way")), "{errors:?}");
    }

    #[test]
    fn an_endless_branch_ends() {
        let mut memory = Words::default();
        memory.put(0x10, &[0x1000]);
        for i in 1..1000u64 {
            memory.put(i * 0x1000, &[BLACK, 0, (i + 1) * 0x1000]);
        }
        let (nodes, errors) = walk(&memory, Order::FromRoot);
        assert_eq!(nodes.len(), MAX_DEPTH as usize);
        assert!(errors.iter().any(|e| e.contains("no end")));
    }
}
