//! Typed memory as `::print` prints it.

use necropsy_debuginfo::{Composite, Type, TypeId};

use crate::{Failure, Mdb, Outcome, Space, failure::fail, text::escape};

/// Deepest nesting of structures.
const MAX_DEPTH: usize = 32;
/// Most lines of one value.
const MAX_TEXT: usize = 16 << 20;
/// Longest string behind a pointer.
const POINTED: usize = 256;

/// How values are printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Style {
    /// Addresses in front.
    pub(crate) addresses: bool,
    /// Types in front.
    pub(crate) types: bool,
    /// Numbers in decimal.
    pub(crate) decimal: bool,
    /// No symbols for pointers.
    pub(crate) no_symbols: bool,
    /// Physical memory.
    pub(crate) physical: bool,
    /// Most elements of an array; none: all.
    pub(crate) array_limit: Option<u64>,
    /// Most characters of an array of them; none: all.
    pub(crate) string_limit: Option<u64>,
    /// Deepest nesting that is shown.
    pub(crate) depth: Option<usize>,
}

/// A piece of typed memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: u64,
    pub(crate) ty: TypeId,
    pub(crate) bit_offset: u32,
    pub(crate) bit_size: u32,
}

impl Place {
    pub(crate) fn new(address: u64, ty: TypeId) -> Place {
        Place { address, ty, bit_offset: 0, bit_size: 0 }
    }
}

impl Mdb {
    fn space(&self, style: &Style) -> Space {
        if style.physical { Space::Physical } else { Space::Virtual }
    }

    /// The type behind names and qualifiers, complete.
    pub(crate) fn resolved(&self, ty: TypeId) -> TypeId {
        let types = self.system.types();
        types.strip(self.system.complete(types.strip(ty)))
    }

    pub(crate) fn size_of(&self, ty: TypeId) -> Outcome<u64> {
        let types = self.system.types();
        let ty = self.resolved(ty);
        if let Type::Function { .. } = types.get(ty) {
            return Ok(0);
        }
        types
            .size_of(ty)
            .ok_or_else(|| Failure::Text(format!("the size of {} is not known", types.display(ty))))
    }

