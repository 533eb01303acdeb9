//! The memory operand of an arm64 instruction, read from its text.

/// What an instruction is about to touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// Registers the address is made of, and their values.
    pub(super) sources: Vec<(String, u64)>,
    /// Virtual address.
    pub(super) address: u64,
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Evaluates `ldr x1, [x0, #16]` and its like: a base with a number or a
/// 64-bit register, shifted or not. Other forms of the operand give none.
pub(super) fn arm64(text: &str, value: &dyn Fn(&str) -> Option<u64>) -> Option<Touched> {
    let mnemonic = text.split_whitespace().next()?;
    let read = mnemonic.starts_with("ld");
    let write = mnemonic.starts_with("st");
    if !read && !write {
        return None;
    }
    let (_, rest) = text.split_once('[')?;
    let (inside, _) = rest.split_once(']')?;
    let mut parts = inside.split(',').map(str::trim);
    let base = parts.next()?;
    let mut sources = vec![(base.to_owned(), value(base)?)];
    let mut address = sources[0].1;
    if let Some(index) = parts.next() {
        if let Some(number) = index.strip_prefix('#') {
            address = address.wrapping_add_signed(signed(number)?);
        } else if index.starts_with('x') {
            let shift = match parts.next() {
                None => 0,
                Some(shift) => signed(shift.strip_prefix("lsl #")?)?,
            };
            let added = value(index)?;
            sources.push((index.to_owned(), added));
            address = address.wrapping_add(added.checked_shl(u32::try_from(shift).ok()?)?);
        } else {
            return None;
        }
    }
    parts.next().is_none().then_some(Touched { sources, address, read, write })
}

fn signed(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    number.ok().map(|number| if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let value = |name: &str| match name {
            "x0" => Some(0x1000),
            "x1" => Some(3),
            "sp" => Some(0x8000),
            _ => None,
        };
        let touched = |text| arm64(text, &value).map(|t| (t.address, t.read, t.write));
        for (text, expected) in [
            ("ldr x2, [x0]", Some((0x1000, true, false))),
            ("ldr x2, [x0, #16]", Some((0x1010, true, false))),
            ("stp x29, x30, [sp, #-32]!", Some((0x7fe0, false, true))),
            ("str w2, [x0], #4", Some((0x1000, false, true))),
            ("ldrb w2, [x0, x1]", Some((0x1003, true, false))),
            ("ldr x2, [x0, x1, lsl #3]", Some((0x1018, true, false))),
            ("ldr x2, [x0, w1, uxtw #3]", None),
            ("ldr x2, [x9]", None),
            ("add x0, x0, #1", None),
            ("ldr x2, [x0, x1, lsl #99]", None),
        ] {
            assert_eq!(touched(text), expected, "{text}");
        }
    }
}
