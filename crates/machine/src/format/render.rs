//! Values to trees.

use necropsy_debuginfo::{Composite, Enumerator, Type, TypeId};

use super::{Radix, Rendered, Style, char_literal, quote, quote_folded, type_name};
use crate::{
    scope::Scope,
    value::{Place, Value, ValueError, extract_bits},
};

/// Most leaves of a tree: a real structure is nowhere near; damaged types may claim anything.
const MAX_LEAVES: u32 = 1 << 20;

/// Deepest nesting of structures and arrays.
const MAX_DEPTH: u32 = 64;

/// Objects up to this size are read at once; larger ones piece by piece.
const MAX_BLOCK: u64 = 1 << 20;

/// Reads `value` and makes a tree of it.
pub fn render(scope: &dyn Scope, value: &Value, style: &Style) -> Rendered {
    let mut renderer = Renderer { scope, style, leaves: 0, depth: 0 };
    match &value.place {
        Place::Bytes(bytes) => {
            renderer.object(value.ty, Data { bytes: Some(bytes), address: None })
        }
        Place::Memory { address, bit_size: 0, .. } => {
            renderer.object(value.ty, Data { bytes: None, address: Some(*address) })
        }
        Place::Memory { bit_size, .. } => match value.to_u64(scope) {
            Ok(bits) => renderer.bits(value.ty, bits, *bit_size),
            Err(fault) => Rendered::Fault(fault),
        },
    }
}

struct Renderer<'a> {
    scope: &'a dyn Scope,
    style: &'a Style,
    leaves: u32,
    depth: u32,
}

/// An object to be rendered: its bytes if they were read already, its address if it has one.
#[derive(Clone, Copy)]
struct Data<'a> {
    bytes: Option<&'a [u8]>,
    address: Option<u64>,
}

impl<'a> Data<'a> {
    /// The part that begins `offset` bytes in and has `size` bytes.
    fn part(self, offset: u64, size: u64) -> Data<'a> {
        let bytes = self.bytes.map(|bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
            &bytes[start..end.min(bytes.len())]
        });
        Data { bytes, address: self.address.map(|address| address.wrapping_add(offset)) }
    }
}