    /// Follows `a.b->c[3]` from a place on.
    pub(crate) fn member_place(&self, from: Place, path: &str, style: &Style) -> Outcome<Place> {
        let mut place = from;
        let mut rest = path.trim();
        let mut first = true;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let Some((index, after)) = after.split_once(']') else {
                    return fail(format!("{path}: no closing ]"));
                };
                place = self.element(place, self.evaluate(index)?, style)?;
                rest = after;
            } else {
                let after = rest.strip_prefix("->").or_else(|| rest.strip_prefix('.'));
                let name_at = match after {
                    Some(after) => after,
                    None if first => rest,
                    None => return fail(format!("{path}: not a member's name")),
                };
                let end = name_at
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(name_at.len());
                let (name, after) = name_at.split_at(end);
                if name.is_empty() {
                    return fail(format!("{path}: not a member's name"));
                }
                place = self.named_member(place, name, style)?;
                rest = after;
            }
            first = false;
        }
        Ok(place)
    }

    fn named_member(&self, place: Place, name: &str, style: &Style) -> Outcome<Place> {
        let types = self.system.types();
        let mut place = place;
        let mut ty = self.resolved(place.ty);
        if let Type::Pointer(target) = *types.get(ty) {
            let address = self.number_at(place, style)?.0;
            place = Place::new(address, target);
            ty = self.resolved(target);
        }
        if types.as_composite(ty).is_none() {
            return fail(format!("{} is not a struct or union type", types.display(place.ty)));
        }
        let Some(member) = types.member(ty, name) else {
            return fail(format!("no such member {name} in {}", types.display(place.ty)));
        };
        Ok(Place {
            address: place.address.wrapping_add(member.bit_offset / 8),
            ty: member.ty,
            bit_offset: (member.bit_offset % 8) as u32,
            bit_size: member.bit_size,
        })
    }

    fn element(&self, place: Place, index: u64, style: &Style) -> Outcome<Place> {
        let types = self.system.types();
        let (base, element) = match *types.get(self.resolved(place.ty)) {
            Type::Array { element, .. } => (place.address, element),
            Type::Pointer(target) => (self.number_at(place, style)?.0, target),
            _ => return fail(format!("{} is not an array", types.display(place.ty))),
        };
        let size = self.size_of(element)?;
        Ok(Place::new(base.wrapping_add(size.wrapping_mul(index)), element))
    }

    /// A number, pointer or enum: its bits, and its size in bits.
    pub(crate) fn number_at(&self, place: Place, style: &Style) -> Outcome<(u64, u32)> {
        let size = self.size_of(place.ty)?;
        let bits = match place.bit_size {
            0 => (size * 8).min(64) as u32,
            bits => bits.min(64),
        };
        let len = ((place.bit_offset + bits).div_ceil(8) as usize).min(9);
        let mut bytes = [0; 16];
        self.system.read(self.space(style), place.address, &mut bytes[..len])?;
        let value = u128::from_le_bytes(bytes) >> place.bit_offset;
        let value = value as u64;
        Ok((if bits == 64 { value } else { value & ((1 << bits) - 1) }, bits))
    }

    /// What a place gives to a pipe: a number's value, else its address.
    pub(crate) fn pipe_value(&self, place: Place, style: &Style) -> Outcome<u64> {
        match self.system.types().get(self.resolved(place.ty)) {
            Type::Int { .. } | Type::Enum { .. } | Type::Pointer(_) => {
                Ok(self.number_at(place, style)?.0)
            }
            _ => Ok(place.address),
        }
    }

    /// A value's text, without a line's end.
    pub(crate) fn value_text(&self, place: Place, style: &Style) -> String {
        let mut out = String::new();
        self.write_value(place, style, 0, &mut out);
        out
    }

    fn write_value(&self, place: Place, style: &Style, level: usize, out: &mut String) {
        if out.len() > MAX_TEXT {
            return;
        }
        if let Err(failure) = self.try_write(place, style, level, out) {
            // A fault stands in the value's place, and the rest goes on.
            out.push_str(&format!("??? ({failure})"));
        }
    }

    fn try_write(&self, place: Place, style: &Style, level: usize, out: &mut String) -> Outcome {
        let types = self.system.types();
        let ty = self.resolved(place.ty);
        match types.get(ty) {
            Type::Int { signed, char, .. } => {
                let (value, bits) = self.number_at(place, style)?;
                out.push_str(&integer(value, bits, *signed, *char && bits == 8, style));
            }
            Type::Enum { values, .. } => {
                let (value, _) = self.number_at(place, style)?;
                let number = i64::from(value as u32 as i32);
                let name = values.iter().find(|found| found.value == number);
                // Values that are bits read as bits.
                let flags = values.len() > 1
                    && values.iter().all(|found| found.value > 0 && found.value.count_ones() == 1);
                let number = if flags && !style.decimal {
                    format!("{number:#x}")
                } else {
                    number.to_string()
                };
                let name = name.map_or("???", |found| types.name(found.name));
                out.push_str(&format!("{number} ({name})"));
            }
            Type::Pointer(target) => {
                let (value, _) = self.number_at(place, style)?;
                self.write_pointer(value, *target, style, out);
            }
            Type::Float { size, .. } => {
                let mut bytes = [0; 8];
                let len = if *size == 4 { 4 } else { 8 };
                self.system.read(self.space(style), place.address, &mut bytes[..len])?;
                if len == 4 {
                    let [a, b, c, d, ..] = bytes;
                    out.push_str(&format!("{:e}", f32::from_le_bytes([a, b, c, d])));
                } else {
                    out.push_str(&format!("{:e}", f64::from_le_bytes(bytes)));
                }
            }
            Type::Array { element, count } => {
                self.write_array(place, *element, *count, style, level, out)?;
            }
            Type::Composite(composite) => self.write_composite(place, composite, style, level, out),
            Type::Function { .. } => out.push_str(&self.system.name_or_hex(place.address)),
            Type::Forward { .. } => return fail("the type is declared, and nowhere defined"),
            Type::Lost => return fail("the type could not be read"),
            Type::Void | Type::Typedef { .. } | Type::Qualified { .. } => out.push_str("void"),
        }
        Ok(())
    }

    fn write_pointer(&self, value: u64, target: TypeId, style: &Style, out: &mut String) {
        if value == 0 {
            out.push('0');
            return;
        }
        let symbol = if style.no_symbols { None } else { self.system.symbolize(value) };
        out.push_str(&symbol.unwrap_or_else(|| format!("{value:#x}")));
        let types = self.system.types();
        let target = self.resolved(target);
        if let Type::Int { size: 1, char: true, .. } = types.get(target)
            && let Ok(bytes) = self.system.read_string(self.space(style), value, POINTED)
            && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
        {
            out.push_str(&format!(" \"{}\"", escape(&bytes)));
        }
    }

    fn write_array(
        &self,
        place: Place,
        element: TypeId,
        count: u64,
        style: &Style,
        level: usize,
        out: &mut String,
    ) -> Outcome {
        let types = self.system.types();
        let inner = self.resolved(element);
        if level >= MAX_DEPTH {
            return fail("nested too deeply");
        }
        if count == 0 {
            out.push_str("[ ]");
            return Ok(());
        }
        if let Type::Int { size: 1, char: true, .. } = types.get(inner) {
            let len = style.string_limit.map_or(count, |limit| count.min(limit)).min(1 << 20);
            let mut bytes = vec![0; len as usize];
            self.system.read(self.space(style), place.address, &mut bytes)?;
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or(&[]);
            let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
            if !text.is_empty() && text.iter().all(printable) {
                let more = if text.len() as u64 == len && len < count { " ..." } else { "" };
                out.push_str(&format!("[ \"{}\"{more} ]", escape(text)));
                return Ok(());
            }
        }
        let size = self.size_of(element)?;
        let limit = style.array_limit.map_or(count, |limit| count.min(limit)).min(1 << 20);
        let nested = matches!(types.get(inner), Type::Composite(_) | Type::Array { .. });
        let place_of =
            |index: u64| Place::new(place.address.wrapping_add(index.wrapping_mul(size)), element);
        if !nested {
            out.push_str("[ ");
            for index in 0..limit {
                self.write_value(place_of(index), style, level, out);
                out.push_str(if index + 1 < limit { ", " } else { "" });
            }
            out.push_str(if limit < count { ", ... ]" } else { " ]" });
            return Ok(());
        }
        let pad = " ".repeat(4 * (level + 1));
        out.push_str("[\n");
        for index in 0..limit {
            out.push_str(&pad);
            if style.addresses {
                out.push_str(&format!("{:x} ", place_of(index).address));
            }
            self.write_value(place_of(index), style, level + 1, out);
            out.push_str(",\n");
            if out.len() > MAX_TEXT {
                break;
            }
        }
        if limit < count {
            out.push_str(&format!("{pad}...\n"));
        }
        out.push_str(&format!("{}]", " ".repeat(4 * level)));
        Ok(())
    }

    fn write_composite(
        &self,
        place: Place,
        composite: &Composite,
        style: &Style,
        level: usize,
        out: &mut String,
    ) {
        if style.depth.is_some_and(|depth| level >= depth) || level >= MAX_DEPTH {
            out.push_str("{ ... }");
            return;
        }
        let types = self.system.types();
        let pad = " ".repeat(4 * (level + 1));
        out.push_str("{\n");
        for member in &composite.members {
            let inner = Place {
                address: place.address.wrapping_add(member.bit_offset / 8),
                ty: member.ty,
                bit_offset: (member.bit_offset % 8) as u32,
                bit_size: member.bit_size,
            };
            out.push_str(&pad);
            if style.addresses {
                out.push_str(&format!("{:x} ", inner.address));
            }
            let name = types.name(member.name);
            if style.types {
                out.push_str(&types.declare(member.ty, name));
                if member.bit_size != 0 {
                    out.push_str(&format!(" :{}", member.bit_size));
                }
            } else {
                out.push_str(name);
            }
            if !name.is_empty() || style.types {
                out.push_str(" = ");
            }
            self.write_value(inner, style, level + 1, out);
            out.push('\n');
            if out.len() > MAX_TEXT {
                break;
            }
        }
        out.push_str(&format!("{}}}", " ".repeat(4 * level)));
    }
}

