//! BTF: the kernel's own description of its types, in its read-only data.
//!
//! Layout from `include/uapi/linux/btf.h`. A header, a section of type records that are numbered
//! from 1 as they lie, and a section of NUL-terminated strings. A module's BTF is *split*: its
//! type numbers and string offsets continue those of vmlinux.
//!
//! What is damaged costs as little as possible: a reference to a type that does not exist becomes
//! `void`, a record that cannot be read ends the walk, and [`BtfBase::damage`] says so.

mod holes;

use std::ops::Range;

use crate::types::{
    Composite, CompositeKind, Enumerator, Kind, Member, Name, Param, Qualifier, Type, TypeId, Types,
};

/// Why a BTF blob could not be read, or where it is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The first two bytes are not `0xEB9F`.
    #[error("no BTF here (magic {0:#06x})")]
    Magic(u16),
    /// A header version that nobody has defined yet.
    #[error("BTF version {0} is not known")]
    Version(u8),
    /// The header, or a section it names, ends beyond the data.
    #[error("BTF {what} ends at byte {end}, beyond the {length} bytes there are")]
    Truncated {
        /// What is cut short.
        what: &'static str,
        /// Where it would end, in bytes.
        end: u64,
        /// Bytes of the blob.
        length: u64,
    },
    /// More than 4 GiB of names.
    #[error("no room for more names")]
    Strings,
    /// A type record of an unknown kind, whose length is therefore unknown.
    #[error("BTF type {id} is of unknown kind {kind}; types after it are lost")]
    Kind {
        /// Number of the type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
    /// A type record reaches beyond the type section.
    #[error("BTF type {id} ends beyond the type section; types after it are lost")]
    Record {
        /// Number of the type.
        id: u32,
    },
    /// A part of the blob is missing, and where the records go on behind it cannot be told.
    #[error("BTF types from {id} on are lost: a part of them is missing")]
    Hole {
        /// Number of the first lost type.
        id: u32,
    },
    /// Types that lie in a missing part of the blob.
    #[error("{count} BTF types from {id} on are lost: they lie in a missing part")]
    Lost {
        /// How many.
        count: u32,
        /// Number of the first lost type.
        id: u32,
    },
    /// References to types that do not exist; they read as `void`.
    #[error("{count} references to BTF types that do not exist, the first in type {id}")]
    Reference {
        /// How many.
        count: u32,
        /// Number of the first type that holds one.
        id: u32,
    },
}

/// What is known of a loaded BTF: what a split BTF on top of it needs.
#[derive(Debug)]
pub struct BtfBase {
    /// Number of its first type: 1, or for a split BTF that after the base's last.
    first_id: u32,
    /// Where each of its types went.
    ids: Vec<TypeId>,
    string_base: u32,
    string_length: u32,
    /// Offset of its first string: 0, or for a split BTF the length of the base's.
    first_string: u32,
    /// Enums say whether they are signed (pahole 1.24).
    signed_enums: bool,
    /// Offsets of names that are missing.
    lost_names: Vec<Range<u32>>,
    damage: Option<BtfError>,
}

