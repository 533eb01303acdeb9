//! A typed object in the dump's memory or in ours, read when it is asked for.

use std::fmt;

use necropsy_debuginfo::{Type, TypeId};
use necropsy_dump::Fault;

use crate::scope::Scope;

/// Largest object that is read in one piece, in bytes.
pub const MAX_VALUE: u64 = 16 << 20;

/// Why a value could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueError {
    /// Memory could not be read.
    Fault(Fault),
    /// The operation makes no sense for the type; the text says so to the user.
    Type(String),
}

impl ValueError {
    pub(crate) fn ty(message: impl Into<String>) -> Self {
        ValueError::Type(message.into())
    }
}

impl From<Fault> for ValueError {
    fn from(fault: Fault) -> Self {
        ValueError::Fault(fault)
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Fault(fault) => fault.fmt(f),
            ValueError::Type(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ValueError {}

/// Where the bytes of a value are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In kernel virtual memory.
    Memory {
        /// Address of the first byte that holds a part of it.
        address: u64,
        /// First bit of a bit-field, counted from `address` (from the least significant bit on
        /// little-endian machines, from the most significant one on others).
        bit_offset: u32,
        /// Width of a bit-field in bits; 0 for an ordinary object.
        bit_size: u32,
    },
    /// Here: a computed value, in the machine's byte order.
    Bytes(Box<[u8]>),
}

/// A typed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its type.
    pub ty: TypeId,
    /// Where it is.
    pub place: Place,
}

/// An integer with the properties that C's conversion rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// The value, extended to 64 bits by its sign if `signed`.
    pub bits: u64,
    /// Size of its type in bytes.
    pub size: u32,
    /// Whether its type is signed.
    pub signed: bool,
    /// Width of the bit-field that held it, else 8 × `size`.
    pub width: u32,
}

type Result<T> = std::result::Result<T, ValueError>;

impl Value {
    /// The object of type `ty` at the kernel virtual `address`.
    pub fn at(ty: TypeId, address: u64) -> Value {
        Value { ty, place: Place::Memory { address, bit_offset: 0, bit_size: 0 } }
    }

    /// A computed integer, pointer or enum: the low bytes of `bits`.
    pub fn from_bits(scope: &dyn Scope, ty: TypeId, bits: u64) -> Value {
        let size = scope.types().size_of(ty).unwrap_or(8).min(16) as usize;
        let mut bytes = bits.to_le_bytes().to_vec();
        // Wider than 64 bits: extended by the sign of the value.
        bytes.resize(size, if size > 8 && (bits as i64) < 0 { 0xff } else { 0 });
        if !scope.is_little_endian() {
            bytes.reverse();
        }
        Value { ty, place: Place::Bytes(bytes.into()) }
    }

    /// Its address in kernel virtual memory; `None` for computed values and bit-fields.
    pub fn address(&self) -> Option<u64> {
        match self.place {
            Place::Memory { address, bit_size: 0, .. } => Some(address),
            _ => None,
        }
    }

    /// Its bytes, in the machine's order. A bit-field yields the bytes of its integer.
    pub fn bytes(&self, scope: &dyn Scope) -> Result<Vec<u8>> {
        match &self.place {
            Place::Bytes(bytes) => Ok(bytes.to_vec()),
            Place::Memory { address, bit_offset, bit_size } => {
                let size = self.size(scope)?;
                if *bit_size != 0 {
                    let bits = self.read_bit_field(scope, *address, *bit_offset, *bit_size)?;
                    return Value::from_bits(scope, self.ty, bits).bytes(scope);
                }
                if size > MAX_VALUE {
                    return Err(ValueError::ty(format!("{size} bytes are too many to read")));
                }
                let mut buf = vec![0; size as usize];
                scope.read(*address, &mut buf)?;
                Ok(buf)
            }
        }
    }

    fn size(&self, scope: &dyn Scope) -> Result<u64> {
        let types = scope.types();
        types.size_of(self.ty).ok_or_else(|| {
            ValueError::ty(format!("the size of {} is not known", types.display(self.ty)))
        })
    }

    fn read_bit_field(
        &self,
        scope: &dyn Scope,
        address: u64,
        bit_offset: u32,
        bit_size: u32,
    ) -> Result<u64> {
        let address = address.wrapping_add(u64::from(bit_offset / 8));
        let mut buf = [0; 16];
        let len = ((bit_offset % 8 + bit_size).div_ceil(8) as usize).min(buf.len());
        scope.read(address, &mut buf[..len])?;
        let signed = self.is_signed(scope);
        Ok(extract_bits(&buf[..len], bit_offset % 8, bit_size, signed, scope.is_little_endian()))
    }

