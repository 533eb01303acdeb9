//! A member of a structure.

use necropsy_debuginfo::{MemberPath, Type, TypeId, Types};
use necropsy_dump::{Fault, Read};
use necropsy_machine::Target;

use super::{Alternative, Form, Found, Part, Sources, Structure};
use crate::error::{Error, MemberName, Result};

/// A member of a structure, found or not.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    shape: &'static str,
    alternatives: &'static [Alternative],
    optional: bool,
    at: Option<Place>,
    /// Why it may be there all the same.
    hidden: Option<Fault>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    alternative: Alternative,
    offset: u64,
    /// 0 when only VMCOREINFO describes it.
    size: u32,
    bit: u32,
    bit_size: u32,
    big_endian: bool,
    ty: Option<TypeId>,
}

impl Place {
    /// The member's bits of its storage unit.
    fn bits_of(&self, value: u64) -> u64 {
        if self.bit_size == 0 {
            return value;
        }
        // Where the most significant byte comes first, so does that bit.
        let bit = match self.big_endian {
            true => (self.size * 8).saturating_sub(self.bit + self.bit_size),
            false => self.bit,
        };
        value.checked_shr(bit).unwrap_or(0) & (u64::MAX >> (64 - self.bit_size.clamp(1, 64)))
    }
}

impl Field {
    pub(crate) fn resolve(
        sources: &Sources<'_>,
        structure: &Structure,
        alternatives: &'static [Alternative],
        optional: bool,
    ) -> Field {
        let (shape, at) = match structure.ty() {
            Some(id) => {
                let types = sources.types;
                let typed = alternatives.iter().find_map(|alternative| {
                    let path = types.member(id, alternative.name)?;
                    let place = || typed(sources, alternative, path);
                    alternative.form.fits(types, path.ty).then(place)
                });
                (structure.tag(), typed)
            }
            None => {
                let told = structure.tags.iter().find_map(|tag| {
                    let place = alternatives.iter().find_map(|a| told(sources, tag, a))?;
                    Some((*tag, place))
                });
                told.map_or((structure.tag(), None), |(tag, place)| (tag, Some(place)))
            }
        };
        Field { shape, alternatives, optional, at, hidden: sources.hidden }
    }

    fn place(&self) -> Result<&Place> {
        self.at.as_ref().ok_or_else(|| match self.hidden {
            Some(fault) => fault.into(),
            None => Error::no_member(self.shape, self.alternatives.iter().map(|a| a.name)),
        })
    }

    /// Whether this kernel has it.
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// The form of the alternative that this kernel has.
    pub fn form(&self) -> Option<Form> {
        self.at.map(|at| at.alternative.form)
    }

    /// Bytes from the start of the structure.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when this kernel has no such member.
    pub fn offset(&self) -> Result<u64> {
        Ok(self.place()?.offset)
    }