impl BtfBase {
    /// The type with that BTF number; `None` for one that is not in this blob or is no type
    /// (a function, a variable, a section, a declaration tag).
    pub fn type_id(&self, id: u32) -> Option<TypeId> {
        if id == 0 {
            return Some(TypeId::VOID);
        }
        let at = id.checked_sub(self.first_id)? as usize;
        self.ids.get(at).copied().filter(|&ty| ty != TypeId::VOID)
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// What was found damaged, if anything.
    pub fn damage(&self) -> Option<&BtfError> {
        self.damage.as_ref()
    }

    fn next_id(&self) -> u32 {
        self.first_id.saturating_add(self.ids.len() as u32)
    }

    fn string(&self, offset: u32) -> Option<Name> {
        let own = offset.checked_sub(self.first_string)?;
        if self.lost_names.iter().any(|lost| lost.contains(&own)) {
            return None;
        }
        (own < self.string_length).then(|| Name(self.string_base + own))
    }
}

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FWD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_FLOAT: u32 = 16;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

const INT_SIGNED: u32 = 1;
const INT_CHAR: u32 = 2;
const INT_BOOL: u32 = 4;

/// Bytes that every record begins with: name, info, size or type.
const RECORD: usize = 12;

/// Longest chain of typedefs and qualifiers before the integer of a bit-field.
const MAX_CHAIN: usize = 32;

/// `struct btf_type` with the position of what follows it.
#[derive(Clone, Copy)]
struct Record {
    name: u32,
    info: u32,
    size_or_type: u32,
    /// Byte offset, in the type section, of what follows the common part.
    rest: usize,
}

impl Record {
    fn kind(&self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    /// Number of members, constants or parameters. Bits 16 to 23 have always been zero.
    fn count(&self) -> usize {
        (self.info & 0x00ff_ffff) as usize
    }

    fn flag(&self) -> bool {
        self.info >> 31 != 0
    }

    /// Bytes of what follows the common part; `None` for an unknown kind.
    fn rest_length(&self) -> Option<usize> {
        Some(match self.kind() {
            KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
            KIND_ARRAY => 12,
            KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * self.count(),
            KIND_ENUM | KIND_FUNC_PROTO => 8 * self.count(),
            KIND_PTR | KIND_FWD | KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT
            | KIND_FUNC | KIND_FLOAT | KIND_TYPE_TAG => 0,
            _ => return None,
        })
    }

    /// Whether it becomes a type of the graph.
    fn is_type(&self) -> bool {
        !matches!(self.kind(), KIND_FUNC | KIND_VAR | KIND_DATASEC | KIND_DECL_TAG)
    }
}

/// The two sections of a blob and its byte order.
struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    big_endian: bool,
    /// Where both begin in the blob.
    types_at: usize,
    strings_at: usize,
}

impl<'a> Sections<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        let short = |what, end| BtfError::Truncated { what, end, length: data.len() as u64 };
        let header = data.get(..24).ok_or(short("header", 24))?;
        let big_endian = match [header[0], header[1]] {
            [0x9f, 0xeb] => false,
            [0xeb, 0x9f] => true,
            other => return Err(BtfError::Magic(u16::from_le_bytes(other))),
        };
        if header[2] != 1 {
            return Err(BtfError::Version(header[2]));
        }
        let mut sections =
            Sections { types: header, strings: &[], big_endian, types_at: 0, strings_at: 0 };
        let field = |index: usize| u64::from(sections.word(4 + index * 4).unwrap_or(0));
        let section = |what, offset: u64, length: u64| {
            let start = field(0) + offset;
            let end = start + length;
            data.get(start as usize..end as usize).ok_or(short(what, end))
        };
        let types = section("type section", field(1), field(2))?;
        let strings = section("string section", field(3), field(4))?;
        // Both fit, so these do too.
        (sections.types_at, sections.strings_at) =
            ((field(0) + field(1)) as usize, (field(0) + field(3)) as usize);
        sections.types = types;
        sections.strings = strings;
        Ok(sections)
    }

    /// A word of the type section.
    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.types.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn record(&self, at: usize) -> Option<Record> {
        Some(Record {
            name: self.word(at)?,
            info: self.word(at + 4)?,
            size_or_type: self.word(at + 8)?,
            rest: at + RECORD,
        })
    }
}

/// Adds all types and names of a BTF blob to `types` and makes them findable: structs, unions,
/// enums, typedefs and base types, constants, functions and variables (those in the blob: in
/// practice the per-CPU ones). A module's blob needs vmlinux's as `base`.
///
/// # Errors
/// When the header is damaged or a section is not wholly there. Damage further in is reported by
/// [`BtfBase::damage`].
pub fn load_btf(types: &Types, data: &[u8], base: Option<&BtfBase>) -> Result<BtfBase, BtfError> {
    load_btf_with_holes(types, data, base, &[])
}

