//! Entries of lists and trees.

use necropsy_rows::{Hex, row};

use super::types::Part;

row! {
    /// An entry of a linked list.
    #[derive(Debug)]
    pub struct EntryRow {
        /// Its number.
        pub index: usize,
        /// Where the structure lies.
        pub address: Hex,
        /// What was asked for of it (`-s`).
        pub values: Vec<Part> [maybe],
    }

    /// An entry of a tree.
    #[derive(Debug)]
    pub struct LeafRow {
        /// Where the structure lies, or the value that is stored in its place.
        pub address: Hex,
        /// The way to it from the root: slots, or `l` and `r`.
        pub position: String,
        /// First index, of a radix tree, XArray or maple tree.
        pub index: Option<u64> [maybe],
        /// Last index, inclusive.
        pub last: Option<u64> [maybe],
        /// What was asked for of it (`-s`).
        pub values: Vec<Part> [maybe],
    }

    /// A maple tree (`tree -t maple -v`).
    #[derive(Debug)]
    pub struct MapleRow {
        /// The `struct maple_tree`.
        pub maple_tree: Hex,
        /// Its flags.
        pub flags: Hex,
        /// How many nodes lie above each other.
        pub height: u32,
        /// The reference to its root node, flags included.
        pub root: Hex,
    }

    /// A node of a maple tree (`tree -t maple -v`).
    #[derive(Debug)]
    pub struct NodeRow<'a> {
        /// Where it lies.
        pub node: Hex,
        /// Its kind.
        pub kind: &'static str,
        /// How deep it lies below the root.
        pub depth: usize,
        /// The first index that it is for.
        pub first: u64,
        /// The last index that it is for.
        pub last: u64,
        /// Its reference to the parent.
        pub parent: Hex,
        /// Its last slot in use.
        pub end: usize,
        /// What its slots hold.
        pub slots: Vec<Hex>,
        /// The last index of each slot.
        pub pivots: &'a [u64],
        /// The largest gap below each slot.
        pub gaps: &'a [u64],
    }

    /// A range of indexes of a maple tree (`tree -t maple -v`).
    #[derive(Debug)]
    pub struct RangeRow {
        /// The first index.
        pub first: u64,
        /// The last index.
        pub last: u64,
        /// What is stored there.
        pub entry: Hex,
        /// The slots on the way to it.
        pub position: String,
    }
}
