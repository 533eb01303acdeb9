//! Which member lies at an offset of a structure.

use necropsy_debuginfo::{Type, TypeId, Types};

/// Deepest nesting that is looked into.
const MAX_DEPTH: u32 = 24;

/// The most members that are looked at.
const MAX_MEMBERS: u32 = 20_000;

/// The member of `ty` that begins at `offset` bytes and has `size` bytes (0: any size, then the
/// outermost that begins there): its path, `f_path.dentry` or `ids[2].rwsem`, and its type.
pub(super) fn at(types: &Types, ty: TypeId, offset: u64, size: u64) -> Option<(String, TypeId)> {
    let mut left = MAX_MEMBERS;
    find(types, ty, offset, size, 0, &mut left)
        .map(|(path, ty)| (path.trim_start_matches('.').to_owned(), ty))
}

fn find(
    types: &Types,
    ty: TypeId,
    offset: u64,
    size: u64,
    depth: u32,
    left: &mut u32,
) -> Option<(String, TypeId)> {
    if depth > MAX_DEPTH {
        return None;
    }
    match types.resolve(ty) {
        Type::Composite(composite) => {
            let mut first = None;
            for member in &composite.members {
                *left = left.checked_sub(1)?;
                let Some(within) = offset.checked_sub(member.bit_offset / 8) else { continue };
                // Bit-fields are read by the bytes that hold them, together with others.
                let member_size = types.size_of(member.ty).unwrap_or(0);
                if member.bit_size != 0 || within >= member_size.max(1) {
                    continue;
                }
                let name = types.name(member.name);
                let prefix = if name.is_empty() { String::new() } else { format!(".{name}") };
                let whole = within == 0 && !name.is_empty() && (size == 0 || size == member_size);
                let found = if whole {
                    Some((prefix, member.ty))
                } else {
                    find(types, member.ty, within, size, depth + 1, left)
                        .map(|(rest, ty)| (format!("{prefix}{rest}"), ty))
                };
                // Of a union the first member that fits exactly.
                match found {
                    Some(found) => return Some(found),
                    None if first.is_none() && within == 0 && size == 0 => {
                        first = (!name.is_empty()).then(|| (format!(".{name}"), member.ty));
                    }
                    None => {}
                }
            }
            first
        }
        Type::Array { element, count } => {
            let step = types.size_of(*element).filter(|step| *step > 0)?;
            let index = offset / step;
            if *count != 0 && index >= *count {
                return None;
            }
            let within = offset % step;
            if within == 0 && (size == 0 || size == step) {
                return Some((format!("[{index}]"), *element));
            }
            find(types, *element, within, size, depth + 1, left)
                .map(|(rest, ty)| (format!("[{index}]{rest}"), ty))
        }
        _ => None,
    }
}

/// The array that begins at `offset` and has elements of `step` bytes.
pub(super) fn array_at(
    types: &Types,
    ty: TypeId,
    offset: u64,
    step: u64,
) -> Option<(String, TypeId)> {
    array_within(types, ty, offset, step, 0)
}

/// Structures within each other: a damaged one may hold itself.
const MAX_NESTED: u32 = 32;

fn array_within(
    types: &Types,
    ty: TypeId,
    offset: u64,
    step: u64,
    depth: u32,
) -> Option<(String, TypeId)> {
    let composite = types.as_composite(ty).filter(|_| depth < MAX_NESTED)?;
    composite.members.iter().find_map(|member| {
        let within = offset.checked_sub(member.bit_offset / 8)?;
        let name = types.name(member.name);
        let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
        match types.resolve(member.ty) {
            Type::Array { element, .. } => {
                let fits = within == 0 && types.size_of(*element) == Some(step);
                (fits && !name.is_empty()).then(|| (name.to_owned(), *element))
            }
            Type::Composite(inner) if within < inner.size.max(1) => {
                array_within(types, member.ty, within, step, depth + 1)
                    .map(|(rest, ty)| (format!("{prefix}{rest}"), ty))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use necropsy_debuginfo::{Composite, CompositeKind, Member, Name};

    use super::*;

    /// `struct outer { int id; struct { long a; }; struct inner { int x, y; } ids[2]; };`
    fn outer() -> (Types, TypeId) {
        let types = Types::new(8);
        let int = |name: &str, size| {
            let name = types.add_name(name);
            types.add(Type::Int { name, size, signed: true, char: false, bool: false })
        };
        let (int32, long) = (int("int", 4), int("long int", 8));
        let member = |name: &str, ty, offset: u64| Member {
            name: if name.is_empty() { Name::NONE } else { types.add_name(name) },
            ty,
            bit_offset: offset * 8,
            bit_size: 0,
        };
        let composite = |size, members: Vec<Member>| {
            let (kind, name) = (CompositeKind::Struct, Name::NONE);
            types.add(Type::Composite(Composite { kind, name, size, members: members.into() }))
        };
        let inner = composite(8, vec![member("x", int32, 0), member("y", int32, 4)]);
        let nameless = composite(8, vec![member("a", long, 0)]);
        let ids = types.array_of(inner, 2);
        let outer = composite(
            32,
            vec![member("id", int32, 0), member("", nameless, 8), member("ids", ids, 16)],
        );
        (types, outer)
    }

    #[test]
    fn names_what_lies_at_an_offset() {
        let (types, outer) = outer();
        let path = |offset, size| at(&types, outer, offset, size).map(|(path, _)| path);
        assert_eq!(path(0, 4).as_deref(), Some("id"));
        assert_eq!(path(8, 8).as_deref(), Some("a"));
        assert_eq!(path(28, 4).as_deref(), Some("ids[1].y"));
        // Of an address alone the outermost member that begins there.
        assert_eq!(path(16, 0).as_deref(), Some("ids"));
        assert_eq!(path(24, 0).as_deref(), Some("ids[1]"));
        assert_eq!(path(0, 2), None, "no member has two bytes there");
        assert_eq!(path(32, 4), None);
        let array = array_at(&types, outer, 16, 8).map(|(path, _)| path);
        assert_eq!(array.as_deref(), Some("ids"));
        assert_eq!(array_at(&types, outer, 16, 4), None);
    }
}