/// As [`load_btf`], of a blob of which some parts are missing: `holes`, in bytes, ascending and
/// without overlap, which read as zeros. What lies in them is lost, and the rest is not.
///
/// # Errors
/// As [`load_btf`]: the header must be there.
pub fn load_btf_with_holes(
    types: &Types,
    data: &[u8],
    base: Option<&BtfBase>,
    holes: &[Range<usize>],
) -> Result<BtfBase, BtfError> {
    let sections = Sections::parse(data)?;
    let within = |start: usize, length: usize| -> Vec<Range<usize>> {
        let parts = holes.iter().map(|hole| {
            hole.start.saturating_sub(start).min(length)..hole.end.saturating_sub(start).min(length)
        });
        parts.filter(|part| !part.is_empty()).collect()
    };
    let type_holes = within(sections.types_at, sections.types.len());
    let name_holes = within(sections.strings_at, sections.strings.len());
    let string_base = types.add_strings(sections.strings).ok_or(BtfError::Strings)?;
    let mut loaded = BtfBase {
        first_id: base.map_or(1, BtfBase::next_id),
        ids: Vec::new(),
        string_base,
        string_length: sections.strings.len() as u32,
        first_string: base.map_or(0, |b| b.first_string.saturating_add(b.string_length)),
        signed_enums: base.is_some_and(|b| b.signed_enums),
        lost_names: holes::lost_names(sections.strings, &name_holes),
        damage: None,
    };
    let walk = Walk::new(&sections, &mut loaded, &type_holes);
    let mut names = Vec::with_capacity(walk.records.len() * 2);
    let builder = Builder { sections: &sections, walk: &walk, base, loaded: &loaded, types };
    let (mut bad, mut first_bad) = (0u32, 0u32);
    let first = types.add_all(|first| {
        walk.records.iter().enumerate().filter_map({
            let (builder, names, bad, first_bad) = (&builder, &mut names, &mut bad, &mut first_bad);
            let mut next = first;
            move |(index, record)| {
                let mut references = References { builder, first, bad: 0 };
                let built = references.build(record, next, names);
                if references.bad > 0 {
                    if *bad == 0 {
                        *first_bad = builder.loaded.first_id.saturating_add(index as u32);
                    }
                    *bad = bad.saturating_add(references.bad);
                }
                if built.is_some() {
                    next.0 += 1;
                }
                built
            }
        })
    });
    types.index(names);
    for (id, record) in loaded.ids.iter_mut().zip(&walk.records) {
        if record.is_type() {
            id.0 = id.0.saturating_add(first.0).saturating_sub(1);
        }
    }
    if bad > 0 && loaded.damage.is_none() {
        loaded.damage = Some(BtfError::Reference { count: bad, id: first_bad });
    }
    Ok(loaded)
}

/// The records in order, found in a first pass since types refer forward.
struct Walk {
    records: Vec<Record>,
    /// Some integer has fewer bits than its bytes: bit-fields as before `kind_flag` (Linux 5.0).
    odd_integers: bool,
}

impl Walk {
    /// Fills `loaded.ids` with one plus the position among the types of the graph, or void.
    fn new(sections: &Sections<'_>, loaded: &mut BtfBase, holes: &[Range<usize>]) -> Walk {
        let most = sections.types.len() / RECORD;
        let mut walk = Walk { records: Vec::with_capacity(most / 2), odd_integers: false };
        loaded.ids.reserve(most / 2);
        let mut at = 0;
        let mut position = 0;
        while at < sections.types.len() {
            let id = loaded.next_id();
            let mut following = holes.iter().skip_while(|hole| hole.end <= at);
            let hole = following.next();
            let next = following.next().map_or(sections.types.len(), |hole| hole.start);
            if let Some(hole) = hole.filter(|hole| hole.start < at + RECORD) {
                let Some((resumed, lost)) = holes::resume(sections, at, id, hole, next) else {
                    loaded.damage = Some(BtfError::Hole { id });
                    break;
                };
                loaded.damage = Some(BtfError::Lost { count: lost as u32, id });
                walk.lose(loaded, lost);
                at = resumed;
                continue;
            }
            let Some(record) = sections.record(at) else {
                loaded.damage = Some(BtfError::Record { id });
                break;
            };
            let Some(length) = record.rest_length() else {
                loaded.damage = Some(BtfError::Kind { id, kind: record.kind() });
                break;
            };
            at = record.rest + length;
            if at > sections.types.len() {
                loaded.damage = Some(BtfError::Record { id });
                break;
            }
            if hole.is_some_and(|hole| hole.start < at) {
                loaded.damage = Some(BtfError::Lost { count: 1, id });
                walk.lose(loaded, 1);
                continue;
            }
            match record.kind() {
                KIND_INT => {
                    let encoding = sections.word(record.rest).unwrap_or(0);
                    let whole = record.size_or_type.saturating_mul(8);
                    walk.odd_integers |= encoding & 0xff != whole || (encoding >> 16) & 0xff != 0;
                }
                KIND_ENUM | KIND_ENUM64 => loaded.signed_enums |= record.flag(),
                _ => {}
            }
            if record.is_type() {
                position += 1;
                loaded.ids.push(TypeId(position));
            } else {
                loaded.ids.push(TypeId::VOID);
            }
            walk.records.push(record);
        }
        walk
    }

    /// Numbers that nothing is known of.
    fn lose(&mut self, loaded: &mut BtfBase, count: usize) {
        // A record that becomes no type, and that nothing asks for anything.
        let nothing = Record { name: 0, info: KIND_DECL_TAG << 24, size_or_type: 0, rest: 0 };
        self.records.extend(std::iter::repeat_n(nothing, count));
        loaded.ids.extend(std::iter::repeat_n(TypeId::VOID, count));
    }
}

