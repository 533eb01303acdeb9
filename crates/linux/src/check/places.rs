//! Where in a structure links lie that can be checked without knowing what they link.

use necropsy_debuginfo::{CompositeKind, Type, TypeId, Types};

/// What lies at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// A `list_head`: a list, or an entry of one.
    Ring,
    /// A `hlist_head`.
    Hash,
    /// A `hlist_node`.
    HashNode,
    /// An `rb_root`.
    Tree,
    /// An `rb_node`.
    TreeNode,
    /// An `xarray` or radix tree.
    Array,
    /// A `maple_tree`.
    Maple,
    /// A pointer to a function.
    Function,
    /// A pointer to a table of functions.
    Table,
}

/// A place in a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes from the start.
    pub(super) offset: u64,
    /// What lies there.
    pub(super) link: Link,
    /// The member: `mm.i_mmap`.
    pub(super) member: String,
}

/// Structures within structures that are looked into.
const MAX_DEPTH: usize = 6;
/// Places of one structure.
const MAX_PLACES: usize = 65_536;

/// The places of a type. What lies in a union is left out: nobody knows which of it is meant. Of
/// arrays, at most so many elements are looked at.
pub(super) fn places(types: &Types, ty: TypeId, elements: u64) -> Vec<Place> {
    let mut places = Vec::new();
    add(types, ty, 0, String::new(), elements, 0, &mut places);
    places
}

fn add(
    types: &Types,
    ty: TypeId,
    offset: u64,
    member: String,
    elements: u64,
    depth: usize,
    places: &mut Vec<Place>,
) {
    if depth > MAX_DEPTH || places.len() >= MAX_PLACES {
        return;
    }
    let mut place = |link| places.push(Place { offset, link, member: member.clone() });
    match types.resolve(ty) {
        Type::Composite(composite) if composite.kind == CompositeKind::Struct => {
            match types.name(composite.name) {
                "list_head" => place(Link::Ring),
                "hlist_head" => place(Link::Hash),
                "hlist_node" => place(Link::HashNode),
                "rb_root" | "rb_root_cached" => place(Link::Tree),
                "rb_node" => place(Link::TreeNode),
                "xarray" | "radix_tree_root" => place(Link::Array),
                "maple_tree" => place(Link::Maple),
                _ => {
                    for inner in &composite.members {
                        if inner.bit_size > 0 || inner.bit_offset % 8 != 0 {
                            continue;
                        }
                        let name = types.name(inner.name);
                        let dot = if member.is_empty() || name.is_empty() { "" } else { "." };
                        let at = offset.saturating_add(inner.bit_offset / 8);
                        let path = format!("{member}{dot}{name}");
                        add(types, inner.ty, at, path, elements, depth + 1, places);
                    }
                }
            }
        }
        Type::Array { element, count } => {
            let Some(size) = types.size_of(*element).filter(|size| *size >= 8) else { return };
            for number in 0..(*count).min(elements) {
                let before = places.len();
                let at = offset.saturating_add(number.saturating_mul(size));
                let path = format!("{member}[{number}]");
                add(types, *element, at, path, elements, depth + 1, places);
                if places.len() == before {
                    break;
                }
            }
        }
        Type::Pointer(to) => match types.resolve(*to) {
            Type::Function { .. } => place(Link::Function),
            Type::Composite(table) if is_table(types.name(table.name)) => place(Link::Table),
            _ => {}
        },
        _ => {}
    }
}

/// Whether structures of that tag are tables of functions that are part of an image.
fn is_table(tag: &str) -> bool {
    tag.ends_with("_operations") || tag == "vm_operations_struct"
}
