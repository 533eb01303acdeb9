//! Whether debug information and BTF describe the same structures. Both were made from one
//! compilation, so a difference means that one of them is of another kernel, or is read wrongly.

use hashbrown::HashMap;

use super::{Dwarf, Inner};
use crate::types::{Composite, Kind, Type, TypeId, Types};

/// A structure or union on which the two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `struct` or `union`.
    pub kind: Kind,
    /// Its tag.
    pub name: String,
    /// How they differ.
    pub what: String,
}

/// What comparing found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Structures and unions that both describe, alike.
    pub same: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
    /// Those that only debug information has.
    pub only_here: usize,
}

impl Dwarf {
    /// Compares every structure and union that has a name with `other`.
    pub fn compare(&self, other: &Types) -> Comparison {
        let own = Types::new(other.pointer_size());
        // What the session has converted has ids of another graph.
        let mut known = HashMap::new();
        let mut comparison = Comparison::default();
        for kind in [Kind::Struct, Kind::Union] {
            for (name, entry) in self.names(kind) {
                let theirs = other.find_all(kind, &name);
                let convert = |inner: &Inner<'_>| inner.convert_with(&own, entry, &mut known);
                let Some(id) = self.with(convert) else { continue };
                let (Some(first), Type::Composite(ours)) = (theirs.first(), own.get(id)) else {
                    comparison.only_here += 1;
                    continue;
                };
                let differs = |theirs: TypeId| difference(&own, ours, other, theirs);
                if theirs.iter().any(|&theirs| differs(theirs).is_none()) {
                    comparison.same += 1;
                } else if let Some(what) = differs(*first) {
                    comparison.differences.push(Difference { kind, name, what });
                }
            }
        }
        comparison
    }
}

/// The first difference of two structures.
fn difference(own: &Types, ours: &Composite, other: &Types, theirs: TypeId) -> Option<String> {
    let Type::Composite(theirs) = other.get(theirs) else { return Some("is none in BTF".into()) };
    if ours.size != theirs.size {
        return Some(format!("{} bytes, in BTF {}", ours.size, theirs.size));
    }
    if ours.members.len() != theirs.members.len() {
        return Some(format!("{} members, in BTF {}", ours.members.len(), theirs.members.len()));
    }
    ours.members.iter().zip(&theirs.members).find_map(|(our, their)| {
        let (name, their_name) = (own.name(our.name), other.name(their.name));
        if name != their_name {
            return Some(format!("member {name}, in BTF {their_name}"));
        }
        if (our.bit_offset, our.bit_size) != (their.bit_offset, their.bit_size) {
            return Some(format!(
                "{name} at bit {} ({} wide), in BTF {} ({})",
                our.bit_offset, our.bit_size, their.bit_offset, their.bit_size
            ));
        }
        let (size, their_size) = (own.size_of(our.ty), other.size_of(their.ty));
        (size != their_size).then(|| format!("{name} has {size:?} bytes, in BTF {their_size:?}"))
    })
}