/// What turning a record into a type needs.
struct Builder<'a> {
    sections: &'a Sections<'a>,
    walk: &'a Walk,
    base: Option<&'a BtfBase>,
    loaded: &'a BtfBase,
    types: &'a Types,
}

impl Builder<'_> {
    fn name(&self, offset: u32) -> Name {
        if offset == 0 {
            return Name::NONE;
        }
        let own = self.loaded.string(offset);
        own.or_else(|| self.base?.string(offset)).unwrap_or(Name::NONE)
    }

    /// Bit offset and width of an integer that is narrower than its bytes, typedefs and
    /// qualifiers followed: the bit-field encoding without `kind_flag`.
    fn odd_integer(&self, mut id: u32) -> Option<(u32, u32)> {
        if !self.walk.odd_integers {
            return None;
        }
        for _ in 0..MAX_CHAIN {
            let index = id.checked_sub(self.loaded.first_id)? as usize;
            let record = self.walk.records.get(index)?;
            match record.kind() {
                KIND_TYPEDEF | KIND_CONST | KIND_VOLATILE | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = record.size_or_type;
                }
                KIND_INT => {
                    let encoding = self.sections.word(record.rest)?;
                    let (offset, bits) = ((encoding >> 16) & 0xff, encoding & 0xff);
                    let whole = record.size_or_type.saturating_mul(8);
                    return (bits != whole || offset != 0).then_some((offset, bits));
                }
                _ => return None,
            }
        }
        None
    }
}

/// Resolves references while one record is built, counting those that lead nowhere.
struct References<'a> {
    builder: &'a Builder<'a>,
    /// Where the first type of this blob goes.
    first: TypeId,
    bad: u32,
}

