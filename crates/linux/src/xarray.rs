//! XArray and IDR (include/linux/xarray.h; lib/idr.c builds on it since 4.20).

use necropsy_target::Target;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

/// Offsets of `struct xa_node`, found once per walk.
struct Node {
    shift: u64,
    slots: u64,
    count: u64,
}

/// Slots of the largest node; a type that says more is not believed.
const MAX_SLOTS: u64 = 64;
/// Deepest tree: 64 index bits in steps of 4.
const MAX_DEPTH: u32 = 16;

/// Calls `visit(index, entry)` for every entry of the `struct xarray` at `address`, ascending.
/// What cannot be read is handed to `fault` and skipped.
///
/// # Errors
/// When the types or the root are missing.
pub fn for_each(
    kernel: &Kernel,
    address: u64,
    visit: &mut dyn FnMut(u64, u64),
    fault: &mut dyn FnMut(Error),
) -> Result<()> {
    let types = kernel.types();
    // Until 4.19 the same tree was a radix tree under other names.
    let head = kernel
        .offset_of("xarray", "xa_head")
        .or_else(|_| kernel.offset_of("radix_tree_root", "rnode"))?;
    let tag = if types.composite("xa_node").is_some() { "xa_node" } else { "radix_tree_node" };
    let id = types.composite(tag).ok_or_else(|| Error::no_type("xa_node"))?;
    let slots = types
        .member(id, "slots")
        .ok_or_else(|| Error::Missing { what: "member xa_node.slots".into() })?;
    let node = Node {
        shift: kernel.offset_of(tag, "shift")?,
        slots: slots.offset(),
        count: (types.size_of(slots.ty).unwrap_or(0) / 8).min(MAX_SLOTS),
    };
    let root = kernel.target().read_u64(address.wrapping_add(head))?;
    if root == 0 {
        return Ok(());
    }
    if !is_node(root) {
        visit(0, root);
        return Ok(());
    }
    walk(kernel.target(), &node, root, 0, 0, u64::MAX, visit, fault);
    Ok(())
}

/// Internal entries have low bits 10; small ones are siblings and marks, large ones are nodes.
fn is_node(entry: u64) -> bool {
    entry & 3 == 2 && entry > 4096
}

#[allow(clippy::too_many_arguments)]
fn walk(
    target: &Target,
    node: &Node,
    entry: u64,
    base: u64,
    depth: u32,
    above: u64,
    visit: &mut dyn FnMut(u64, u64),
    fault: &mut dyn FnMut(Error),
) {
    let at = entry & !3;
    let shift = match target.read_u8(at.wrapping_add(node.shift)) {
        Ok(shift) => u64::from(shift),
        Err(error) => return fault(error.into()),
    };
    // The shift falls on the way down: a node that does not obey closes a cycle or is garbage.
    if depth >= MAX_DEPTH || shift >= 64 || shift >= above {
        return fault(Error::corrupt(format!("xarray node {at:x}: shift {shift} is impossible")));
    }
    for slot in 0..node.count {
        let entry = match target.read_u64(at.wrapping_add(node.slots + slot * 8)) {
            Ok(entry) => entry,
            Err(error) => {
                fault(error.into());
                continue;
            }
        };
        let index = base.wrapping_add(slot.checked_shl(shift as u32).unwrap_or(0));
        if entry == 0 {
            continue;
        }
        if shift > 0 && is_node(entry) {
            walk(target, node, entry, index, depth + 1, shift, visit, fault);
        } else if entry & 3 != 2 {
            visit(index, entry);
        }
    }
}