impl Renderer<'_> {
    fn object(&mut self, ty: TypeId, data: Data<'_>) -> Rendered {
        self.leaves += 1;
        if self.leaves > MAX_LEAVES || self.depth >= MAX_DEPTH {
            return Rendered::Other("...".into());
        }
        self.depth += 1;
        let rendered = self.object_inner(ty, data);
        self.depth -= 1;
        rendered
    }

    fn object_inner(&mut self, ty: TypeId, data: Data<'_>) -> Rendered {
        let types = self.scope.types();
        let size = match types.resolve(ty) {
            Type::Void => return self.void(data),
            Type::Lost => return Rendered::Other("<its type could not be read>".into()),
            Type::Function { .. } => return self.function(ty, data),
            Type::Array { element, count }
                if *count == 0 || types.size_of(*element).unwrap_or(0) == 0 =>
            {
                return self.flexible(*element, data);
            }
            Type::Forward { .. } => return Rendered::Other("<incomplete type>".into()),
            _ => types.size_of(ty).unwrap_or(0),
        };
        // One read for the whole; if it fails, the parts are read one by one.
        let mut buffer = Vec::new();
        let mut data = data;
        let mut fault = None;
        if let (None, Some(address)) = (data.bytes, data.address)
            && size <= MAX_BLOCK
        {
            buffer.resize(size as usize, 0);
            match self.scope.read(address, &mut buffer) {
                Ok(()) => data.bytes = Some(&buffer),
                Err(error) => fault = Some(ValueError::Fault(error)),
            }
        }
        match types.resolve(ty) {
            Type::Composite(composite) => return self.composite(composite, data),
            Type::Array { element, count } => return self.array(*element, *count, data, fault),
            _ => {}
        }
        let Some(bytes) = data.bytes else {
            let unread = || ValueError::Type("not readable".into());
            return Rendered::Fault(fault.unwrap_or_else(unread));
        };
        if (bytes.len() as u64) < size {
            return Rendered::Fault(ValueError::Type("lies outside of its structure".into()));
        }
        self.scalar(ty, bytes)
    }

    fn scalar(&mut self, ty: TypeId, bytes: &[u8]) -> Rendered {
        let types = self.scope.types();
        let little = self.scope.is_little_endian();
        let (size, signed) = match types.resolve(ty) {
            Type::Int { size, signed, bool, .. } => (*size, *signed && !bool),
            Type::Enum { size, signed, .. } => (*size, *signed),
            Type::Float { size, .. } => return float(bytes, *size, little),
            _ => (types.pointer_size(), false),
        };
        if size > 8 {
            return self.wide(bytes, signed, little);
        }
        let bytes = &bytes[..(size as usize).min(bytes.len())];
        self.bits(ty, extract_bits(bytes, 0, size * 8, signed, little), 0)
    }

    /// An integer wider than 64 bits.
    fn wide(&self, bytes: &[u8], signed: bool, little: bool) -> Rendered {
        let mut value: u128 = 0;
        for index in 0..bytes.len().min(16) {
            let at = if little { index } else { bytes.len() - 1 - index };
            value |= u128::from(bytes[at]) << (8 * index);
        }
        let text = match self.style.radix {
            Radix::Hexadecimal => format!("{value:#x}"),
            Radix::Decimal if signed => (value as i128).to_string(),
            Radix::Decimal => value.to_string(),
        };
        Rendered::Integer { value: value as i128, text }
    }

    /// A scalar given by its bits, extended by its sign; `width` is that of a bit-field, or 0.
    fn bits(&mut self, ty: TypeId, bits: u64, width: u32) -> Rendered {
        let types = self.scope.types();
        match types.resolve(ty) {
            Type::Int { bool: true, .. } => {
                let text = match (self.style.radix, bits) {
                    (Radix::Hexadecimal, _) => format!("{bits:#x}"),
                    (_, 0) => "false".into(),
                    (_, 1) => "true".into(),
                    _ => bits.to_string(),
                };
                Rendered::Bool { value: bits != 0, text }
            }
            Type::Int { size, signed, .. } => {
                let value = if *signed { i128::from(bits as i64) } else { bits.into() };
                let width = if width == 0 { size * 8 } else { width };
                let text = match self.style.radix {
                    Radix::Hexadecimal => format!("{:#x}", low_bits(bits, width)),
                    Radix::Decimal if *size == 1 => {
                        format!("{value} {}", char_literal(bits as u8))
                    }
                    Radix::Decimal => value.to_string(),
                };
                Rendered::Integer { value, text }
            }
            Type::Enum { values, .. } => {
                let names = |value: &Enumerator| types.name(value.name);
                Rendered::Enum { value: bits as i64, text: enum_text(values, bits, names) }
            }
            Type::Pointer(target) => {
                let string =
                    (bits != 0 && self.is_char(*target)).then(|| Box::new(self.string_at(bits)));
                Rendered::Pointer { address: bits, symbol: self.symbol(bits), string, prefix: None }
            }
            _ => Rendered::Other("<not a number>".into()),
        }
    }

    fn symbol(&self, address: u64) -> Option<String> {
        let (name, offset) = self.scope.symbolize(address)?;
        Some(if offset == 0 { name } else { format!("{name}+{offset}") })
    }

    /// Whether arrays of this type are strings: any one-byte integer but a boolean.
    fn is_char(&self, ty: TypeId) -> bool {
        matches!(self.scope.types().resolve(ty), Type::Int { size: 1, bool: false, .. })
    }

    /// The string at `address`, up to its NUL or the style's limit.
    fn string_at(&self, address: u64) -> Rendered {
        const CHUNK: u64 = 64;
        let most = u64::from(self.style.print_max);
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < most {
            let at = address.wrapping_add(bytes.len() as u64);
            // Not beyond the next aligned chunk: the page behind may be missing.
            let mut chunk = vec![0; (CHUNK - at % CHUNK) as usize];
            if let Err(fault) = self.scope.read(at, &mut chunk) {
                if bytes.is_empty() {
                    return Rendered::Fault(fault.into());
                }
                return string(&bytes, true, self.style.repeats);
            }
            if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
                bytes.extend_from_slice(&chunk[..end]);
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        let cut = bytes.len() as u64 > most
            || bytes.len() as u64 == most && !self.is_nul(address.wrapping_add(most));
        bytes.truncate(self.style.print_max as usize);
        string(&bytes, cut, self.style.repeats)
    }

    fn is_nul(&self, address: u64) -> bool {
        let mut byte = [1];
        self.scope.read(address, &mut byte).is_ok() && byte[0] == 0
    }

    fn void(&self, data: Data<'_>) -> Rendered {
        match data.address {
            Some(address) => {
                let symbol = self.symbol(address);
                let prefix = Some("{<variable of unknown type>}".into());
                Rendered::Pointer { address, symbol, string: None, prefix }
            }
            None => Rendered::Other("void".into()),
        }
    }

    fn function(&self, ty: TypeId, data: Data<'_>) -> Rendered {
        let Some(address) = data.address else { return Rendered::Other("<function>".into()) };
        let prefix = Some(format!("{{{}}}", type_name(self.scope.types(), ty)));
        Rendered::Pointer { address, symbol: self.symbol(address), string: None, prefix }
    }

    /// An array without length is no more than an address.
    fn flexible(&self, element: TypeId, data: Data<'_>) -> Rendered {
        let Some(address) = data.address else { return Rendered::Other("{}".into()) };
        let string = self.is_char(element).then(|| Box::new(self.string_at(address)));
        Rendered::Pointer { address, symbol: self.symbol(address), string, prefix: None }
    }

    fn composite(&mut self, composite: &Composite, data: Data<'_>) -> Rendered {
        let types = self.scope.types();
        let mut members = Vec::with_capacity(composite.members.len());
        for member in &composite.members {
            let size = types.size_of(member.ty).unwrap_or(0);
            let name = (!member.name.is_none()).then(|| types.name(member.name).to_owned());
            let rendered = if member.bit_size == 0 {
                self.object(member.ty, data.part(member.bit_offset / 8, size))
            } else {
                self.bit_field(member.ty, member.bit_offset, member.bit_size, data)
            };
            members.push((name, rendered));
        }
        Rendered::Composite(members)
    }

    fn bit_field(&mut self, ty: TypeId, bit_offset: u64, width: u32, data: Data<'_>) -> Rendered {
        let (offset, shift) = (bit_offset / 8, (bit_offset % 8) as u32);
        let len = u64::from((shift + width).div_ceil(8));
        let signed = matches!(
            self.scope.types().resolve(ty),
            Type::Int { signed: true, bool: false, .. } | Type::Enum { signed: true, .. }
        );
        let little = self.scope.is_little_endian();
        let part = data.part(offset, len);
        if let Some(bytes) = part.bytes {
            if (bytes.len() as u64) < len {
                return Rendered::Fault(ValueError::Type("lies outside of its structure".into()));
            }
            return self.bits(ty, extract_bits(bytes, shift, width, signed, little), width);
        }
        let Some(address) = part.address else { return Rendered::Other("<not readable>".into()) };
        let mut buffer = [0; 9];
        let Some(buffer) = buffer.get_mut(..len as usize) else {
            return Rendered::Other("<a bit-field of too many bits>".into());
        };
        match self.scope.read(address, buffer) {
            Ok(()) => self.bits(ty, extract_bits(buffer, shift, width, signed, little), width),
            Err(fault) => Rendered::Fault(fault.into()),
        }
    }

    fn array(
        &mut self,
        element: TypeId,
        count: u64,
        data: Data<'_>,
        fault: Option<ValueError>,
    ) -> Rendered {
        let types = self.scope.types();
        let size = types.size_of(element).unwrap_or(0);
        if self.is_char(element) {
            return self.char_array(count, data, fault);
        }
        let shown = count.min(self.style.print_max.into());
        let mut items: Vec<(Rendered, u64)> = Vec::new();
        for index in 0..shown {
            let part = data.part(index.saturating_mul(size), size);
            let item = self.object(element, part);
            match items.last_mut() {
                Some((last, repeats)) if self.style.repeats.is_some() && *last == item => {
                    *repeats += 1;
                }
                _ => items.push((item, 1)),
            }
            if self.leaves > MAX_LEAVES {
                return Rendered::Array { items, more: true };
            }
        }
        if let Some(threshold) = self.style.repeats {
            items = items
                .into_iter()
                .flat_map(|(item, count)| {
                    let (copies, each) =
                        if count > threshold.into() { (1, count) } else { (count, 1) };
                    std::iter::repeat_n((item, each), copies as usize)
                })
                .collect();
        }
        Rendered::Array { items, more: count > shown }
    }

    fn char_array(&self, count: u64, data: Data<'_>, fault: Option<ValueError>) -> Rendered {
        let most = u64::from(self.style.print_max);
        // One byte more than is shown tells whether a final NUL may be dropped.
        let wanted = count.min(most.saturating_add(1));
        let mut buffer = Vec::new();
        let bytes = match (data.bytes, data.address) {
            (Some(bytes), _) => bytes,
            (None, Some(address)) => {
                buffer.resize(wanted as usize, 0);
                match self.scope.read(address, &mut buffer) {
                    Ok(()) => &buffer[..],
                    Err(error) => return Rendered::Fault(fault.unwrap_or(error.into())),
                }
            }
            (None, None) => return Rendered::Other("<not readable>".into()),
        };
        if (bytes.len() as u64) < wanted {
            return Rendered::Fault(ValueError::Type("lies outside of its structure".into()));
        }
        let bytes = &bytes[..wanted as usize];
        let bytes = match bytes {
            [head @ .., 0] if count == wanted => head,
            _ => bytes,
        };
        let cut = bytes.len() as u64 > most;
        string(&bytes[..bytes.len().min(most as usize)], cut, self.style.repeats)
    }
}

