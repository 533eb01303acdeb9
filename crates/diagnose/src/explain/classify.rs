//! What a value looks like.

use necropsy_debuginfo::{Type, TypeId};
use necropsy_lexicon::value;
use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::format as text;

use super::{code::is_canonical, explanation::Look};
use crate::value::Meaning;

/// The longest string that is shown, in bytes.
const MAX_STRING: usize = 64;

/// What a value is: by its type where that is known, and by its bits.
pub(super) fn of(kernel: &Kernel, task: Task<'_>, value: u64, ty: Option<TypeId>) -> Vec<Look> {
    let types = kernel.types();
    let mut said = Vec::new();
    match ty.map(|ty| types.resolve(ty)) {
        Some(Type::Int { size, signed, .. }) if *size < 8 || is_number(value) => {
            integer(value, u64::from(*size), *signed, &mut said);
            return said;
        }
        Some(Type::Enum { values, .. }) => {
            let named = values.iter().find(|constant| constant.value as u64 == value);
            said.extend(
                named.map(|constant| Look::Enumerator(types.name(constant.name).to_owned())),
            );
            return said;
        }
        Some(Type::Pointer(target)) => {
            if let Type::Int { char: true, .. } = types.resolve(*target)
                && let Ok(string) = kernel.target().read_cstr(value, MAX_STRING)
                && !string.is_empty()
                && !string.contains(|c: char| c == '\u{fffd}' || c.is_control() && c != '\n')
            {
                said.push(Look::String(text::quote(string.as_bytes())));
                return said;
            }
        }
        _ if value < 1 << 32 => {
            integer(value, if value < 1 << 31 { 8 } else { 4 }, true, &mut said);
            return said;
        }
        _ => {}
    }
    match Meaning::of(kernel, task, value) {
        Meaning::Number if !is_canonical(kernel, value) => said.push(Look::NotCanonical),
        Meaning::Number => {}
        meaning => said.push(Look::Meaning(meaning)),
    }
    said.extend(letters(value, 8).map(Look::Letters));
    said
}

/// Whether a 64-bit integer is a number rather than an address.
fn is_number(value: u64) -> bool {
    (value as i64).unsigned_abs() < 1 << 30 || value < 1 << 40
}

fn integer(value: u64, size: u64, signed: bool, said: &mut Vec<Look>) {
    let unused = 64 - 8 * size.clamp(1, 8);
    let number = ((value << unused) as i64) >> unused;
    if signed && number < 0 {
        said.push(Look::Signed(number));
        let number = value::error_number(number as u64, true);
        said.extend(number.and_then(value::errno).map(Look::Errno));
    } else if value > 9 {
        said.push(Look::Unsigned(value << unused >> unused));
    }
    if let Ok(byte @ 0x20..=0x7e) = u8::try_from(value) {
        said.push(Look::Char(byte));
    }
    said.extend(letters(value, usize::try_from(size).unwrap_or(8)).map(Look::Letters));
}

/// A value of equal letters, or of four: text, where a number or an address should be; in quotes.
pub(super) fn letters(value: u64, size: usize) -> Option<String> {
    let text = value::printable(value, size)?;
    let bytes = text.as_bytes();
    // Eight different ones are what `Meaning` says already.
    let same = bytes.iter().all(|byte| Some(byte) == bytes.first());
    (bytes.len() >= 4 && (same || bytes.len() == 4)).then(|| text::quote(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_letters() {
        let mut said = Vec::new();
        integer(92, 4, true, &mut said);
        assert_eq!(said, [Look::Unsigned(92), Look::Char(b'\\')]);
        said.clear();
        integer(0xffff_ffea, 4, true, &mut said);
        assert_eq!(said, [Look::Signed(-22), Look::Errno("EINVAL")]);
        assert_eq!(letters(0x3f3f_3f3f, 4).as_deref(), Some("\"????\""));
        assert_eq!(letters(0x3f3f, 4), None);
    }
}
