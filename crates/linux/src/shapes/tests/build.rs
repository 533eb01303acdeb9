//! Types made by hand.

use necropsy_debuginfo::{
    Composite, CompositeKind, Enumerator, Kind, Member, Name, Type, TypeId, Types,
};

use crate::shape::Form;

/// Types of a kernel, from a short text: `tag { member: type, … }` for a structure, which may use
/// those before it; `enum { NAME = value, … }` for constants. Types are `int`, `long`, a tag,
/// `*type` and `type[count]`. Members lie one behind the other, aligned to their size.
pub(super) struct Build {
    pub(super) types: Types,
}

impl Build {
    pub(super) fn new(text: &str) -> Build {
        let build = Build { types: Types::new(8) };
        for (name, size) in [("int", 4), ("long", 8), ("char", 1), ("short", 2)] {
            let (char, bool) = (size == 1, false);
            let name = build.types.add_name(name);
            let ty = build.types.add(Type::Int { name, size, signed: true, char, bool });
            build.types.index([(Kind::Typedef, name, ty)]);
        }
        for definition in text.split('}').map(str::trim).filter(|text| !text.is_empty()) {
            let (tag, body) = definition.split_once('{').expect("tag { … }");
            let parts = body.split(',').map(str::trim).filter(|part| !part.is_empty());
            match tag.trim() {
                "enum" => build.enumeration(parts),
                tag => {
                    let members: Vec<(&str, TypeId)> = parts
                        .map(|part| part.split_once(':').expect("member: type"))
                        .map(|(name, ty)| (name.trim(), build.ty(ty.trim())))
                        .collect();
                    build.structure(tag, &members);
                }
            }
        }
        build
    }

    /// A structure that has just one member, at the end of a path, of a type of that form.
    pub(super) fn path(tag: &str, path: &str, form: Form) -> Build {
        let build = Build::new("one { one: int }");
        let mut ty = build.ty(match form {
            Form::Array => "int[4]",
            Form::Pointer => "*int",
            Form::Structs => "*one",
            Form::Numbers => "*int",
            _ => "int",
        });
        let parts: Vec<&str> = path.split('.').collect();
        for (depth, part) in parts.iter().enumerate().rev() {
            let name = match part.split_once('[') {
                Some((name, _)) => {
                    ty = build.types.array_of(ty, 4);
                    name
                }
                None => part,
            };
            let outer = if depth == 0 { tag.to_owned() } else { format!("part{depth}") };
            ty = build.structure(&outer, &[("before", build.ty("long")), (name, ty)]);
        }
        build
    }

    fn ty(&self, text: &str) -> TypeId {
        if let Some(target) = text.strip_prefix('*') {
            return self.types.pointer_to(self.ty(target));
        }
        if let Some((element, count)) = text.strip_suffix(']').and_then(|t| t.split_once('[')) {
            return self.types.array_of(self.ty(element), count.parse().expect("a count"));
        }
        let known = self.types.composite(text).or_else(|| self.types.find(Kind::Typedef, text));
        known.unwrap_or_else(|| panic!("{text} is not defined yet"))
    }

    fn structure(&self, tag: &str, members: &[(&str, TypeId)]) -> TypeId {
        let (mut at, mut laid) = (0u64, Vec::new());
        for (name, ty) in members {
            let size = self.types.size_of(*ty).unwrap_or(0);
            at = at.next_multiple_of(size.clamp(1, 8).next_power_of_two());
            let name = self.types.add_name(name);
            laid.push(Member { name, ty: *ty, bit_offset: at * 8, bit_size: 0 });
            at += size;
        }
        let name = self.types.add_name(tag);
        let (kind, size) = (CompositeKind::Struct, at.next_multiple_of(8));
        let members = laid.into();
        let ty = self.types.add(Type::Composite(Composite { kind, name, size, members }));
        self.types.index([(Kind::Struct, name, ty)]);
        ty
    }

    fn enumeration<'a>(&self, parts: impl Iterator<Item = &'a str>) {
        let values: Box<[Enumerator]> = parts
            .map(|part| part.split_once('=').expect("NAME = value"))
            .map(|(name, value)| Enumerator {
                name: self.types.add_name(name.trim()),
                value: value.trim().parse().expect("a number"),
            })
            .collect();
        let names: Vec<Name> = values.iter().map(|value| value.name).collect();
        let ty = self.types.add(Type::Enum { name: Name::NONE, size: 4, signed: true, values });
        self.types.index(names.into_iter().map(|name| (Kind::Enumerator, name, ty)));
    }
}
