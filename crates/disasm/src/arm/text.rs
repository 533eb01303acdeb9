//! Where yaxpeax-arm's text differs from objdump's, and what to do about it.

/// The rules of 64-bit code.
pub(super) fn apply_a64(bytes: &[u8], mnemonic: &mut String, operands: &mut String) {
    // An index that is extended and not shifted; of single bytes a shift by nothing can be told.
    if let Some(rest) = operands.strip_suffix(" #0]")
        && bytes.get(1).is_some_and(|byte| byte & 1 << 4 == 0)
    {
        *operands = format!("{rest}]");
    }
    // The conditions are *carry set* and *carry clear*, not *higher or same* and *lower*.
    for (theirs, ours) in [("hs", "cs"), ("lo", "cc")] {
        if *mnemonic == format!("b.{theirs}") {
            *mnemonic = format!("b.{ours}");
        }
        if let Some(rest) = operands.strip_suffix(theirs).filter(|rest| rest.ends_with(", ")) {
            *operands = format!("{rest}{ours}");
        }
    }
    // Offsets, bit numbers and shifts are decimal, all other immediates hexadecimal.
    let decimal_from = match mnemonic.as_str() {
        "tbz" | "tbnz" | "lsl" | "lsr" | "asr" | "ror" | "ubfx" | "sbfx" | "bfi" | "bfxil"
        | "ubfiz" | "sbfiz" | "bfc" | "extr" => Some(0),
        _ => operands.find('['),
    };
    if let Some(from) = decimal_from {
        let rest = decimal(&operands[from..], "#0x", "#-0x");
        operands.replace_range(from.., &rest);
    }
}

/// The rules of 32-bit code: every immediate is decimal and has a `#`.
pub(super) fn apply_a32(operands: &mut String) {
    *operands = decimal(operands, "0x", "-0x");
}

/// Narrow branches of Thumb code say so; calls, which are always wide, do not.
pub(super) fn apply_thumb(mnemonic: &mut String, is_narrow_branch: bool) {
    if is_narrow_branch && mnemonic.starts_with('b') && !mnemonic.contains('.') {
        mnemonic.push_str(".n");
    }
    if let "bl.w" | "blx.w" = mnemonic.as_str() {
        mnemonic.truncate(mnemonic.len() - 2);
    }
}

/// Rewrites hexadecimal numbers with these beginnings as `#` and a decimal number.
fn decimal(text: &str, plus: &str, minus: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("0x") {
        let digits_at = at + 2;
        let digits = rest[digits_at..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let end = digits_at + digits;
        let sign = [(minus, "-"), (plus, "")]
            .into_iter()
            .find(|(begin, _)| rest[..digits_at].ends_with(begin));
        match (sign, u64::from_str_radix(&rest[digits_at..end], 16)) {
            (Some((begin, sign)), Ok(value)) => {
                out.push_str(&rest[..digits_at - begin.len()]);
                out.push_str(&format!("#{sign}{value}"));
            }
            _ => out.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}
