//! include/linux/xarray.h, include/linux/maple_tree.h

shapes! {
    /// The root of an XArray.
    XArray = "xarray" {
        head?o: "xa_head",
    }
    /// The root of a radix tree, until 4.19; since then another name of the XArray.
    RadixTreeRoot = "radix_tree_root" {
        head?o: "rnode" | "xa_head",
    }
    /// A node of an XArray.
    XaNode = "xa_node" {
        shift?o: "shift",
        offset?o: "offset",
        count?o: "count",
        nr_values?o: "nr_values",
        parent?o: "parent",
        slots?o: "slots",
    }
    /// A node of a radix tree, until 4.19.
    RadixTreeNode = "radix_tree_node" {
        shift?o: "shift",
        offset?o: "offset",
        count?o: "count",
        parent?o: "parent",
        slots?o: "slots",
    }
    /// A maple tree, since 6.1.
    MapleTree = "maple_tree" {
        flags?o: "ma_flags",
        root?o: "ma_root",
    }
    /// A node of a maple tree: its kinds share one 256-byte object.
    MapleNode = "maple_node" {
        parent?o: "parent",
        dense_slots?o: "slot",
        range_pivots?o: "mr64.pivot",
        range_slots?o: "mr64.slot",
        range_end?o: "mr64.meta.end",
        arange_pivots?o: "ma64.pivot",
        arange_slots?o: "ma64.slot",
        arange_gaps?o: "ma64.gap",
        arange_end?o: "ma64.meta.end",
    }
}
