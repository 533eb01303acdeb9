//! Types from DWARF into the graph that BTF fills, too.
//!
//! Every unit describes `task_struct` anew, with all that hangs on it. So a structure that the graph
//! has already, with the same members at the same places, is taken from there; the rest is
//! converted once per entry, together with what it refers to.

use std::{collections::VecDeque, sync::Mutex};

use gimli::{AttributeValue, constants as dw};
use hashbrown::HashMap;

use super::{Dwarf, Inner, Unit, file::Slice, scan::EntryKind, source::Die};
use crate::types::{
    Composite, CompositeKind, Enumerator, Kind, Member, Name, Param, Qualifier, Type, TypeId, Types,
};

/// Types converted at once: more than any kernel has.
const MAX_TYPES: usize = 1 << 20;
/// Members, constants or parameters of one type.
const MAX_PARTS: usize = 1 << 16;

/// Entries that were converted, by their offset in `.debug_info`: all into one graph.
pub(super) type Converted = Mutex<HashMap<u32, TypeId>>;

/// A global variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its type.
    pub ty: TypeId,
    /// Where it was linked, if at one place.
    pub address: Option<u64>,
}

impl Dwarf {
    /// The types of that kind and name, converted into `types`. Several if units disagree.
    pub fn types_named(&self, types: &Types, kind: Kind, name: &str) -> Vec<TypeId> {
        let Some(entry_kind) = entry_kind(kind) else { return Vec::new() };
        self.with(|inner| {
            let found = inner.named(name, entry_kind);
            let mut ids: Vec<TypeId> =
                found.into_iter().filter_map(|die| inner.convert(types, die)).collect();
            ids.dedup();
            ids
        })
    }

    /// The global variables of that name.
    pub fn variables_named(&self, types: &Types, name: &str) -> Vec<Variable> {
        self.with(|inner| {
            let found = inner.named(name, EntryKind::Variable);
            let variable = |die| {
                let ty = inner.type_of(types, die)?;
                Some(Variable { ty, address: inner.static_address(die) })
            };
            found.into_iter().filter_map(variable).collect()
        })
    }

    /// The type of the function that has code at an address.
    pub fn function_type(&self, types: &Types, address: u64) -> Option<TypeId> {
        self.with(|inner| {
            let die = inner.index.function_at(address)?;
            let (origin, _) = inner.attribute(die, dw::DW_AT_name)?;
            inner.convert(types, origin)
        })
    }

    /// Converts every type that has a name, and the enums without one for their constants: for a
    /// kernel whose own description of its types is missing.
    pub fn load_types(&self, types: &Types) {
        use EntryKind::{Constants, Enum, Struct, Typedef, Union};
        self.with(|inner| {
            for kind in [Struct, Union, Enum, Constants, Typedef] {
                for die in inner.index.of_kind(kind) {
                    inner.convert(types, die);
                }
            }
        });
    }

    /// Every type of a kind that has a name: the name, and the entry's offset for
    /// [`Dwarf::type_at`]. In the order of the file.
    pub fn names(&self, kind: Kind) -> Vec<(String, u32)> {
        let Some(kind) = entry_kind(kind) else { return Vec::new() };
        self.with(|inner| {
            let mut found: Vec<u32> = inner.index.of_kind(kind).collect();
            found.sort_unstable();
            found.into_iter().filter_map(|die| Some((inner.name(die)?, die))).collect()
        })
    }

    /// The type that an entry describes.
    pub fn type_at(&self, types: &Types, entry: u32) -> Option<TypeId> {
        self.with(|inner| inner.convert(types, entry))
    }
}

fn entry_kind(kind: Kind) -> Option<EntryKind> {
    Some(match kind {
        Kind::Struct => EntryKind::Struct,
        Kind::Union => EntryKind::Union,
        Kind::Enum => EntryKind::Enum,
        Kind::Typedef => EntryKind::Typedef,
        Kind::Variable => EntryKind::Variable,
        Kind::Enumerator | Kind::Function => return None,
    })
}