    /// Its size in bytes; 0 when only VMCOREINFO describes it.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn size(&self) -> Result<u64> {
        Ok(self.place()?.size.into())
    }

    /// Its type.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn ty(&self) -> Result<TypeId> {
        self.place()?.ty.ok_or_else(|| Error::no_type(self.shape))
    }

    /// Its address in the structure at virtual address `base`.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn address(&self, base: u64) -> Result<u64> {
        Ok(base.wrapping_add(self.place()?.offset))
    }

    /// Its value as an unsigned number, zero-extended.
    ///
    /// # Errors
    /// A fault that names the member, or [`Error::NoSuch`].
    pub fn read(&self, target: &Target, base: u64) -> Result<u64> {
        let place = self.place()?;
        let address = base.wrapping_add(place.offset);
        let size = self.number_size(place)?;
        Ok(place.bits_of(self.named(target.read_uint(address, size as u64))?))
    }

    /// Bytes of the number that the member is.
    fn number_size(&self, place: &Place) -> Result<usize> {
        // A structure that wraps one number (atomic_t, pid_t …) reads as that number.
        match self.known_size(place)? {
            size @ (1 | 2 | 4 | 8) => Ok(size),
            _ => Err(self.no_number(place)),
        }
    }

    fn no_number(&self, place: &Place) -> Error {
        Error::corrupt(format!("{}.{} is no number", self.shape, place.alternative.name))
    }

    /// Its size in bytes, if that can be known: a member can be described where its type is not.
    fn known_size(&self, place: &Place) -> Result<usize> {
        match (place.size, self.hidden) {
            (0, Some(fault)) => Err(fault.into()),
            (size, _) => Ok(size as usize),
        }
    }

    /// Its value in a copy of the structure, as an unsigned number: for walks over many
    /// structures, each of which is read whole.
    ///
    /// # Errors
    /// As [`Field::offset`], and where the copy ends before the member.
    pub fn decode(&self, structure: &[u8]) -> Result<u64> {
        let place = self.place()?;
        let size = match self.known_size(place)? {
            0 => return Err(self.no_number(place)),
            size => size.min(8),
        };
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let bytes = structure
            .get(start..start.saturating_add(size))
            .ok_or_else(|| Error::corrupt(format!("a {} that is cut short", self.shape)))?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(place.bits_of(match place.big_endian {
            true => bytes.iter().fold(0, fold),
            false => bytes.iter().rev().fold(0, fold),
        }))
    }

    /// Its value as a signed number, extended from its size.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn read_signed(&self, target: &Target, base: u64) -> Result<i64> {
        let value = self.read(target, base)?;
        let place = self.place()?;
        let bits = if place.bit_size > 0 { place.bit_size } else { place.size * 8 };
        let shift = 64 - bits.clamp(1, 64);
        Ok(((value << shift) as i64) >> shift)
    }

    /// Its text: a `char` array up to its NUL.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn text(&self, target: &Target, base: u64) -> Result<String> {
        let place = self.place()?;
        let size = self.known_size(place)?;
        self.named(target.read_cstr(base.wrapping_add(place.offset), size))
    }

    /// What was read of the member in another way: a fault gets its name.
    ///
    /// # Errors
    /// The fault.
    pub fn named<T>(&self, read: Read<T>) -> Result<T> {
        read.map_err(|fault| Error::Fault(fault, self.name()))
    }

    /// `task_struct.pid`: the name that the member has here.
    pub fn name(&self) -> Option<MemberName> {
        let name = self.at.map(|at| at.alternative.name)?;
        Some(MemberName { shape: self.shape, member: name })
    }

    pub(crate) fn part(&self) -> Part {
        let found = |at: Place| Found::Member { offset: at.offset, size: at.size.into() };
        Part {
            alternatives: self.alternatives,
            optional: self.optional,
            found: self.at.map(|at| (at.alternative, found(at))),
        }
    }
}

/// As the types have it.
fn typed(sources: &Sources<'_>, alternative: &Alternative, path: MemberPath) -> Place {
    let (types, big_endian) = (sources.types, sources.big_endian);
    let size = types.size_of(path.ty).unwrap_or(0).min(u64::from(u32::MAX)) as u32;
    let (offset, bit) = if path.bit_size == 0 {
        (path.offset(), 0)
    } else {
        // The storage unit of a bit-field: aligned to the size of its type.
        let unit = u64::from(size.max(1)) * 8;
        (path.bit_offset / unit * unit / 8, (path.bit_offset % unit) as u32)
    };
    let (alternative, ty) = (*alternative, Some(path.ty));
    Place { alternative, offset, size, bit, bit_size: path.bit_size, big_endian, ty }
}

/// As VMCOREINFO has it: an offset and no more.
fn told(sources: &Sources<'_>, tag: &str, alternative: &Alternative) -> Option<Place> {
    let offset = sources.info?.offset(&format!("{tag}.{}", alternative.name))?;
    let alternative = *alternative;
    let big_endian = sources.big_endian;
    Some(Place { alternative, offset, size: 0, bit: 0, bit_size: 0, big_endian, ty: None })
}

impl Form {
    /// Whether a member of type `ty` has this form.
    fn fits(self, types: &Types, ty: TypeId) -> bool {
        let element = || match types.resolve(ty) {
            Type::Array { element, .. } | Type::Pointer(element) => Some(types.resolve(*element)),
            _ => None,
        };
        match self {
            Form::Array => matches!(types.resolve(ty), Type::Array { .. }),
            Form::Pointer => matches!(types.resolve(ty), Type::Pointer(_)),
            Form::Embedded => !matches!(types.resolve(ty), Type::Pointer(_)),
            Form::Structs => matches!(element(), Some(Type::Composite(_))),
            Form::Numbers => element().is_some_and(|ty| !matches!(ty, Type::Composite(_))),
            _ => true,
        }
    }
}