    fn is_signed(&self, scope: &dyn Scope) -> bool {
        matches!(
            scope.types().resolve(self.ty),
            Type::Int { signed: true, bool: false, .. } | Type::Enum { signed: true, .. }
        )
    }

    /// The value as an integer; also of pointers, enums and booleans.
    pub fn integer(&self, scope: &dyn Scope) -> Result<Integer> {
        let types = scope.types();
        let size = match types.resolve(self.ty) {
            Type::Int { size, .. } | Type::Enum { size, .. } => *size,
            Type::Pointer(_) => types.pointer_size(),
            _ => {
                let name = types.display(self.ty);
                return Err(ValueError::ty(format!("{name} is not a number")));
            }
        };
        if size == 0 || size > 8 {
            return Err(ValueError::ty(format!("an integer of {size} bytes is too wide here")));
        }
        let signed = self.is_signed(scope);
        let mut width = size * 8;
        if let Place::Memory { address, bit_offset, bit_size } = self.place
            && bit_size != 0
        {
            width = bit_size.min(64);
            let bits = self.read_bit_field(scope, address, bit_offset, bit_size)?;
            return Ok(Integer { bits, size, signed, width });
        }
        let mut buf = [0; 8];
        let buf = &mut buf[..size as usize];
        match &self.place {
            Place::Memory { address, .. } => scope.read(*address, buf)?,
            Place::Bytes(bytes) => {
                let len = bytes.len().min(buf.len());
                buf[..len].copy_from_slice(&bytes[..len]);
            }
        }
        let bits = extract_bits(buf, 0, size * 8, signed, scope.is_little_endian());
        Ok(Integer { bits, size, signed, width })
    }

    /// The value as an unsigned number: a negative one as its two's complement in 64 bits.
    pub fn to_u64(&self, scope: &dyn Scope) -> Result<u64> {
        Ok(self.integer(scope)?.bits)
    }

    /// The value as a signed number.
    pub fn to_i64(&self, scope: &dyn Scope) -> Result<i64> {
        Ok(self.integer(scope)?.bits as i64)
    }

    /// A member of a struct or union, or of what a pointer leads to. `path` may name members of
    /// members, and constant indexes: `se.run_node`, `pids[0].node`.
    pub fn member(&self, scope: &dyn Scope, path: &str) -> Result<Value> {
        let types = scope.types();
        if matches!(types.resolve(self.ty), Type::Pointer(_)) {
            return self.deref(scope)?.member(scope, path);
        }
        let Some(found) = types.member(self.ty, path) else {
            let name = types.display(self.ty);
            return Err(ValueError::ty(if types.as_composite(self.ty).is_some() {
                format!("{name} has no member {path}")
            } else if matches!(types.resolve(self.ty), Type::Forward { .. }) {
                format!("{name} is declared, but its definition is not known")
            } else {
                format!("{name} is not a structure or union: it has no member {path}")
            }));
        };
        match &self.place {
            Place::Memory { address, .. } => Ok(Value {
                ty: found.ty,
                place: Place::Memory {
                    address: address.wrapping_add(found.bit_offset / 8),
                    bit_offset: (found.bit_offset % 8) as u32,
                    bit_size: found.bit_size,
                },
            }),
            Place::Bytes(bytes) => {
                let part = bytes.get((found.bit_offset / 8) as usize..).unwrap_or_default();
                if found.bit_size != 0 {
                    let offset = (found.bit_offset % 8) as u32;
                    let len = ((offset + found.bit_size).div_ceil(8) as usize).min(part.len());
                    let member = Value { ty: found.ty, place: Place::Bytes([].into()) };
                    let bits = extract_bits(
                        &part[..len],
                        offset,
                        found.bit_size,
                        member.is_signed(scope),
                        scope.is_little_endian(),
                    );
                    return Ok(Value::from_bits(scope, found.ty, bits));
                }
                let size = types.size_of(found.ty).unwrap_or(0) as usize;
                let part = part.get(..size).ok_or_else(|| {
                    ValueError::ty(format!("member {path} lies outside of its structure"))
                })?;
                Ok(Value { ty: found.ty, place: Place::Bytes(part.into()) })
            }
        }
    }

    /// What a pointer leads to, or the first element of an array. Nothing is read but the
    /// pointer.
    pub fn deref(&self, scope: &dyn Scope) -> Result<Value> {
        let types = scope.types();
        match types.resolve(self.ty) {
            Type::Pointer(target) => {
                if matches!(types.resolve(*target), Type::Void) {
                    return Err(ValueError::ty("a void * leads to no type: cast it first"));
                }
                Ok(Value::at(*target, self.to_u64(scope)?))
            }
            Type::Array { .. } => self.index(scope, 0),
            Type::Function { .. } => Ok(self.clone()),
            _ => {
                let name = types.display(self.ty);
                Err(ValueError::ty(format!("{name} is not a pointer")))
            }
        }
    }