impl<'a> Inner<'a> {
    /// Entries of that kind and name.
    fn named(&self, name: &str, kind: EntryKind) -> Vec<u32> {
        let found = self.index.named(name.as_bytes(), kind);
        found.filter(|&die| self.name(die).as_deref() == Some(name)).collect()
    }

    /// Where a variable was linked.
    fn static_address(&self, die: u32) -> Option<u64> {
        let (unit, at) = self.place(die)?;
        let entry = unit.unit.entry(at).ok()?;
        let expression = entry.attr_value(dw::DW_AT_location)?.exprloc_value()?;
        let mut operations = expression.operations(unit.unit.encoding());
        match (operations.next().ok()??, operations.next().ok()?) {
            (gimli::Operation::Address { address }, None) => Some(address),
            (gimli::Operation::AddressIndex { index }, None) => {
                self.dwarf.address(&unit.unit, index).ok()
            }
            _ => None,
        }
    }

    /// The type that an entry has, itself or where it is declared; `void` if it names none.
    pub(super) fn type_of(&self, types: &Types, die: u32) -> Option<TypeId> {
        match self.attribute(die, dw::DW_AT_type) {
            Some((owner, value)) => {
                let target = self.reference(self.unit(owner)?, &value)?;
                self.convert(types, target)
            }
            None => Some(TypeId::VOID),
        }
    }

    /// The type that an entry describes. None if it is none, or damaged.
    pub(super) fn convert(&self, types: &Types, die: u32) -> Option<TypeId> {
        let mut known = self.converted.lock().unwrap_or_else(|error| error.into_inner());
        self.convert_with(types, die, &mut known)
    }

    /// As [`Inner::convert`], into a graph of the caller's own: `known` is what it has already.
    pub(super) fn convert_with(
        &self,
        types: &Types,
        die: u32,
        known: &mut HashMap<u32, TypeId>,
    ) -> Option<TypeId> {
        if let Some(&id) = known.get(&die) {
            return Some(id);
        }
        let mut batch = Batch { inner: self, types, known, new: Vec::new() };
        batch.run(die)?;
        known.get(&die).copied()
    }
}

/// How an entry stands in a batch.
#[derive(Debug, Clone, Copy)]
enum Target {
    Known(TypeId),
    /// The nth new one.
    New(usize),
}

/// A type before its references have ids.
enum Draft {
    Ready(Type),
    Pointer(Target),
    Array {
        element: Target,
        counts: Vec<u64>,
    },
    Composite {
        kind: CompositeKind,
        name: Name,
        size: u64,
        members: Vec<(Target, Member)>,
    },
    Typedef {
        name: Name,
        target: Target,
    },
    Qualified {
        qualifier: Qualifier,
        target: Target,
    },
    Function {
        result: Target,
        params: Vec<(Target, Name)>,
        variadic: bool,
    },
    /// The same as another.
    Alias(Target),
}

struct Batch<'b, 'a> {
    inner: &'b Inner<'a>,
    types: &'b Types,
    known: &'b mut HashMap<u32, TypeId>,
    /// Entries that are being converted.
    new: Vec<u32>,
}

