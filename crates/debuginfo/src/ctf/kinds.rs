//! Type records, and what they become in the type graph.

use super::{CtfError, body::Header};
use crate::{
    bytes::{u16_le, u32_le},
    types::{
        Composite, CompositeKind, Enumerator, Kind, Member, Name, Param, Qualifier, Type, TypeId,
        Types,
    },
};

/// Numbers from here on are of a container that has a parent.
const CHILD: u16 = 0x8000;
/// Size that stands for a longer one behind it.
const LONG_SIZE: u16 = 0xffff;
/// From this size on members have wide offsets.
const LARGE: u64 = 8192;

/// A type record, taken apart.
struct Record {
    kind: u16,
    /// Whether it can be found by name.
    is_root: bool,
    count: usize,
    name: u32,
    /// Size in bytes, or the number of another type.
    size: u64,
    reference: u16,
    /// Where what follows the record's head lies in the body.
    extra: usize,
    end: usize,
}

/// The encoding of an INTEGER that tells how many of its bits count.
#[derive(Debug, Clone, Copy)]
struct Bits {
    offset: u64,
    width: u32,
}

pub(super) fn resolve(id: u16, first: TypeId, count: u32, parent: Option<(TypeId, u32)>) -> TypeId {
    let (index, (first, count)) = match (id >= CHILD, parent) {
        (true, Some(_)) => (id & !CHILD, (first, count)),
        (false, Some(parent)) => (id, parent),
        (_, None) => (id, (first, count)),
    };
    match u32::from(index) {
        0 => TypeId::VOID,
        index if index <= count => TypeId(first.0 + index - 1),
        _ => TypeId::LOST,
    }
}

fn parse(body: &[u8], end: usize, at: usize) -> Option<Record> {
    let info = u16_le(body, at + 4)?;
    let (kind, count) = (info >> 11, usize::from(info & 0x3ff));
    let short = u16_le(body, at + 6)?;
    let (size, extra) = if short == LONG_SIZE {
        (u64::from(u32_le(body, at + 8)?) << 32 | u64::from(u32_le(body, at + 12)?), at + 16)
    } else {
        (u64::from(short), at + 8)
    };
    let length = match kind {
        1 | 2 => 4,
        4 => 8,
        5 => 2 * count.next_multiple_of(2),
        6 | 7 if size >= LARGE => 16 * count,
        6..=8 => 8 * count,
        0 | 3 | 9..=13 => 0,
        _ => return None,
    };
    let record = Record {
        kind,
        is_root: info & 0x400 != 0,
        count,
        name: u32_le(body, at)?,
        size,
        reference: short,
        extra,
        end: extra + length,
    };
    (record.end <= end).then_some(record)
}

/// Adds all types: the first one's id, and their number.
pub(super) fn fill(
    types: &Types,
    header: &Header,
    body: &[u8],
    elf_strings: &[u8],
    parent: Option<(TypeId, u32)>,
) -> Result<(TypeId, u32), CtfError> {
    let mut records = Vec::new();
    let mut at = header.types;
    while at < header.strings {
        let record = parse(body, header.strings, at)
            .ok_or(CtfError::Damaged("a type record is impossible"))?;
        at = record.end;
        records.push(record);
        if records.len() >= usize::from(u16::MAX) {
            return Err(CtfError::Damaged("it has more types than numbers for them"));
        }
    }
    let count = records.len() as u32;
    let strings = &body[header.strings..header.strings + header.strings_len];
    let own = types.add_strings(strings).ok_or(CtfError::Full)?;
    let uses_elf = !elf_strings.is_empty();
    let foreign = if uses_elf { types.add_strings(elf_strings).ok_or(CtfError::Full)? } else { 0 };
    let names = Names {
        own,
        own_len: strings.len() as u32,
        foreign,
        foreign_len: elf_strings.len() as u32,
    };
    let bits: Vec<Option<Bits>> = records.iter().map(|record| bits(body, record)).collect();
    // Which of this container's own numbers is a bit-field's type: through typedefs, too.
    let narrow = |mut id: u16| -> Option<Bits> {
        for _ in 0..8 {
            let index = match (id >= CHILD, parent.is_some()) {
                (true, true) => id & !CHILD,
                (false, true) => return None,
                (_, false) => id,
            };
            let slot = usize::from(index).checked_sub(1)?;
            let record = records.get(slot)?;
            match record.kind {
                1 => return *bits.get(slot)?,
                10..=13 => id = record.reference,
                _ => return None,
            }
        }
        None
    };
    let first = types.add_all(|first| {
        let to = Reader { body, names, first, count, parent };
        records.iter().map(|record| to.make(record, &narrow)).collect::<Vec<_>>()
    });
    let mut index = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let id = TypeId(first.0 + number as u32);
        let name = names.get(record.name);
        let kind = match record.kind {
            1 if bits[number].is_some() => continue,
            1 | 2 | 10 => Kind::Typedef,
            6 => Kind::Struct,
            7 => Kind::Union,
            8 => Kind::Enum,
            _ => continue,
        };
        if record.kind == 8 {
            for value in 0..record.count {
                let name = u32_le(body, record.extra + 8 * value).unwrap_or(0);
                index.push((Kind::Enumerator, names.get(name), id));
            }
        }
        if record.is_root || kind != Kind::Typedef {
            index.push((kind, name, id));
        }
    }
    types.index(index);
    Ok((first, count))
}

