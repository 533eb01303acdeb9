//! What a value looks like.

use necropsy_debuginfo::{Type, TypeId};
use necropsy_linux::{Kernel, task::Task};
use necropsy_target::format as text;

use super::places::is_canonical;
use crate::meaning;

/// The longest string that is shown, in bytes.
const MAX_STRING: usize = 64;

/// What a value is, in words: by its type where that is known, and by its bits.
pub(super) fn of(kernel: &Kernel, task: Task<'_>, value: u64, ty: Option<TypeId>) -> Vec<String> {
    let types = kernel.types();
    let mut said = Vec::new();
    match ty.map(|ty| types.resolve(ty)) {
        Some(Type::Int { size, signed, .. }) if *size < 8 || is_number(value) => {
            integer(value, u64::from(*size), *signed, &mut said);
            return said;
        }
        Some(Type::Enum { values, .. }) => {
            let named = values.iter().find(|constant| constant.value as u64 == value);
            said.extend(named.map(|constant| types.name(constant.name).to_owned()));
            return said;
        }
        Some(Type::Pointer(target)) => {
            if let Type::Int { char: true, .. } = types.resolve(*target)
                && let Ok(string) = kernel.target().read_cstr(value, MAX_STRING)
                && !string.is_empty()
                && !string.contains(|c: char| c == '\u{fffd}' || c.is_control() && c != '\n')
            {
                said.push(text::quote(string.as_bytes()));
                return said;
            }
        }
        _ if value < 1 << 32 => {
            integer(value, if value < 1 << 31 { 8 } else { 4 }, true, &mut said);
            return said;
        }
        _ => {}
    }
    let words = meaning::of(kernel, task, value);
    if !words.is_empty() {
        said.push(words);
    } else if !is_canonical(kernel, value) {
        said.push("not a canonical address".into());
    }
    if let Some(repeated) = repeated(value, 8) {
        said.push(repeated);
    }
    said
}

/// Whether a 64-bit integer is a number rather than an address.
fn is_number(value: u64) -> bool {
    (value as i64).unsigned_abs() < 1 << 30 || value < 1 << 40
}

fn integer(value: u64, size: u64, signed: bool, said: &mut Vec<String>) {
    let unused = 64 - 8 * size.clamp(1, 8);
    let number = ((value << unused) as i64) >> unused;
    if signed && number < 0 {
        said.push(number.to_string());
        if let Some(name) = necropsy_oops::errno(number.unsigned_abs()).filter(|_| number >= -4095)
        {
            said.push(format!("-{name}"));
        }
    } else if value > 9 {
        said.push((value << unused >> unused).to_string());
    }
    if let Ok(byte @ 0x20..=0x7e) = u8::try_from(value) {
        said.push(text::char_literal(byte));
    }
    if let Some(repeated) = repeated(value, size.min(8)) {
        said.push(repeated);
    }
}

/// A value all of whose bytes are printable: text, where a number or an address should be.
pub(super) fn repeated(value: u64, size: u64) -> Option<String> {
    let bytes = value.to_le_bytes();
    let used = bytes.iter().rposition(|byte| *byte != 0)? + 1;
    let bytes = &bytes[..used.min(usize::try_from(size).ok()?)];
    let printable = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    // Eight different ones are what `meaning` says already.
    let same = bytes.iter().all(|byte| *byte == bytes[0]);
    (printable && bytes.len() >= 4 && (same || bytes.len() == 4))
        .then(|| format!("ASCII {}", text::quote(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_letters() {
        let mut said = Vec::new();
        integer(92, 4, true, &mut said);
        assert_eq!(said, ["92", r"'\\'"]);
        said.clear();
        integer(0xffff_ffea, 4, true, &mut said);
        assert_eq!(said, ["-22", "-EINVAL"]);
        assert_eq!(repeated(0x3f3f_3f3f, 4).as_deref(), Some("ASCII \"????\""));
        assert_eq!(repeated(0x3f3f, 4), None);
    }
}