impl References<'_> {
    fn ty(&mut self, id: u32) -> TypeId {
        if id == 0 {
            return TypeId::VOID;
        }
        let loaded = self.builder.loaded;
        let found = if id >= loaded.first_id {
            let position = loaded.type_id(id).map(|position| position.0 - 1);
            position.and_then(|position| self.first.0.checked_add(position)).map(TypeId)
        } else {
            self.builder.base.and_then(|base| base.type_id(id))
        };
        found.unwrap_or_else(|| {
            self.bad = self.bad.saturating_add(1);
            TypeId::LOST
        })
    }

    fn word(&self, at: usize) -> u32 {
        self.builder.sections.word(at).unwrap_or(0)
    }

    /// The type that `record` describes, which will be `id`; what it is found by goes to `names`.
    fn build(
        &mut self,
        record: &Record,
        id: TypeId,
        names: &mut Vec<(Kind, Name, TypeId)>,
    ) -> Option<Type> {
        let name = self.builder.name(record.name);
        let size = record.size_or_type;
        Some(match record.kind() {
            KIND_INT => {
                names.push((Kind::Typedef, name, id));
                let encoding = self.word(record.rest) >> 24;
                let text = self.builder.types.name(name);
                // pahole marks neither `char` nor, at times, `_Bool`.
                let char = encoding & INT_CHAR != 0
                    || matches!(text, "char" | "signed char" | "unsigned char");
                let bool = encoding & INT_BOOL != 0 || text == "_Bool";
                Type::Int { name, size, signed: encoding & INT_SIGNED != 0, char, bool }
            }
            KIND_FLOAT => {
                names.push((Kind::Typedef, name, id));
                Type::Float { name, size }
            }
            KIND_PTR => Type::Pointer(self.ty(size)),
            KIND_ARRAY => Type::Array {
                element: self.ty(self.word(record.rest)),
                count: self.word(record.rest + 8).into(),
            },
            KIND_STRUCT => {
                names.push((Kind::Struct, name, id));
                self.composite(record, CompositeKind::Struct, name)
            }
            KIND_UNION => {
                names.push((Kind::Union, name, id));
                self.composite(record, CompositeKind::Union, name)
            }
            KIND_ENUM | KIND_ENUM64 => {
                names.push((Kind::Enum, name, id));
                let ty = self.enumeration(record, name);
                if let Type::Enum { values, .. } = &ty {
                    names.extend(values.iter().map(|v| (Kind::Enumerator, v.name, id)));
                }
                ty
            }
            KIND_FWD => {
                let kind = if record.flag() { CompositeKind::Union } else { CompositeKind::Struct };
                Type::Forward { name, kind: Some(kind) }
            }
            KIND_TYPEDEF => {
                names.push((Kind::Typedef, name, id));
                Type::Typedef { name, target: self.ty(size) }
            }
            KIND_VOLATILE => self.qualified(Qualifier::Volatile, size),
            KIND_CONST => self.qualified(Qualifier::Const, size),
            KIND_RESTRICT => self.qualified(Qualifier::Restrict, size),
            KIND_TYPE_TAG => self.qualified(Qualifier::Tag, size),
            KIND_FUNC_PROTO => self.function(record),
            KIND_FUNC => {
                let prototype = self.ty(size);
                names.push((Kind::Function, name, prototype));
                return None;
            }
            KIND_VAR => {
                let ty = self.ty(size);
                names.push((Kind::Variable, name, ty));
                return None;
            }
            _ => return None,
        })
    }

    fn qualified(&mut self, qualifier: Qualifier, target: u32) -> Type {
        Type::Qualified { qualifier, target: self.ty(target) }
    }

    fn composite(&mut self, record: &Record, kind: CompositeKind, name: Name) -> Type {
        let members = (0..record.count())
            .map(|index| {
                let at = record.rest + index * 12;
                let ty = self.word(at + 4);
                let offset = self.word(at + 8);
                let (bit_offset, bit_size) = if record.flag() {
                    (offset & 0x00ff_ffff, offset >> 24)
                } else if let Some((skip, bits)) = self.builder.odd_integer(ty) {
                    (offset.saturating_add(skip), bits)
                } else {
                    (offset, 0)
                };
                Member {
                    name: self.builder.name(self.word(at)),
                    ty: self.ty(ty),
                    bit_offset: bit_offset.into(),
                    bit_size,
                }
            })
            .collect();
        Type::Composite(Composite { kind, name, size: record.size_or_type.into(), members })
    }

    fn enumeration(&mut self, record: &Record, name: Name) -> Type {
        let wide = record.kind() == KIND_ENUM64;
        let step = if wide { 12 } else { 8 };
        let flagged = self.builder.loaded.signed_enums;
        let values: Box<[Enumerator]> = (0..record.count())
            .map(|index| {
                let at = record.rest + index * step;
                let low = self.word(at + 4);
                let value = if wide {
                    (u64::from(self.word(at + 8)) << 32 | u64::from(low)).cast_signed()
                } else if record.flag() || !flagged {
                    low.cast_signed().into()
                } else {
                    low.into()
                };
                Enumerator { name: self.builder.name(self.word(at)), value }
            })
            .collect();
        // Before enums had the flag, only a negative constant tells.
        let signed = record.flag() || (!flagged && values.iter().any(|v| v.value < 0));
        Type::Enum { name, size: record.size_or_type, signed, values }
    }

    fn function(&mut self, record: &Record) -> Type {
        let parameter = |index: usize| record.rest + index * 8;
        let mut count = record.count();
        // A last parameter without name and type is the `...`.
        let variadic = count > 0
            && self.word(parameter(count - 1)) == 0
            && self.word(parameter(count - 1) + 4) == 0;
        count -= usize::from(variadic);
        let params = (0..count)
            .map(|index| Param {
                name: self.builder.name(self.word(parameter(index))),
                ty: self.ty(self.word(parameter(index) + 4)),
            })
            .collect();
        Type::Function { result: self.ty(record.size_or_type), params, variadic }
    }
}

/// Searches memory for a BTF blob, for kernels whose symbol `__start_BTF` is not to be had. `region`
/// holds pieces of the kernel's read-only data, each with its virtual address. Returns address and
/// length of the largest blob that is wholly inside one piece.
pub fn find_btf(region: &[(u64, &[u8])]) -> Option<(u64, u64)> {
    let mut best: Option<(u64, u64)> = None;
    for (address, bytes) in region {
        for magic in [[0x9f, 0xeb, 1, 0], [0xeb, 0x9f, 1, 0]] {
            for at in memchr::memmem::find_iter(bytes, &magic) {
                let Ok(sections) = Sections::parse(&bytes[at..]) else { continue };
                // The string section comes last and begins with the empty string.
                if sections.types.is_empty() || sections.strings.first() != Some(&0) {
                    continue;
                }
                let end = sections.strings.as_ptr_range().end.addr();
                let length = (end - bytes[at..].as_ptr().addr()) as u64;
                if best.is_none_or(|(_, longest)| length > longest) {
                    best = Some((address + at as u64, length));
                }
            }
        }
    }
    best
}
