//! What a value is, told from the value alone.

use crate::report::Arch;

/// Patterns that the kernel writes into memory nobody should use
/// (`include/linux/poison.h` and the allocators).
const POISONS: &[(u64, &str)] = &[
    (0x6b6b_6b6b_6b6b_6b6b, "freed slab object (POISON_FREE)"),
    (0x6b6b_6b6b_6b6b_6ba5, "end of a freed slab object (POISON_END)"),
    (0x5a5a_5a5a_5a5a_5a5a, "slab memory never written (POISON_INUSE)"),
    (0xa5a5_a5a5_a5a5_a5a5, "end marker of slab poison (POISON_END)"),
    (0xbbbb_bbbb_bbbb_bbbb, "slab red zone, inactive (SLUB_RED_INACTIVE)"),
    (0xcccc_cccc_cccc_cccc, "slab red zone, active, or freed init memory"),
    (0xaaaa_aaaa_aaaa_aaaa, "freed page (PAGE_POISON)"),
    (0xfefe_fefe_fefe_fefe, "stack or memory filled by the compiler"),
    (0xdead_0000_0000_0100, "LIST_POISON1: next pointer of a deleted list entry"),
    (0xdead_0000_0000_0122, "LIST_POISON2: prev pointer of a deleted list entry"),
    (0xdead_0000_0000_0200, "LIST_POISON2 of kernels before 4.9"),
    (0xdead_4ead, "SPINLOCK_MAGIC"),
    (0xdead_4eac, "mutex or lock magic"),
    (0x5555_5555_5555_5555, "bit pattern 0101…"),
    (0xffff_ffff_ffff_ffff, "-1"),
];
const POISONS_32: &[(u64, &str)] = &[
    (0x6b6b_6b6b, "freed slab object (POISON_FREE)"),
    (0x5a5a_5a5a, "slab memory never written (POISON_INUSE)"),
    (0x0000_0100, "LIST_POISON1: next pointer of a deleted list entry"),
    (0x0000_0122, "LIST_POISON2: prev pointer of a deleted list entry"),
    (0x0000_0200, "LIST_POISON2 of kernels before 4.9"),
    (0xdead_4ead, "SPINLOCK_MAGIC"),
];

/// Error numbers by name (`include/uapi/asm-generic/errno*.h`, `include/linux/errno.h`).
const ERRNO: &str = include_str!("../tables/errno.txt");

/// The name of an error number.
pub fn errno(number: u64) -> Option<&'static str> {
    ERRNO.lines().find_map(|line| {
        let (value, name) = line.split_once(' ')?;
        (value.parse() == Ok(number)).then_some(name)
    })
}

/// Where x86-64 keeps what with four page-table levels
/// (`Documentation/arch/x86/x86_64/mm.rst`). Randomised bases move within.
const X86_64: &[(u64, u64, &str)] = &[
    (0xffff_8000_0000_0000, 0xffff_87ff_ffff_ffff, "hypervisor hole"),
    (0xffff_8800_0000_0000, 0xffff_c87f_ffff_ffff, "direct map"),
    (0xffff_c900_0000_0000, 0xffff_e8ff_ffff_ffff, "vmalloc"),
    (0xffff_ea00_0000_0000, 0xffff_eaff_ffff_ffff, "vmemmap (struct page)"),
    (0xffff_ec00_0000_0000, 0xffff_fbff_ffff_ffff, "KASAN shadow"),
    (0xffff_fe00_0000_0000, 0xffff_fe7f_ffff_ffff, "CPU entry area"),
    (0xffff_ff00_0000_0000, 0xffff_ff7f_ffff_ffff, "espfix stacks"),
    (0xffff_ffef_0000_0000, 0xffff_fffe_ffff_ffff, "EFI"),
    (0xffff_ffff_8000_0000, 0xffff_ffff_9fff_ffff, "kernel text or data"),
    (0xffff_ffff_a000_0000, 0xffff_ffff_feff_ffff, "module, or kernel text when moved"),
    (0xffff_ffff_ff00_0000, 0xffff_ffff_ffdf_ffff, "fixmap"),
];