impl<'a> Batch<'_, 'a> {
    fn run(&mut self, die: u32) -> Option<()> {
        let mut numbers: HashMap<u32, Target> = HashMap::new();
        let mut drafts: Vec<Draft> = Vec::new();
        let mut queue = VecDeque::new();
        let first = self.target(die, &mut numbers, &mut queue);
        if let Target::Known(id) = first {
            self.known.insert(die, id);
            return Some(());
        }
        while let Some(next) = queue.pop_front() {
            if self.new.len() > MAX_TYPES {
                return None;
            }
            let draft = self.draft(next, &mut numbers, &mut queue);
            // What is damaged is void to those who refer to it.
            drafts.push(draft.unwrap_or(Draft::Alias(Target::Known(TypeId::VOID))));
        }
        self.add(drafts)
    }

    /// What an entry stands for, noting it to be converted if nothing is known yet.
    fn target(
        &mut self,
        die: u32,
        numbers: &mut HashMap<u32, Target>,
        queue: &mut VecDeque<u32>,
    ) -> Target {
        if let Some(&id) = self.known.get(&die) {
            return Target::Known(id);
        }
        if let Some(&target) = numbers.get(&die) {
            return target;
        }
        let target = match self.in_graph(die) {
            Some(id) => Target::Known(id),
            None => {
                queue.push_back(die);
                self.new.push(die);
                Target::New(self.new.len() - 1)
            }
        };
        numbers.insert(die, target);
        target
    }

    /// The type of the graph that an entry describes again: of the same kind, name and size, and
    /// with the same parts.
    fn in_graph(&self, die: u32) -> Option<TypeId> {
        let (unit, at) = self.inner.place(die)?;
        let entry = unit.unit.entry(at).ok()?;
        let kind = match entry.tag() {
            dw::DW_TAG_structure_type => Kind::Struct,
            dw::DW_TAG_union_type => Kind::Union,
            dw::DW_TAG_enumeration_type => Kind::Enum,
            dw::DW_TAG_base_type => Kind::Typedef,
            _ => return None,
        };
        let name =
            self.inner.dwarf.attr_string(&unit.unit, entry.attr_value(dw::DW_AT_name)?).ok()?;
        let name = std::str::from_utf8(name.slice()).ok()?;
        let size = entry.attr_value(dw::DW_AT_byte_size).and_then(|size| size.udata_value());
        let found = self.types.find_all(kind, name);
        if entry.attr_value(dw::DW_AT_declaration).is_some() {
            // Only declared here: what the kernel calls so is meant, if that is but one.
            return match found.as_slice() {
                [id] => Some(*id),
                _ => None,
            };
        }
        found.into_iter().find(|&id| {
            self.types.size_of(id) == size
                && match self.types.get(id) {
                    Type::Composite(composite) => self.same_members(unit, &entry, composite),
                    Type::Enum { values, .. } => self.same_constants(unit, &entry, values),
                    Type::Int { .. } | Type::Float { .. } => true,
                    _ => false,
                }
        })
    }

    fn same_members(&self, unit: &Unit<'a>, entry: &Die<'a>, composite: &Composite) -> bool {
        let mut members = composite.members.iter();
        let mut same = true;
        self.inner.children(unit, entry.offset(), &mut |child| {
            if child.tag() != dw::DW_TAG_member {
                return true;
            }
            let (bit_offset, bit_size) = place(unit, child);
            let text = self.text(unit, child);
            same = members.next().is_some_and(|member| {
                self.types.name(member.name).as_bytes() == text
                    && member.bit_offset == bit_offset
                    && member.bit_size == bit_size
            });
            same
        });
        same && members.next().is_none()
    }

    fn same_constants(&self, unit: &Unit<'a>, entry: &Die<'a>, values: &[Enumerator]) -> bool {
        let mut values = values.iter();
        let mut same = true;
        self.inner.children(unit, entry.offset(), &mut |child| {
            if child.tag() != dw::DW_TAG_enumerator {
                return true;
            }
            let text = self.text(unit, child);
            same =
                values.next().is_some_and(|value| self.types.name(value.name).as_bytes() == text);
            same
        });
        same && values.next().is_none()
    }

    fn text(&self, unit: &Unit<'a>, entry: &Die<'a>) -> &'a [u8] {
        entry
            .attr_value(dw::DW_AT_name)
            .and_then(|name| self.inner.dwarf.attr_string(&unit.unit, name).ok())
            .map_or(&[], |text| text.slice())
    }

    fn name(&self, unit: &Unit<'a>, entry: &Die<'a>) -> Name {
        self.types.add_name(&String::from_utf8_lossy(self.text(unit, entry)))
    }

    fn draft(
        &mut self,
        die: u32,
        numbers: &mut HashMap<u32, Target>,
        queue: &mut VecDeque<u32>,
    ) -> Option<Draft> {
        let inner = self.inner;
        let (unit, at) = inner.place(die)?;
        let entry = unit.unit.entry(at).ok()?;
        let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
        let size = number(dw::DW_AT_byte_size).unwrap_or(0);
        let width = u32::try_from(size).unwrap_or(0);
        let mut target = |batch: &mut Self, entry: &Die<'a>| match entry.attr_value(dw::DW_AT_type)
        {
            Some(value) => match inner.reference(unit, &value) {
                Some(die) => batch.target(die, numbers, queue),
                None => Target::Known(TypeId::VOID),
            },
            None => Target::Known(TypeId::VOID),
        };
        let declared = entry.attr_value(dw::DW_AT_declaration).is_some();
        Some(match entry.tag() {
            dw::DW_TAG_base_type => {
                let name = self.name(unit, &entry);
                let encoding = match entry.attr_value(dw::DW_AT_encoding)? {
                    AttributeValue::Encoding(encoding) => encoding,
                    value => gimli::DwAte(u8::try_from(value.udata_value()?).ok()?),
                };
                Draft::Ready(match encoding {
                    dw::DW_ATE_float => Type::Float { name, size: width },
                    _ => Type::Int {
                        name,
                        size: width,
                        signed: matches!(encoding, dw::DW_ATE_signed | dw::DW_ATE_signed_char),
                        char: matches!(encoding, dw::DW_ATE_signed_char | dw::DW_ATE_unsigned_char),
                        bool: encoding == dw::DW_ATE_boolean,
                    },
                })
            }
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type => {
                Draft::Pointer(target(self, &entry))
            }
            dw::DW_TAG_const_type => qualified(Qualifier::Const, target(self, &entry)),
            dw::DW_TAG_volatile_type => qualified(Qualifier::Volatile, target(self, &entry)),
            dw::DW_TAG_restrict_type => qualified(Qualifier::Restrict, target(self, &entry)),
            dw::DW_TAG_atomic_type => Draft::Alias(target(self, &entry)),
            dw::DW_TAG_typedef => {
                let name = self.name(unit, &entry);
                Draft::Typedef { name, target: target(self, &entry) }
            }
            dw::DW_TAG_array_type => {
                let mut counts = Vec::new();
                inner.children(unit, at, &mut |child| {
                    if child.tag() == dw::DW_TAG_subrange_type {
                        counts.push(count(child));
                    }
                    counts.len() < MAX_DIMENSIONS
                });
                Draft::Array { element: target(self, &entry), counts }
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_union_type => {
                let kind = match entry.tag() {
                    dw::DW_TAG_union_type => CompositeKind::Union,
                    _ => CompositeKind::Struct,
                };
                let name = self.name(unit, &entry);
                if declared {
                    return Some(Draft::Ready(Type::Forward { name, kind: Some(kind) }));
                }
                let mut found = Vec::new();
                inner.children(unit, at, &mut |child| {
                    if child.tag() == dw::DW_TAG_member {
                        found.push(child.clone());
                    }
                    found.len() < MAX_PARTS
                });
                let members = found
                    .iter()
                    .map(|child| {
                        let (bit_offset, bit_size) = place(unit, child);
                        let name = self.name(unit, child);
                        let ty = TypeId::VOID;
                        (target(self, child), Member { name, ty, bit_offset, bit_size })
                    })
                    .collect();
                Draft::Composite { kind, name, size, members }
            }
            dw::DW_TAG_enumeration_type => {
                let name = self.name(unit, &entry);
                if declared {
                    return Some(Draft::Ready(Type::Forward { name, kind: None }));
                }
                let mut values: Vec<Enumerator> = Vec::new();
                inner.children(unit, at, &mut |child| {
                    if child.tag() == dw::DW_TAG_enumerator
                        && let Some(value) = constant(child)
                    {
                        values.push(Enumerator { name: self.name(unit, child), value });
                    }
                    values.len() < MAX_PARTS
                });
                let signed = values.iter().any(|value| value.value < 0);
                Draft::Ready(Type::Enum { name, size: width, signed, values: values.into() })
            }
            dw::DW_TAG_subroutine_type | dw::DW_TAG_subprogram => {
                let mut found = Vec::new();
                let mut variadic = false;
                inner.children(unit, at, &mut |child| {
                    match child.tag() {
                        dw::DW_TAG_formal_parameter => found.push(child.clone()),
                        dw::DW_TAG_unspecified_parameters => variadic = true,
                        _ => {}
                    }
                    found.len() < MAX_PARTS
                });
                let params = found
                    .iter()
                    .map(|child| (target(self, child), self.name(unit, child)))
                    .collect();
                Draft::Function { result: target(self, &entry), params, variadic }
            }
            _ => return None,
        })
    }

    /// Gives the drafts ids and adds them.
    fn add(&mut self, drafts: Vec<Draft>) -> Option<()> {
        // Arrays of several dimensions become several types, aliases none.
        let mut next = 0u32;
        let mut starts = Vec::with_capacity(drafts.len());
        for draft in &drafts {
            starts.push(next);
            next = next.checked_add(match draft {
                Draft::Alias(_) => 0,
                Draft::Array { counts, .. } => u32::try_from(counts.len().max(1)).ok()?,
                _ => 1,
            })?;
        }
        // The first id is known only within `add_all`, so places are relative to it there.
        let resolve = |target: Target, first: TypeId| {
            let mut target = target;
            for _ in 0..MAX_ALIASES {
                match target {
                    Target::Known(id) => return id,
                    Target::New(index) => match drafts.get(index) {
                        Some(Draft::Alias(other)) => target = *other,
                        _ => return TypeId(first.0 + starts.get(index).copied().unwrap_or(0)),
                    },
                }
            }
            TypeId::VOID
        };
        let first = self.types.add_all(|first| {
            let mut made = Vec::with_capacity(next as usize);
            for draft in &drafts {
                let id = |target: &Target| resolve(*target, first);
                match draft {
                    Draft::Alias(_) => {}
                    Draft::Ready(ty) => made.push(ty.clone()),
                    Draft::Pointer(target) => made.push(Type::Pointer(id(target))),
                    Draft::Array { element, counts } => {
                        let count = counts.first().copied().unwrap_or(0);
                        let rest = counts.get(1..).unwrap_or_default();
                        let here = first.0 + made.len() as u32;
                        let element = id(element);
                        let inner = |depth: u32| {
                            if depth as usize == rest.len() {
                                element
                            } else {
                                TypeId(here + depth + 1)
                            }
                        };
                        made.push(Type::Array { element: inner(0), count });
                        for (depth, &count) in rest.iter().enumerate() {
                            made.push(Type::Array { element: inner(depth as u32 + 1), count });
                        }
                    }
                    Draft::Composite { kind, name, size, members } => {
                        let members = members
                            .iter()
                            .map(|(ty, member)| Member { ty: id(ty), ..*member })
                            .collect();
                        made.push(Type::Composite(Composite {
                            kind: *kind,
                            name: *name,
                            size: *size,
                            members,
                        }));
                    }
                    Draft::Typedef { name, target } => {
                        made.push(Type::Typedef { name: *name, target: id(target) });
                    }
                    Draft::Qualified { qualifier, target } => {
                        made.push(Type::Qualified { qualifier: *qualifier, target: id(target) })
                    }
                    Draft::Function { result, params, variadic } => {
                        let params = params
                            .iter()
                            .map(|(ty, name)| Param { name: *name, ty: id(ty) })
                            .collect();
                        let (result, variadic) = (id(result), *variadic);
                        made.push(Type::Function { result, params, variadic });
                    }
                }
            }
            made
        });
        let (mut named, mut constants) = (Vec::new(), Vec::new());
        for (index, &die) in self.new.iter().enumerate() {
            let id = resolve(Target::New(index), first);
            self.known.insert(die, id);
            // What has the same name and the same parts is not converted again for another unit.
            named.extend(match (drafts.get(index), self.types.get(id)) {
                (Some(Draft::Alias(_)), _) => None,
                (_, Type::Composite(c)) => Some(match c.kind {
                    CompositeKind::Struct => (Kind::Struct, c.name, id),
                    CompositeKind::Union => (Kind::Union, c.name, id),
                }),
                (_, Type::Enum { name, values, .. }) => {
                    let new = |value: &&Enumerator| {
                        self.types.find(Kind::Enumerator, self.types.name(value.name)).is_none()
                    };
                    let named = |value: &Enumerator| (Kind::Enumerator, value.name, id);
                    constants.extend(values.iter().filter(new).map(named));
                    Some((Kind::Enum, *name, id))
                }
                (_, Type::Int { name, .. } | Type::Float { name, .. }) => {
                    Some((Kind::Typedef, *name, id))
                }
                (_, Type::Typedef { name, .. }) => {
                    let known = self.types.find(Kind::Typedef, self.types.name(*name)).is_some();
                    (!known).then_some((Kind::Typedef, *name, id))
                }
                _ => None,
            });
        }
        self.types.index(named);
        self.types.index(constants);
        Some(())
    }
}

