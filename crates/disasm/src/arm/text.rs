//! Where yaxpeax-arm's text differs from objdump's, and what to do about it.

/// System registers that kernels use, which have names in objdump's output
/// (Arm Architecture Reference Manual, chapter D24).
const SYSTEM_REGISTERS: [(&str, &str); 36] = [
    ("s3_0_c0_c0_0", "midr_el1"),
    ("s3_0_c0_c0_5", "mpidr_el1"),
    ("s3_0_c1_c0_0", "sctlr_el1"),
    ("s3_0_c1_c0_1", "actlr_el1"),
    ("s3_0_c1_c0_2", "cpacr_el1"),
    ("s3_0_c2_c0_0", "ttbr0_el1"),
    ("s3_0_c2_c0_1", "ttbr1_el1"),
    ("s3_0_c2_c0_2", "tcr_el1"),
    ("s3_0_c4_c0_0", "spsr_el1"),
    ("s3_0_c4_c0_1", "elr_el1"),
    ("s3_0_c4_c1_0", "sp_el0"),
    ("s3_0_c4_c2_0", "spsel"),
    ("s3_0_c4_c2_2", "currentel"),
    ("s3_0_c4_c2_3", "pan"),
    ("s3_0_c4_c2_4", "uao"),
    ("s3_0_c5_c2_0", "esr_el1"),
    ("s3_0_c6_c0_0", "far_el1"),
    ("s3_0_c7_c4_0", "par_el1"),
    ("s3_0_c10_c2_0", "mair_el1"),
    ("s3_0_c12_c0_0", "vbar_el1"),
    ("s3_0_c12_c1_0", "isr_el1"),
    ("s3_0_c13_c0_1", "contextidr_el1"),
    ("s3_0_c13_c0_4", "tpidr_el1"),
    ("s3_0_c14_c1_0", "cntkctl_el1"),
    ("s3_3_c0_c0_1", "ctr_el0"),
    ("s3_3_c0_c0_7", "dczid_el0"),
    ("s3_3_c4_c2_0", "nzcv"),
    ("s3_3_c4_c2_1", "daif"),
    ("s3_3_c4_c4_0", "fpcr"),
    ("s3_3_c4_c4_1", "fpsr"),
    ("s3_3_c9_c13_0", "pmccntr_el0"),
    ("s3_3_c14_c0_0", "cntfrq_el0"),
    ("s3_3_c14_c0_2", "cntvct_el0"),
    ("s3_3_c14_c3_1", "cntv_ctl_el0"),
    ("s3_3_c14_c3_2", "cntv_cval_el0"),
    ("s3_4_c13_c0_2", "tpidr_el2"),
];

/// The rules of 64-bit code.
pub(super) fn apply_a64(mnemonic: &mut String, operands: &mut String) {
    // The conditions are *carry set* and *carry clear*, not *higher or same* and *lower*.
    for (theirs, ours) in [("hs", "cs"), ("lo", "cc")] {
        if *mnemonic == format!("b.{theirs}") {
            *mnemonic = format!("b.{ours}");
        }
        if let Some(rest) = operands.strip_suffix(theirs).filter(|rest| rest.ends_with(", ")) {
            *operands = format!("{rest}{ours}");
        }
    }
    if matches!(mnemonic.as_str(), "mrs" | "msr") {
        for (encoding, name) in SYSTEM_REGISTERS {
            if operands.split(", ").any(|operand| operand == encoding) {
                *operands = operands.replace(encoding, name);
            }
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