/// An integer: hexadecimal without a sign, or decimal behind `0t`.
fn integer(value: u64, bits: u32, signed: bool, is_char: bool, style: &Style) -> String {
    if is_char && !style.decimal {
        let text = escape(&[value as u8]).replace("\\\"", "\"").replace('\'', "\\'");
        // A NUL is short, and other unprintable ones have three digits.
        return if value == 0 { "'\\0'".into() } else { format!("'{text}'") };
    }
    if style.decimal {
        let unused = 64 - bits.clamp(1, 64);
        let number = (value << unused) as i64 >> unused;
        return if signed { format!("0t{number}") } else { format!("0t{value}") };
    }
    if value == 0 { "0".into() } else { format!("{value:#x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_print_has_them() {
        let plain = Style::default();
        let decimal = Style { decimal: true, ..Style::default() };
        assert_eq!(integer(0, 32, true, false, &plain), "0");
        assert_eq!(integer(0x58, 32, true, false, &plain), "0x58");
        assert_eq!(integer(0xffff_ffff, 32, true, false, &decimal), "0t-1");
        assert_eq!(integer(0, 8, true, true, &plain), "'\\0'");
        assert_eq!(integer(2, 8, true, true, &plain), "'\\002'");
        assert_eq!(integer(b'x'.into(), 8, true, true, &plain), "'x'");
    }
}
