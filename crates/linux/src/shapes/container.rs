//! include/linux/xarray.h, include/linux/maple_tree.h

shapes! {
    /// The root of an XArray; of a radix tree until 4.19.
    XArray = "xarray" | "radix_tree_root" for ps tree {
        head: "xa_head" | "rnode",
    }
    /// A node of an XArray; of a radix tree until 4.19.
    XaNode = "xa_node" | "radix_tree_node" for ps tree {
        shift: "shift",
        offset: "offset",
        count: "count",
        nr_values: maybe "nr_values",                       // 4.20
        parent: "parent",
        slots: "slots",
    }
    /// A maple tree, since 6.1.
    MapleTree = "maple_tree" for tree irq {
        flags: maybe "ma_flags",
        root: maybe "ma_root",
    }
    /// A node of a maple tree: its kinds share one 256-byte object.
    MapleNode = "maple_node" for tree irq {
        parent: maybe "parent",
        dense_slots: maybe "slot",
        range_pivots: maybe "mr64.pivot",
        range_slots: maybe "mr64.slot",
        range_end: maybe "mr64.meta.end",
        arange_pivots: maybe "ma64.pivot",
        arange_slots: maybe "ma64.slot",
        arange_gaps: maybe "ma64.gap",
        arange_end: maybe "ma64.meta.end",
    }
}
