//! One interned graph of C types, whatever described them: BTF, DWARF or CTF.
//!
//! Types are added and never removed, so a [`TypeId`] stays valid and `&Type` can be held while
//! more types (of a module, of DWARF) come in. Names are offsets into interned string blobs:
//! finding a name or a member allocates nothing.

mod declare;

use std::{
    cell::Cell,
    hash::{BuildHasher, Hasher},
    sync::{Mutex, RwLock},
};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

/// A type in a [`Types`] graph. `TypeId::VOID` is `void`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`.
    pub const VOID: TypeId = TypeId(0);
    /// [`Type::Lost`].
    pub const LOST: TypeId = TypeId(u32::MAX);
}

/// An interned name; [`Types::name`] gives its text. `Name::NONE` is anonymous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(pub u32);

impl Name {
    /// No name.
    pub const NONE: Name = Name(0);
    /// Whether there is no name.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// `struct` or `union` (`class` reads as `struct`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompositeKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
}

impl CompositeKind {
    /// The C keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            CompositeKind::Struct => "struct",
            CompositeKind::Union => "union",
        }
    }
}

/// A struct or union with its members.
#[derive(Debug, Clone)]
pub struct Composite {
    /// `struct` or `union`.
    pub kind: CompositeKind,
    /// Its tag, or none.
    pub name: Name,
    /// Size in bytes.
    pub size: u64,
    /// In declaration order.
    pub members: Box<[Member]>,
}

/// A member of a struct or union.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name; none for an anonymous struct or union, or an unnamed bit-field.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
    /// Bits from the start of the composite.
    pub bit_offset: u64,
    /// Width in bits of a bit-field; 0 for an ordinary member.
    pub bit_size: u32,
}

/// A constant of an enum.
#[derive(Debug, Clone, Copy)]
pub struct Enumerator {
    /// Its name.
    pub name: Name,
    /// Its value; an unsigned 64-bit one is stored as its two's complement.
    pub value: i64,
}

/// A parameter of a function type.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name, if known.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
}

/// A type qualifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// `const`
    Const,
    /// `volatile`
    Volatile,
    /// `restrict`
    Restrict,
    /// An attribute such as `__user` or `__rcu` (BTF type tags); prints as nothing.
    Tag,
}

/// A C type.
#[derive(Debug, Clone)]
pub enum Type {
    /// `void`
    Void,
    /// One that lies in a part of the description that is missing.
    Lost,
    /// An integer, `char` and `_Bool` included.
    Int {
        /// As written: `long unsigned int`.
        name: Name,
        /// Bytes.
        size: u32,
        /// Signed.
        signed: bool,
        /// A character type.
        char: bool,
        /// `_Bool`.
        bool: bool,
    },
    /// A floating-point number.
    Float {
        /// As written.
        name: Name,
        /// Bytes.
        size: u32,
    },
    /// A pointer.
    Pointer(TypeId),
    /// An array.
    Array {
        /// Element type.
        element: TypeId,
        /// Number of elements; 0 for a flexible array member.
        count: u64,
    },
    /// A struct or union.
    Composite(Composite),
    /// An enum.
    Enum {
        /// Its tag, or none.
        name: Name,
        /// Bytes.
        size: u32,
        /// Whether its constants are signed.
        signed: bool,
        /// In declaration order.
        values: Box<[Enumerator]>,
    },
    /// A typedef.
    Typedef {
        /// Its name.
        name: Name,
        /// What it stands for.
        target: TypeId,
    },
    /// A qualified type.
    Qualified {
        /// The qualifier.
        qualifier: Qualifier,
        /// What is qualified.
        target: TypeId,
    },
    /// The type of a function.
    Function {
        /// Result.
        result: TypeId,
        /// Parameters.
        params: Box<[Param]>,
        /// Ends in `...`.
        variadic: bool,
    },
    /// A struct, union or enum that is declared and not defined.
    Forward {
        /// Its tag.
        name: Name,
        /// `struct`, `union`, or `None` for an enum.
        kind: Option<CompositeKind>,
    },
}