/// The bits of an INTEGER that has fewer than its bytes: a bit-field's type.
fn bits(body: &[u8], record: &Record) -> Option<Bits> {
    if record.kind != 1 {
        return None;
    }
    let encoding = u32_le(body, record.extra)?;
    let (offset, width) = (u64::from(encoding >> 16 & 0xff), encoding & 0xffff);
    let narrow = width > 0 && width <= 64 && u64::from(width) != record.size * 8;
    (narrow || offset != 0).then_some(Bits { offset, width })
}

/// Where the two string tables begin among the graph's names.
#[derive(Debug, Clone, Copy)]
struct Names {
    own: u32,
    own_len: u32,
    foreign: u32,
    foreign_len: u32,
}

impl Names {
    fn get(&self, reference: u32) -> Name {
        let offset = reference & 0x7fff_ffff;
        let (base, len) = match reference >> 31 {
            0 => (self.own, self.own_len),
            _ => (self.foreign, self.foreign_len),
        };
        // The first byte of a table is the empty name.
        if offset == 0 || offset >= len { Name::NONE } else { Name(base + offset) }
    }
}

struct Reader<'a> {
    body: &'a [u8],
    names: Names,
    first: TypeId,
    count: u32,
    parent: Option<(TypeId, u32)>,
}

impl Reader<'_> {
    fn id(&self, id: u16) -> TypeId {
        resolve(id, self.first, self.count, self.parent)
    }

    fn make(&self, record: &Record, narrow: &dyn Fn(u16) -> Option<Bits>) -> Type {
        let name = self.names.get(record.name);
        let target = self.id(record.reference);
        let u16_at = |at: usize| u16_le(self.body, at).unwrap_or(0);
        let u32_at = |at: usize| u32_le(self.body, at).unwrap_or(0);
        match record.kind {
            1 => {
                let encoding = u32_at(record.extra) >> 24;
                Type::Int {
                    name,
                    size: record.size as u32,
                    signed: encoding & 1 != 0,
                    char: encoding & 2 != 0,
                    bool: encoding & 4 != 0,
                }
            }
            2 => Type::Float { name, size: record.size as u32 },
            3 => Type::Pointer(target),
            4 => Type::Array {
                element: self.id(u16_at(record.extra)),
                count: u32_at(record.extra + 4).into(),
            },
            5 => self.function(record, target),
            6 | 7 => Type::Composite(self.composite(record, name, narrow)),
            8 => Type::Enum {
                name,
                size: if record.size == 0 { 4 } else { record.size as u32 },
                signed: true,
                values: (0..record.count)
                    .map(|index| Enumerator {
                        name: self.names.get(u32_at(record.extra + 8 * index)),
                        value: (u32_at(record.extra + 8 * index + 4) as i32).into(),
                    })
                    .collect(),
            },
            9 => Type::Forward {
                name,
                kind: match record.reference {
                    7 => Some(CompositeKind::Union),
                    8 => None,
                    _ => Some(CompositeKind::Struct),
                },
            },
            10 => Type::Typedef { name, target },
            11 => Type::Qualified { qualifier: Qualifier::Volatile, target },
            12 => Type::Qualified { qualifier: Qualifier::Const, target },
            13 => Type::Qualified { qualifier: Qualifier::Restrict, target },
            // A placeholder, which takes a number.
            _ => Type::Void,
        }
    }

    fn function(&self, record: &Record, result: TypeId) -> Type {
        let ids = (0..record.count).map(|at| u16_le(self.body, record.extra + 2 * at).unwrap_or(0));
        let mut ids: Vec<u16> = ids.collect();
        let variadic = ids.last() == Some(&0);
        if variadic {
            ids.pop();
        }
        let params =
            ids.into_iter().map(|id| Param { name: Name::NONE, ty: self.id(id) }).collect();
        Type::Function { result, params, variadic }
    }

    fn composite(
        &self,
        record: &Record,
        name: Name,
        narrow: &dyn Fn(u16) -> Option<Bits>,
    ) -> Composite {
        let body = self.body;
        let large = record.size >= LARGE;
        let members = (0..record.count)
            .filter_map(|index| {
                let at = record.extra + index * if large { 16 } else { 8 };
                let id = u16_le(body, at + 4)?;
                let bit_offset = if large {
                    u64::from(u32_le(body, at + 8)?) << 32 | u64::from(u32_le(body, at + 12)?)
                } else {
                    u16_le(body, at + 6)?.into()
                };
                let bits = narrow(id);
                Some(Member {
                    name: self.names.get(u32_le(body, at)?),
                    ty: self.id(id),
                    bit_offset: bit_offset.checked_add(bits.map_or(0, |bits| bits.offset))?,
                    bit_size: bits.map_or(0, |bits| bits.width),
                })
            })
            .collect();
        let kind = if record.kind == 6 { CompositeKind::Struct } else { CompositeKind::Union };
        Composite { kind, name, size: record.size, members }
    }
}