/// Atomic types and damaged entries within each other.
const MAX_ALIASES: usize = 64;
const MAX_DIMENSIONS: usize = 64;

fn qualified(qualifier: Qualifier, target: Target) -> Draft {
    Draft::Qualified { qualifier, target }
}

/// Elements of a dimension; 0 if it is not told.
fn count(entry: &Die<'_>) -> u64 {
    let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
    number(dw::DW_AT_count)
        .or_else(|| number(dw::DW_AT_upper_bound).map(|bound| bound.wrapping_add(1)))
        .unwrap_or(0)
}

fn constant(entry: &Die<'_>) -> Option<i64> {
    super::place::constant(&entry.attr_value(dw::DW_AT_const_value)?)
}

/// The widest bit-field that is believed.
const MAX_BIT_SIZE: u64 = 64;

/// Offset and width of a member in bits; the width is 0 unless it is a bit-field.
fn place(unit: &Unit<'_>, entry: &Die<'_>) -> (u64, u32) {
    let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
    let bytes = match entry.attr_value(dw::DW_AT_data_member_location) {
        None => 0,
        Some(AttributeValue::Exprloc(expression)) => offset_of(unit, expression).unwrap_or(0),
        Some(value) => value.udata_value().unwrap_or(0),
    };
    let size = number(dw::DW_AT_bit_size).filter(|size| *size <= MAX_BIT_SIZE).unwrap_or(0) as u32;
    if let Some(bits) = number(dw::DW_AT_data_bit_offset) {
        return (bits, size);
    }
    let bits = bytes.wrapping_mul(8);
    // DWARF 2 and 3 count a bit-field from the most significant bit of its storage.
    match (number(dw::DW_AT_bit_offset), number(dw::DW_AT_byte_size)) {
        (Some(from_top), Some(storage)) => {
            let low = storage.wrapping_mul(8).wrapping_sub(from_top).wrapping_sub(size.into());
            (bits.wrapping_add(low), size)
        }
        _ => (bits, size),
    }
}

/// A member's offset as DWARF 2 tells it: `DW_OP_plus_uconst`.
fn offset_of(unit: &Unit<'_>, expression: gimli::Expression<Slice<'_>>) -> Option<u64> {
    match expression.operations(unit.unit.encoding()).next().ok()?? {
        gimli::Operation::PlusConstant { value } => Some(value),
        _ => None,
    }
}