/// What a name in the index stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A struct tag.
    Struct,
    /// A union tag.
    Union,
    /// An enum tag.
    Enum,
    /// A typedef or a base type.
    Typedef,
    /// A constant of an enum; the index leads to the enum.
    Enumerator,
    /// A function; the index leads to its [`Type::Function`].
    Function,
    /// A global variable; the index leads to its type.
    Variable,
}

/// Where a member lies, reached through any number of anonymous and named members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberPath {
    /// Bits from the start of the outermost composite.
    pub bit_offset: u64,
    /// Width in bits of a bit-field, else 0.
    pub bit_size: u32,
    /// Its type.
    pub ty: TypeId,
}

impl MemberPath {
    /// Bytes from the start of the outermost composite.
    pub fn offset(&self) -> u64 {
        self.bit_offset / 8
    }
}

/// Deepest chain of typedefs, qualifiers, arrays and anonymous members that is followed. A
/// hostile BTF can contain a cycle; a real one is nowhere near this.
const MAX_DEPTH: u32 = 64;

/// Most anonymous structs and unions that the search for a member looks into: damaged ones can
/// hold each other so that there are 2⁶⁴ ways down.
const MAX_COMPOSITES: u32 = 1000;

struct IndexEntry {
    hash: u64,
    kind: Kind,
    name: Name,
    ty: TypeId,
}

/// How a type was made of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Derived {
    Pointer,
    Array(u64),
    Qualified(Qualifier),
}

/// The graph.
pub struct Types {
    types: boxcar::Vec<Type>,
    strings: boxcar::Vec<(u32, Box<str>)>,
    /// Held while types or strings are added; the next free string offset.
    grow: Mutex<u32>,
    index: RwLock<HashTable<IndexEntry>>,
    hasher: DefaultHashBuilder,
    /// Types that were made on demand, by what they were made of.
    derived: Mutex<HashMap<(TypeId, Derived), TypeId>>,
    /// Size of a pointer in bytes.
    pointer_size: u32,
}

impl std::fmt::Debug for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Types").field("types", &self.types.count()).finish_non_exhaustive()
    }
}

impl Types {
    /// An empty graph for a machine with pointers of `pointer_size` bytes.
    pub fn new(pointer_size: u32) -> Self {
        let types = boxcar::Vec::new();
        types.push(Type::Void);
        let strings = boxcar::Vec::new();
        strings.push((0, "\0".into()));
        Types {
            types,
            strings,
            grow: Mutex::new(1),
            index: RwLock::new(HashTable::new()),
            hasher: DefaultHashBuilder::default(),
            derived: Mutex::default(),
            pointer_size,
        }
    }

    /// Bytes of a pointer.
    pub fn pointer_size(&self) -> u32 {
        self.pointer_size
    }

    /// How many types there are, `void` included.
    pub fn len(&self) -> usize {
        self.types.count()
    }

    /// Whether only `void` is there.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// The type `id`; an unknown id reads as a lost type.
    pub fn get(&self, id: TypeId) -> &Type {
        self.types.get(id.0 as usize).unwrap_or(&Type::Lost)
    }

    /// Adds a type. It is found by name only once [`Types::index`] was told.
    pub fn add(&self, ty: Type) -> TypeId {
        let _grow = self.grow.lock().unwrap_or_else(|e| e.into_inner());
        TypeId(self.types.push(ty) as u32)
    }

    /// Adds types that refer to each other: `make` is told the id of the first, the others
    /// follow it one by one. The iterator it returns must not add types itself.
    pub fn add_all<I: IntoIterator<Item = Type>>(&self, make: impl FnOnce(TypeId) -> I) -> TypeId {
        let _grow = self.grow.lock().unwrap_or_else(|e| e.into_inner());
        let first = TypeId(self.types.count() as u32);
        for ty in make(first) {
            self.types.push(ty);
        }
        first
    }

    /// The type *pointer to `target`*: the same id every time.
    pub fn pointer_to(&self, target: TypeId) -> TypeId {
        self.derive((target, Derived::Pointer), || Type::Pointer(target))
    }

