//! The memory operand of an instruction that is not x86's, read from its text.

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

/// Evaluates `ldr x1, [x0, #16]`, `str r3, [r2]`, `lw a5, 16(a0)` and their like: a base with a
/// number or a register of full width, shifted or not. Other forms of the operand give none.
pub(super) fn touched(text: &str, value: &dyn Fn(&str) -> Option<u64>) -> Option<Touched> {
    let mnemonic = text.split_whitespace().next()?.trim_start_matches("c.");
    let (read, write) = access(mnemonic)?;
    let (sources, address) = match text.split_once('[') {
        Some((_, rest)) => bracketed(rest.split_once(']')?.0, value)?,
        None if text.contains('(') => displaced(text, value)?,
        None => listed(text, value)?,
    };
    Some(Touched { sources, address, read, write })
}

/// Does the instruction load, store or both?
fn access(mnemonic: &str) -> Option<(bool, bool)> {
    let base = mnemonic.split('.').next().unwrap_or(mnemonic);
    match base {
        "lb" | "lbu" | "lh" | "lhu" | "lw" | "lwu" | "ld" | "flw" | "fld" | "lwsp" | "ldsp"
        | "lr" => Some((true, false)),
        "sb" | "sh" | "sw" | "sd" | "fsw" | "fsd" | "swsp" | "sdsp" | "sc" => Some((false, true)),
        _ if base.starts_with("amo") || base.starts_with("cas") || base.starts_with("swp") => {
            Some((true, true))
        }
        _ if base.starts_with("ld") => Some((true, false)),
        _ if base.starts_with("st") => Some((false, true)),
        _ => None,
    }
}

type Address = (Vec<(String, u64)>, u64);

/// `x0, #16`, `r2, r3, lsl #2`.
fn bracketed(inside: &str, value: &dyn Fn(&str) -> Option<u64>) -> Option<Address> {
    let mut parts = inside.split(',').map(str::trim);
    let base = parts.next()?;
    if base == "pc" {
        return None;
    }
    let mut sources = vec![(base.to_owned(), value(base)?)];
    let mut address = sources[0].1;
    if let Some(index) = parts.next() {
        if let Some(number) = index.strip_prefix('#') {
            address = address.wrapping_add_signed(signed(number)?);
        } else if index.starts_with(['x', 'r']) {
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
    parts.next().is_none().then_some((sources, address))
}

/// `a5, 16(a0)`.
fn displaced(text: &str, value: &dyn Fn(&str) -> Option<u64>) -> Option<Address> {
    let (before, rest) = text.split_once('(')?;
    let base = rest.split_once(')')?.0.trim();
    let offset = before.rsplit([' ', ',']).next().unwrap_or("").trim();
    let offset = if offset.is_empty() { 0 } else { signed(offset)? };
    let at = value(base)?;
    Some((vec![(base.to_owned(), at)], at.wrapping_add_signed(offset)))
}

/// `ldm r1!, {r3, r4}`.
fn listed(text: &str, value: &dyn Fn(&str) -> Option<u64>) -> Option<Address> {
    let mnemonic = text.split_whitespace().next()?;
    if !text.contains('{') || !(mnemonic.starts_with("ldm") || mnemonic.starts_with("stm")) {
        return None;
    }
    let base = text.strip_prefix(mnemonic)?.trim().split([',', '!', ' ']).next()?;
    let at = value(base)?;
    Some((vec![(base.to_owned(), at)], at))
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
            "x0" | "a0" | "r2" => Some(0x1000),
            "x1" | "r3" => Some(3),
            "sp" => Some(0x8000),
            _ => None,
        };
        let touched = |text| touched(text, &value).map(|t| (t.address, t.read, t.write));
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
            ("str r3, [r2]", Some((0x1000, false, true))),
            ("ldr r0, [r2, r3, lsl #2]", Some((0x100c, true, false))),
            ("ldr r0, [pc, #8]", None),
            ("ldm r2!, {r3, r4}", Some((0x1000, true, false))),
            ("lw a5, 16(a0)", Some((0x1010, true, false))),
            ("sd a5,-8(a0)", Some((0xff8, false, true))),
            ("amoadd.w a1,a2,(a0)", Some((0x1000, true, true))),
            ("lui a5, 16", None),
        ] {
            assert_eq!(touched(text), expected, "{text}");
        }
    }
}