fn string(bytes: &[u8], cut: bool, repeats: Option<u32>) -> Rendered {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let mut text = match repeats {
        Some(threshold) => quote_folded(bytes, threshold as usize),
        None => quote(bytes),
    };
    if cut {
        text.push_str("...");
    }
    Rendered::String { value: String::from_utf8_lossy(&bytes[..end]).into_owned(), text }
}

fn low_bits(bits: u64, width: u32) -> u64 {
    if width >= 64 { bits } else { bits & ((1 << width) - 1) }
}

fn float(bytes: &[u8], size: u32, little: bool) -> Rendered {
    let bits = extract_bits(bytes, 0, size.min(8) * 8, false, little);
    Rendered::Other(match size {
        4 => f32::from_bits(bits as u32).to_string(),
        8 => f64::from_bits(bits).to_string(),
        _ => format!("<floating-point number of {size} bytes>"),
    })
}

/// The name of an enum's value; for an enum of flags their names, as gdb prints them.
fn enum_text<'a>(
    values: &[Enumerator],
    bits: u64,
    name: impl Fn(&Enumerator) -> &'a str,
) -> String {
    if let Some(exact) = values.iter().find(|v| v.value as u64 == bits) {
        return name(exact).to_owned();
    }
    if !is_flags(values) {
        return (bits as i64).to_string();
    }
    let mut left = bits;
    let mut parts = Vec::new();
    for value in values {
        let flag = value.value as u64;
        if flag != 0 && left & flag == flag {
            left &= !flag;
            parts.push(name(value).to_owned());
        }
    }
    if left != 0 {
        parts.push(format!("unknown: {left:#x}"));
    }
    if parts.is_empty() { "0".into() } else { format!("({})", parts.join(" | ")) }
}

/// Whether every constant is a run of bits of its own.
fn is_flags(values: &[Enumerator]) -> bool {
    let mut seen = 0;
    values.iter().all(|value| {
        let flag = value.value as u64;
        let run = flag == 0 || (flag >> flag.trailing_zeros()).wrapping_add(1).is_power_of_two();
        let fresh = seen & flag == 0;
        seen |= flag;
        value.value >= 0 && run && fresh
    })
}