    /// The type *array of `count` elements*: the same id every time.
    pub fn array_of(&self, element: TypeId, count: u64) -> TypeId {
        self.derive((element, Derived::Array(count)), || Type::Array { element, count })
    }

    /// The qualified type: the same id every time.
    pub fn qualify(&self, target: TypeId, qualifier: Qualifier) -> TypeId {
        let make = || Type::Qualified { qualifier, target };
        self.derive((target, Derived::Qualified(qualifier)), make)
    }

    fn derive(&self, key: (TypeId, Derived), make: impl FnOnce() -> Type) -> TypeId {
        let mut derived = self.derived.lock().unwrap_or_else(|e| e.into_inner());
        *derived.entry(key).or_insert_with(|| self.add(make()))
    }

    /// The first anonymous struct or union with exactly these member names.
    pub fn anonymous(&self, kind: Kind, members: &[&str]) -> Option<TypeId> {
        let found = self.types.iter().find(|(_, ty)| {
            matches!(ty, Type::Composite(c)
                if c.name.is_none()
                    && (c.kind == CompositeKind::Struct) == (kind == Kind::Struct)
                    && c.members.len() == members.len()
                    && c.members.iter().zip(members).all(|(m, name)| self.name(m.name) == *name))
        });
        found.map(|(id, _)| TypeId(id as u32))
    }