    /// An element of an array, or of the array that a pointer leads to. As in C, the index is
    /// not checked against the array's length, unless the array is a computed value.
    pub fn index(&self, scope: &dyn Scope, index: i64) -> Result<Value> {
        let types = scope.types();
        let Type::Array { element, .. } = *types.resolve(self.ty) else {
            let mut first = self.deref(scope)?;
            let size = first.size(scope)?;
            if let Place::Memory { address, .. } = &mut first.place {
                *address = address.wrapping_add(size.wrapping_mul(index as u64));
            }
            return Ok(first);
        };
        let size = types.size_of(element).ok_or_else(|| {
            ValueError::ty(format!("the size of {} is not known", types.display(element)))
        })?;
        let skip = size.wrapping_mul(index as u64);
        match &self.place {
            Place::Memory { address, .. } => Ok(Value::at(element, address.wrapping_add(skip))),
            Place::Bytes(bytes) => {
                let start = usize::try_from(skip).ok();
                let part = start.and_then(|start| {
                    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
                });
                let part =
                    part.ok_or_else(|| ValueError::ty(format!("there is no element {index}")))?;
                Ok(Value { ty: element, place: Place::Bytes(part.into()) })
            }
        }
    }

    /// A pointer to the value.
    pub fn address_of(&self, scope: &dyn Scope) -> Result<Value> {
        let types = scope.types();
        match self.place {
            Place::Memory { address, bit_size: 0, .. } => {
                Ok(Value::from_bits(scope, types.pointer_to(self.ty), address))
            }
            Place::Memory { .. } => Err(ValueError::ty("a bit-field has no address")),
            Place::Bytes(_) => Err(ValueError::ty("a computed value has no address")),
        }
    }

    /// An array becomes a pointer to its first element and a function a pointer to it; anything
    /// else stays what it is.
    pub fn decay(&self, scope: &dyn Scope) -> Result<Value> {
        let types = scope.types();
        match (types.resolve(self.ty), self.address()) {
            (Type::Array { element, .. }, Some(address)) => {
                Ok(Value::from_bits(scope, types.pointer_to(*element), address))
            }
            (Type::Array { .. }, None) => {
                Err(ValueError::ty("an array that is not in memory is no pointer"))
            }
            (Type::Function { .. }, Some(_)) => self.address_of(scope),
            _ => Ok(self.clone()),
        }
    }

    /// The value as `ty`. Integers, enums, booleans and pointers convert into each other as in
    /// C; an object whose type is not known (`void`) is taken to be of type `ty`; a structure
    /// casts to its own type alone.
    pub fn cast(&self, scope: &dyn Scope, ty: TypeId) -> Result<Value> {
        let types = scope.types();
        if let (Type::Void | Type::Lost, Some(address)) = (types.resolve(self.ty), self.address()) {
            return Ok(Value::at(ty, address));
        }
        match types.resolve(ty) {
            Type::Int { bool: true, .. } => {
                let truth = self.decay(scope)?.to_u64(scope)? != 0;
                Ok(Value::from_bits(scope, ty, truth.into()))
            }
            Type::Int { .. } | Type::Enum { .. } | Type::Pointer(_) => {
                let bits = self.decay(scope)?.to_u64(scope)?;
                Ok(Value::from_bits(scope, ty, bits))
            }
            Type::Void => Ok(Value { ty, place: Place::Bytes([].into()) }),
            _ if types.strip(self.ty) == types.strip(ty) => {
                Ok(Value { ty, place: self.place.clone() })
            }
            _ => {
                let (from, to) = (types.display(self.ty), types.display(ty));
                Err(ValueError::ty(format!("{from} cannot be cast to {to}")))
            }
        }
    }
}

/// `width` bits from bit `offset` of `bytes`, extended to 64 bits by their sign if `signed`.
pub(crate) fn extract_bits(
    bytes: &[u8],
    offset: u32,
    width: u32,
    signed: bool,
    little_endian: bool,
) -> u64 {
    let width = width.clamp(1, 64);
    let mut wide: u128 = 0;
    let available = bytes.len().min(16);
    if little_endian {
        for (index, &byte) in bytes[..available].iter().enumerate() {
            wide |= u128::from(byte) << (8 * index);
        }
        wide >>= offset.min(127);
    } else {
        for &byte in &bytes[..available] {
            wide = wide << 8 | u128::from(byte);
        }
        wide >>= (available as u32 * 8).saturating_sub(offset + width).min(127);
    }
    let unused = 64 - width;
    let bits = (wide as u64) << unused;
    if signed { ((bits as i64) >> unused) as u64 } else { bits >> unused }
}