/// Name what a value is. `bits` is the width of a register.
pub(crate) fn of(value: u64, arch: Option<Arch>) -> String {
    let wide = !matches!(arch, Some(Arch::I386 | Arch::Arm));
    let poisons = if wide { POISONS } else { POISONS_32 };
    if value == 0 {
        return "NULL".into();
    }
    if let Some((_, name)) = poisons.iter().find(|(poison, _)| *poison == value) {
        return (*name).into();
    }
    let top = if wide { u64::MAX } else { u32::MAX.into() };
    if value <= top && value > top - 4095 {
        let number = top - value + 1;
        return match errno(number) {
            Some(name) => format!("-{number}: {name} as an error pointer"),
            None => format!("-{number}"),
        };
    }
    if let Some((poison, name)) = poisons.iter().find(|(poison, _)| {
        wide && *poison > 0xffff_ffff && value.wrapping_sub(*poison).min(poison.wrapping_sub(value)) < 0x1000
    }) {
        let sign = if value > *poison { '+' } else { '-' };
        return format!("{name} {sign} {:#x}", value.abs_diff(*poison));
    }
    if value < 0x1000 {
        return format!("small number, or NULL + {value:#x}");
    }
    if let Some(text) = ascii(value, wide) {
        return format!("text \"{text}\"");
    }
    match arch {
        Some(Arch::X86_64) => x86_64(value),
        Some(Arch::I386 | Arch::Arm) if value >= 0xc000_0000 => "kernel address".into(),
        Some(Arch::I386 | Arch::Arm) => "number or user address".into(),
        Some(Arch::Arm64) => arm64(value),
        _ if value >> 48 == 0xffff => "kernel address".into(),
        _ if value <= 0xffff_ffff => "number".into(),
        _ => String::new(),
    }
}

fn x86_64(value: u64) -> String {
    if value <= 0xffff_ffff {
        return "number".into();
    }
    if value < 0x0000_8000_0000_0000 {
        return "user address".into();
    }
    if (0xdfff_fc00_0000_0000..0xdfff_fc00_0000_0000 + (1 << 44)).contains(&value) {
        let real = (value - 0xdfff_fc00_0000_0000) << 3;
        return format!("KASAN shadow of {real:#x}");
    }
    match X86_64.iter().find(|(from, to, _)| (*from..=*to).contains(&value)) {
        Some((.., name)) => (*name).into(),
        None if value >= 0xffff_8000_0000_0000 => "kernel address".into(),
        None => "not canonical: no address".into(),
    }
}

fn arm64(value: u64) -> String {
    match value >> 48 {
        // the tag of hardware KASAN takes the top byte
        0xffff if value & 0x0000_8000_0000_0000 == 0 => "linear map".into(),
        0xffff => "kernel text, module or vmalloc".into(),
        0 if value <= 0xffff_ffff => "number".into(),
        0 => "user address".into(),
        top if top & 0xff == 0xff => format!("tagged kernel address, tag {:#x}", value >> 56),
        _ => "not canonical: no address".into(),
    }
}

/// The value's bytes in memory order, when all are text.
fn ascii(value: u64, wide: bool) -> Option<String> {
    let bytes = value.to_le_bytes();
    let bytes = &bytes[..if wide { 8 } else { 4 }];
    let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
    let text = &bytes[..end];
    let most = if wide { 5 } else { 4 };
    (text.len() >= most
        && text.iter().all(|byte| (0x20..0x7f).contains(byte))
        && text.iter().filter(|byte| byte.is_ascii_alphanumeric()).count() * 4 >= text.len() * 3)
        .then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, meaning) in [
            (0, "NULL"),
            (0x1f8, "small number, or NULL + 0x1f8"),
            (0xffff_ffff_ffff_fff4, "-12: ENOMEM as an error pointer"),
            (0x6b6b_6b6b_6b6b_6b6b, "freed slab object (POISON_FREE)"),
            (0x6b6b_6b6b_6b6b_6b7b, "freed slab object (POISON_FREE) + 0x10"),
            (0xffff_8880_1234_5678, "direct map"),
            (0xffff_ea00_0000_1000, "vmemmap (struct page)"),
            (0x0000_7fff_1234_5678, "user address"),
            (0x6f6c_6c65_6820_6968, "text \"hi hello\""),
            (0xdfff_fc00_0000_0003, "KASAN shadow of 0x18"),
            (0x1234_5678_9abc_def0, "not canonical: no address"),
        ] {
            assert_eq!(of(value, Some(Arch::X86_64)), meaning, "{value:#x}");
        }
    }
}