    /// Adds a blob of NUL-terminated strings and returns the base: the string at offset `o` of
    /// the blob is `Name(base + o)`. Bytes that are not UTF-8 become `?`. `None` when 4 GiB of
    /// strings are full.
    pub fn add_strings(&self, blob: &[u8]) -> Option<u32> {
        let mut text = match std::str::from_utf8(blob) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                blob.iter().map(|&b| if b.is_ascii() { b as char } else { '?' }).collect::<String>()
            }
        };
        text.push('\0');
        let mut next = self.grow.lock().unwrap_or_else(|e| e.into_inner());
        let base = *next;
        *next = base.checked_add(u32::try_from(text.len()).ok()?)?;
        self.strings.push((base, text.into()));
        Some(base)
    }

    /// Adds one name.
    pub fn add_name(&self, name: &str) -> Name {
        if name.is_empty() {
            return Name::NONE;
        }
        self.add_strings(name.as_bytes()).map_or(Name::NONE, Name)
    }

    /// The text of a name, empty for [`Name::NONE`] and for one that does not exist.
    pub fn name(&self, name: Name) -> &str {
        // Blobs are few and the first (vmlinux) serves nearly all; the search is over their bases.
        let mut low = 0;
        let mut high = self.strings.count();
        while low + 1 < high {
            let middle = (low + high) / 2;
            match self.strings.get(middle) {
                Some((base, _)) if *base <= name.0 => low = middle,
                _ => high = middle,
            }
        }
        let Some((base, blob)) = self.strings.get(low) else { return "" };
        let Some(rest) = blob.get((name.0 - base) as usize..) else { return "" };
        let end = memchr::memchr(0, rest.as_bytes()).unwrap_or(rest.len());
        &rest[..end]
    }

    fn hash(&self, kind: Kind, name: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.write_u8(kind as u8);
        hasher.finish()
    }

    /// Makes many types findable at once.
    pub fn index(&self, entries: impl IntoIterator<Item = (Kind, Name, TypeId)>) {
        let entries = entries.into_iter();
        let mut index = self.index.write().unwrap_or_else(|e| e.into_inner());
        index.reserve(entries.size_hint().0, |e| e.hash);
        for (kind, name, ty) in entries {
            if name.is_none() {
                continue;
            }
            let hash = self.hash(kind, self.name(name));
            index.insert_unique(hash, IndexEntry { hash, kind, name, ty }, |e| e.hash);
        }
    }

    /// Every type of that kind and name, in the order in which they were indexed.
    pub fn find_all(&self, kind: Kind, name: &str) -> Vec<TypeId> {
        let hash = self.hash(kind, name);
        let index = self.index.read().unwrap_or_else(|e| e.into_inner());
        let mut found: Vec<TypeId> = index
            .iter_hash(hash)
            .filter(|e| e.kind == kind && self.name(e.name) == name)
            .map(|e| e.ty)
            .collect();
        found.sort_unstable();
        found
    }

    /// The first type of that kind and name: vmlinux comes before modules.
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        let hash = self.hash(kind, name);
        let index = self.index.read().unwrap_or_else(|e| e.into_inner());
        index
            .iter_hash(hash)
            .filter(|e| e.kind == kind && self.name(e.name) == name)
            .map(|e| e.ty)
            .min()
    }

    /// Every indexed name of a kind, unordered: for completion and searches.
    pub fn names(&self, kind: Kind) -> Vec<(&str, TypeId)> {
        let index = self.index.read().unwrap_or_else(|e| e.into_inner());
        index.iter().filter(|e| e.kind == kind).map(|e| (self.name(e.name), e.ty)).collect()
    }

    /// A struct or, failing that, a union or typedef of that name which leads to a composite.
    pub fn composite(&self, name: &str) -> Option<TypeId> {
        [Kind::Struct, Kind::Union, Kind::Typedef]
            .into_iter()
            .filter_map(|kind| self.find(kind, name))
            .find(|&id| matches!(self.get(self.strip(id)), Type::Composite(_)))
    }

    /// The value of an enum constant by name.
    pub fn enumerator(&self, name: &str) -> Option<(i64, TypeId)> {
        let id = self.find(Kind::Enumerator, name)?;
        let Type::Enum { values, .. } = self.get(id) else { return None };
        values.iter().find(|v| self.name(v.name) == name).map(|v| (v.value, id))
    }

    /// The type behind typedefs and qualifiers.
    pub fn strip(&self, mut id: TypeId) -> TypeId {
        for _ in 0..MAX_DEPTH {
            match self.get(id) {
                Type::Typedef { target, .. } | Type::Qualified { target, .. } => id = *target,
                _ => return id,
            }
        }
        TypeId::LOST
    }

    /// The type behind typedefs and qualifiers, itself.
    pub fn resolve(&self, id: TypeId) -> &Type {
        self.get(self.strip(id))
    }

    /// Size in bytes; `None` for `void`, functions, forward declarations and absurd arrays.
    pub fn size_of(&self, id: TypeId) -> Option<u64> {
        self.size_at(id, 0)
    }

    fn size_at(&self, id: TypeId, depth: u32) -> Option<u64> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.resolve(id) {
            Type::Int { size, .. } | Type::Float { size, .. } | Type::Enum { size, .. } => {
                Some((*size).into())
            }
            Type::Pointer(_) => Some(self.pointer_size.into()),
            Type::Array { element, count } => {
                self.size_at(*element, depth + 1)?.checked_mul(*count)
            }
            Type::Composite(composite) => Some(composite.size),
            _ => None,
        }
    }

    /// The struct or union behind `id`, typedefs and qualifiers followed.
    pub fn as_composite(&self, id: TypeId) -> Option<&Composite> {
        match self.resolve(id) {
            Type::Composite(composite) => Some(composite),
            _ => None,
        }
    }

    /// What a pointer or array leads to.
    pub fn pointee(&self, id: TypeId) -> Option<TypeId> {
        match self.resolve(id) {
            Type::Pointer(target) => Some(*target),
            Type::Array { element, .. } => Some(*element),
            _ => None,
        }
    }

    /// A member by name, anonymous structs and unions looked through. `path` may name members of
    /// members: `se.run_node.rb_left`; a step may have constant indexes: `pids[0].node`.
    pub fn member(&self, id: TypeId, path: &str) -> Option<MemberPath> {
        let mut at = MemberPath { bit_offset: 0, bit_size: 0, ty: id };
        for step in path.split('.') {
            let (name, mut indexes) = match step.find('[') {
                Some(open) => (&step[..open], &step[open..]),
                None => (step, ""),
            };
            let found = self.member_at(at.ty, name, 0, &Cell::new(MAX_COMPOSITES))?;
            at = MemberPath { bit_offset: at.bit_offset.checked_add(found.bit_offset)?, ..found };
            while let Some(rest) = indexes.strip_prefix('[') {
                let close = rest.find(']')?;
                let index: u64 = rest[..close].trim().parse().ok()?;
                let Type::Array { element, .. } = self.resolve(at.ty) else { return None };
                let skip = self.size_of(*element)?.checked_mul(index)?.checked_mul(8)?;
                at.bit_offset = at.bit_offset.checked_add(skip)?;
                at.ty = *element;
                indexes = &rest[close + 1..];
            }
        }
        Some(at)
    }

    fn member_at(
        &self,
        id: TypeId,
        name: &str,
        depth: u32,
        left: &Cell<u32>,
    ) -> Option<MemberPath> {
        left.set(left.get().checked_sub(1)?);
        if depth > MAX_DEPTH {
            return None;
        }
        let composite = self.as_composite(id)?;
        for member in &composite.members {
            if member.name.is_none() {
                if let Some(inner) = self.member_at(member.ty, name, depth + 1, left) {
                    let bit_offset = inner.bit_offset.checked_add(member.bit_offset)?;
                    return Some(MemberPath { bit_offset, ..inner });
                }
            } else if self.name(member.name) == name {
                return Some(MemberPath {
                    bit_offset: member.bit_offset,
                    bit_size: member.bit_size,
                    ty: member.ty,
                });
            }
        }
        None
    }

    /// The tag or name of a type, empty when it has none.
    pub fn type_name(&self, id: TypeId) -> &str {
        match self.get(id) {
            Type::Int { name, .. }
            | Type::Float { name, .. }
            | Type::Enum { name, .. }
            | Type::Typedef { name, .. }
            | Type::Forward { name, .. }
            | Type::Composite(Composite { name, .. }) => self.name(*name),
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_head() -> (Types, TypeId) {
        let types = Types::new(8);
        let base = types.add_strings(b"\0list_head\0next\0prev\0").unwrap();
        let name = |o: u32| Name(base + o);
        let pointer = types.add(Type::Pointer(TypeId(2)));
        let members = Box::new([
            Member { name: name(11), ty: pointer, bit_offset: 0, bit_size: 0 },
            Member { name: name(16), ty: pointer, bit_offset: 64, bit_size: 0 },
        ]);
        let list = types.add(Type::Composite(Composite {
            kind: CompositeKind::Struct,
            name: name(1),
            size: 16,
            members,
        }));
        types.index([(Kind::Struct, name(1), list)]);
        (types, list)
    }

    #[test]
    fn finds_types_and_members_by_name() {
        let (types, list) = list_head();
        assert_eq!(types.find(Kind::Struct, "list_head"), Some(list));
        assert_eq!(types.find(Kind::Union, "list_head"), None);
        assert_eq!(types.member(list, "prev").unwrap().offset(), 8);
        assert!(types.member(list, "none").is_none());
        assert_eq!(types.size_of(list), Some(16));
    }

    #[test]
    fn writes_declarations_as_c_does() {
        let (types, list) = list_head();
        let array = types.add(Type::Array { element: list, count: 4 });
        let pointer = types.add(Type::Pointer(array));
        assert_eq!(types.declare(pointer, "p"), "struct list_head (*p)[4]");
        let function = types.add(Type::Function {
            result: TypeId::VOID,
            params: Box::new([Param { name: Name::NONE, ty: TypeId(1) }]),
            variadic: false,
        });
        let callback = types.add(Type::Pointer(function));
        assert_eq!(types.declare(callback, "notify"), "void (*notify)(struct list_head *)");
        assert_eq!(types.display(TypeId(1)), "struct list_head *");
    }

    #[test]
    fn a_cycle_of_typedefs_ends() {
        let types = Types::new(8);
        let name = types.add_name("loop");
        let id = types.add(Type::Typedef { name, target: TypeId(1) });
        assert_eq!(types.strip(id), TypeId::LOST);
        assert_eq!(types.size_of(id), None);
    }
}
